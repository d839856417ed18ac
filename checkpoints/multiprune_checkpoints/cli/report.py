"""The command ``report``. A table on the terminal, or a page and pictures in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from multiprune_checkpoints.cli.drawing import check_output, draw, portrait_of
from multiprune_checkpoints.cli.options import Json, MaybeWhole, Patterns
from multiprune_checkpoints.cli.report_file import read

if TYPE_CHECKING:
    pass

__all__ = ["report"]


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
        portrait = portrait_of(read(file), file)
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
