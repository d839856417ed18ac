"""One array pruned by any method, structured ones included.

Clauses: METH-01 to METH-11.
"""

from __future__ import annotations

from typing import Any

from multiprune._array import Array, namespace_of
from multiprune.deprecated import no_more, renamed
from multiprune.masks import check_mask, live_channels, spread
from multiprune.method_checks import check_instance
from multiprune.methods import CustomFromMask, LnStructured, PruningMethod, RandomStructured
from multiprune.named import named
from multiprune.plan import plan
from multiprune.question import Question
from multiprune.structured import channel_norms, check_dim, check_norm

__all__ = ["mask_of"]


def mask_of(
    tensor: Array,
    method: PruningMethod,
    mask: Array | None = None,
    *,
    importance_scores: Array | None = None,
    **options: Any,
) -> Array:
    """Prune one array by any method.

    Parameters
    ----------
    tensor : array
    method : PruningMethod
        With its amount, for example ``LnStructured(0.5, n=2, dim=0)``.
    mask : array, optional
        Prior mask.
    importance_scores : array, optional
        Ranked instead of the array; same shape.

    Returns
    -------
    array of bool
        True where an entry is kept, in the shape of `tensor`.

    Raises
    ------
    StructureError, DimError, NormError
        If a structured method does not fit the tensor.
    MaskError, ScoresShapeError, AmountError, ...
        As in `global_unstructured`.

    Notes
    -----
    Clauses METH-01 to METH-11.
    """
    scores = renamed("scores", "importance_scores", options, importance_scores)
    no_more(options, "mask_of")
    check_instance(method)
    tensors = named([tensor])
    (ranked,) = tensors.matching(None if scores is None else [scores], "importance_scores")
    xp = namespace_of(tensor)
    if mask is not None:
        check_mask(mask, tensor, "tensor", xp=xp)
    if isinstance(method, CustomFromMask):
        check_mask(method.mask, tensor, "tensor", xp=xp)
        own = xp.astype(method.mask, xp.bool)
        return own if mask is None else own & xp.astype(mask, xp.bool)
    if not isinstance(method, (LnStructured, RandomStructured)):
        return plan([ranked], Question(method.target), method, [mask]).keep(0, tensor)[0]
    dim = check_dim(tensor.shape, method.dim)
    live = live_channels(mask, tensor, dim, xp=xp)
    if isinstance(method, LnStructured):
        check_norm(method.n, tensor.ndim)
        if mask is not None:
            ranked = xp.where(xp.astype(mask, xp.bool), ranked, xp.zeros_like(ranked))
        norms = channel_norms(ranked, method.n, dim, xp=xp)
    else:
        norms = xp.zeros(tensor.shape[dim], dtype=xp.float32)
    channels = method.of_channels()
    kept, _ = plan([norms], Question(method.target), channels, [live]).keep(0, norms)
    return spread(kept, mask, tensor, dim, xp=xp)
