"""Pictures and pages that a command writes beside what it does."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprune_checkpoints import PrunedCheckpoint
    from multiprune_checkpoints.analysis.view import Charts
    from multiprune_checkpoints.cli.accuracy_curve import Curve

__all__ = ["PICTURES", "check_output", "draw", "draw_pruned", "portrait_of"]

PICTURES = (".html", ".png")


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
        draw(portrait_of(done, file), path)
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
    if path.exists() and any(each.exists() and path.samefile(each) for each in inputs):
        raise OutputError(f"{path} is an input. Rule: an input stays as it is. Name another file.")
    try:
        import_module("matplotlib")
    except ImportError:
        raise OutputError(
            f"{path} needs matplotlib, which is not installed. Install it: pip install "
            "'multiprune[cli]'. The table needs nothing."
        ) from None


def portrait_of(done: PrunedCheckpoint, path: Path) -> Charts:
    """Return the charts of a checkpoint that was just pruned."""
    from multiprune_checkpoints.analysis.view import Charts

    known = {key.removeprefix("multiprune."): text for key, text in done.provenance.items()}
    return Charts(str(path), done.report, done.untouched, known)
