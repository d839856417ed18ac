"""What a picture of a pruning shows, counted in one pass over files; nothing is drawn here.

Clauses: MASK-04, NUM-02 to NUM-10.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from multiprune.patterns import as_patterns, matches
from multiprune_checkpoints.analysis.provenance import provenance_of, ranked_by
from multiprune_checkpoints.analysis.view import Charts, View, check_alike
from multiprune_checkpoints.counting.prior import open_prior
from multiprune_checkpoints.errors import CheckpointError
from multiprune_checkpoints.formats.checkpoint import open_checkpoint
from multiprune_checkpoints.formats.left_out import left_out
from multiprune_checkpoints.formats.select import select
from multiprune_checkpoints.masks import open_masks
from multiprune_checkpoints.progress import Progress, Silent

__all__ = ["chart_checkpoint"]


def chart_checkpoint(
    source: str | Path,
    *,
    before: str | Path | None = None,
    masks: str | Path | None = None,
    tensors: Sequence[str] = (),
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    min_ndim: int | None = None,
    progress: Progress | None = None,
) -> Charts:
    """Read a pruned checkpoint once, and count what a report shows; memory stays bounded.

    Parameters
    ----------
    source : path
        A pruned checkpoint; or, with `masks`, one that is not pruned yet.
    before : path, optional
        The checkpoint before its pruning: pruned entries are shown where they were.
    masks : path, optional
        What is pruned; otherwise what is zero, or pruned by a mask in `source`, counts as pruned.
    tensors : sequence of str
        Shell patterns of tensors whose blocks are shown.
    include, exclude, min_ndim
        Which tensors are ranked, as for `prune_checkpoint`; if none is given, those of `masks`, or
        those that the metadata of `source` name, or floats of two and more dimensions.
    progress : Progress, optional

    Returns
    -------
    Charts

    Raises
    ------
    CheckpointError, MaskFileError, MaskShapeError, ParametersError
        If files do not hold or fit together, or a pattern matches nothing.

    Notes
    -----
    Clauses FILE-06, MASK-04. Weights are distinguished to a fifth of a percent of their value.
    """
    include, exclude = as_patterns(include, "include"), as_patterns(exclude, "exclude")
    with ExitStack() as stack:
        checkpoint = stack.enter_context(open_checkpoint(source))
        packed = None
        if masks is not None:
            packed = open_masks(Path(masks), checkpoint.tensors)
            stack.callback(packed.close)
        provenance = provenance_of(checkpoint)
        if include or exclude or min_ndim is not None:
            least = 2 if min_ndim is None else min_ndim
            chosen = select(
                checkpoint.tensors, include, exclude, least, left_out(checkpoint, least, exclude)
            )
        elif packed is not None:
            chosen = [checkpoint.tensors[name] for name in sorted(packed)]
        else:
            chosen = ranked_by(provenance, checkpoint)
        weights = checkpoint
        if before is not None:
            weights = stack.enter_context(open_checkpoint(before))
            check_alike(checkpoint, weights, chosen)
        prior = open_prior(checkpoint, {t.name: t for t in chosen}, None, stack)
        view = View(checkpoint, weights, packed, prior, progress or Silent())
        asked = [t.name for t in chosen if matches(t.name, tensors)]
        if tensors and not asked:
            raise CheckpointError(
                f"{', '.join(tensors)} matches none of the {len(chosen)} ranked tensors "
                f"({', '.join(t.name for t in chosen[:3])}, ...). Rule: a pattern matches full "
                "names as a shell does."
            )
        return view.portray(chosen, asked, provenance)
