"""The command ``report``. A table on the terminal, or a page and pictures in a file."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from multiprune_checkpoints.cli.options import Json, MaybeWhole, Patterns

if TYPE_CHECKING:
    from multiprune_checkpoints import PrunedCheckpoint
    from multiprune_checkpoints.analysis.charts import Charts
    from multiprune_checkpoints.cli.accuracy_curve import Curve

__all__ = ["PICTURES", "check_output", "draw_pruned", "report"]

PICTURES = (".html", ".png")
_LONGEST = 64 << 20


def report(
    file: Path,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    before: Path | None = None,
    masks: Path | None = None,
    accuracy: Path | None = None,
    tensor: Patterns = None,
    include: Patterns = None,
    exclude: Patterns = None,
    min_ndim: MaybeWhole = None,
    json_: Json = False,
) -> None:
    """Show how sparse each tensor of a checkpoint is, in the order of the network.

    Parameters
    ----------
    file
        A pruned checkpoint, or the JSON that prune --report wrote.
    output
        Draw it: a page of HTML, or a PNG.
    before
        The checkpoint before its pruning, so that pruned weights are shown where they were.
    masks
        Masks that prune --save-masks wrote; otherwise what is zero counts as pruned.
    accuracy
        A curve to draw beside: CSV or JSON columns, the first the sparsity.
    tensor
        Shell pattern of tensors whose kept blocks are drawn; otherwise the most uneven one's.
    include
        Shell pattern of names that were ranked, if neither masks nor the file tell.
    exclude
        Shell pattern of names that were not.
    min_ndim
        The fewest dimensions of a ranked tensor.
    json_
        Print flat numbers, as a logger takes them.
    """
    from multiprune_checkpoints.cli.accuracy_curve import read_curve
    from multiprune_checkpoints.cli.progress_bars import watched
    from multiprune_checkpoints.cli.views import print_json, show_report

    if output is not None:
        check_output(output, [path for path in (file, before, masks, accuracy) if path])
    curve = None if accuracy is None else read_curve(accuracy)
    if file.suffix == ".json" and not file.name.endswith(".index.json"):
        portrait = _portrait_of(_read(file), file)
    else:
        from multiprune_checkpoints.analysis.charts import chart_checkpoint

        with watched() as progress:
            portrait = chart_checkpoint(
                file,
                before=before,
                masks=masks,
                tensors=tensor or (),
                include=include or (),
                exclude=exclude or (),
                min_ndim=min_ndim,
                progress=progress,
            )
    if output is not None:
        draw(portrait, output, curve)
    if json_:
        print_json(dict(portrait.report.scalars()))
    elif output is None:
        show_report(portrait)


def draw_pruned(done: PrunedCheckpoint, path: Path, file: Path, pruned: Path | None) -> None:
    """Write a report on a pruning that was just done.

    Parameters
    ----------
    done : PrunedCheckpoint
    path : Path
        Where the picture goes.
    file : Path
        What was pruned.
    pruned : Path or None
        Where the result is now; None where it was a dry run.
    """
    from multiprune_checkpoints.analysis.charts import chart_checkpoint

    if pruned is None:
        draw(_portrait_of(done, file), path)
        return
    if pruned.is_dir() and file.is_file() and not file.name.endswith(".index.json"):
        pruned = pruned / file.name
    portrait = chart_checkpoint(pruned, before=None if pruned == file else file)
    draw(replace(portrait, report=done.report, path=str(pruned)), path)


def draw(portrait: Charts, path: Path, curve: Curve | None = None) -> None:
    """Write a report as a page or a picture."""
    from multiprune_checkpoints.cli.html_page import page
    from multiprune_checkpoints.cli.picture import draw_png, draw_svgs
    from multiprune_checkpoints.formats.source import write_all
    from multiprune_checkpoints.output.atomic import AtomicFile

    if path.suffix == ".png":
        data = draw_png(portrait, curve)
    else:
        data = page(portrait, draw_svgs(portrait, curve), curve).encode()
    with AtomicFile(path) as pending:
        write_all(pending.descriptor, data, 0)
        pending.commit()


def check_output(path: Path, inputs: list[Path]) -> None:
    """Refuse what cannot be drawn, or would lie on an input, before anything is done."""
    from multiprune_checkpoints import OutputError

    if path.suffix not in PICTURES:
        raise OutputError(
            f"{path} was given. Rule: a report is drawn as {' or '.join(PICTURES)}. Name it so; "
            "without --output it is a table, with --json numbers."
        )
    if path.exists() and any(found.exists() and path.samefile(found) for found in inputs):
        raise OutputError(f"{path} is an input. Rule: an input stays as it is. Name another file.")
    try:
        import_module("matplotlib")
    except ImportError:
        raise OutputError(
            f"{path} needs matplotlib, which is not installed. Install it: pip install "
            "'multiprune[cli]'. The table needs nothing."
        ) from None


def _read(path: Path) -> PrunedCheckpoint:
    """Read what prune --report wrote; it may have been edited since."""
    from multiprune_checkpoints import CheckpointError, PrunedCheckpoint

    with path.open("rb") as file:
        text = file.read(_LONGEST + 1)
    try:
        if len(text) > _LONGEST:
            raise ValueError(f"it has more than {_LONGEST:,} bytes")
        done = PrunedCheckpoint.from_dict(json.loads(text))
        _check_values(done)
        return done
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is not a report: {type(error).__name__} {str(error)[:200]}. Rule: it is JSON "
            "that prune --report writes. Give that, or a checkpoint."
        ) from None


def _check_values(done: PrunedCheckpoint) -> None:
    for t in done.report.tensors:
        counts = *t.shape, t.size, t.pruned
        if not isinstance(t.name, str) or not all(type(n) is int and n >= 0 for n in counts):
            raise TypeError(f"tensor {t.name!r:.80} is of {counts!s:.80}")
        if t.pruned > t.size:
            raise ValueError(f"of tensor {t.name:.80} more is pruned than there is")
    report = done.report
    known = report.threshold, report.ties, report.tied_pruned
    if not all(n is None or type(n) in (int, float) for n in known):
        raise TypeError(f"threshold and ties are {known!s:.80}")
    texts = *done.provenance.items(), (report.method, *done.untouched)
    if not all(isinstance(text, str) for group in texts for text in group):
        raise TypeError("a name is not text")


def _portrait_of(done: PrunedCheckpoint, path: Path) -> Charts:
    from multiprune_checkpoints.analysis.charts import Charts

    known = {key.removeprefix("multiprune."): text for key, text in done.provenance.items()}
    return Charts(str(path), done.report, done.untouched, known)
