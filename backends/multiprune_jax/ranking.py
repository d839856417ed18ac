"""Room: ranking where the arrays are. Traced, on an accelerator, or sharded over a mesh.

Nothing comes to the host but counts; under ``jit`` not even those.
Clauses: AMT, RANK, METH-05 to METH-09.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import accumulate
from typing import Any

import jax
import jax.numpy as jnp

from multiprune.draws import DRAW_BITS, as_seed
from multiprune.errors import AmountTypeError, DtypeError
from multiprune.keys import Format, key_bits, promote, score_of
from multiprune.masks import live_channels, spread
from multiprune.methods import (
    CustomFromMask,
    L1Unstructured,
    LnStructured,
    PruningMethod,
    RandomStructured,
    RandomUnstructured,
)
from multiprune.structured import channel_norms, check_dim, check_norm
from multiprune_jax.bits import draws, ordered
from multiprune_jax.candidates import as_mask
from multiprune_jax.columns import Column
from multiprune_jax.counts import Count
from multiprune_jax.masking import count_kept
from multiprune_jax.traced import Found, find_cut

__all__ = ["Ranked", "mask_of", "rank"]

_Masks = Sequence[jax.Array | None]


class Ranked:
    """Masks, and the cut that made them.

    Attributes
    ----------
    masks : list of arrays
    cut : Found
    """

    def __init__(self, masks: list[jax.Array], cut: Found, fmt: Format, method: Any) -> None:
        self.masks, self.cut, self._fmt, self._method = masks, cut, fmt, method

    @property
    def threshold(self) -> float | None:
        """The score of the last entry that went, if the values are there."""
        if isinstance(self._method, RandomUnstructured) or not int(self.cut.tied_pruned):
            return None
        signed = bool(getattr(self._method, "signed", False))
        return score_of(int(self.cut.threshold), self._fmt.real, signed=signed)


def rank(
    scores: Sequence[jax.Array],
    method: PruningMethod,
    masks: _Masks,
    amount: jax.Array | None = None,
) -> Ranked:
    """Rank tensors together, and mask those entries that go.

    Parameters
    ----------
    scores : sequence of arrays
        In the order of positions.
    method : PruningMethod
    masks : sequence of (array of bool or None)
        Prior masks.
    amount : integer array, optional
        A traced count, instead of the method's; more than is left is all that is left.
    """
    fmt = promote([score.dtype.name for score in scores])
    signed = bool(getattr(method, "signed", False))
    if signed and fmt.kind == "complex":
        raise DtypeError(
            f"{fmt.name} scores were given with signed=True. Rule: complex numbers rank by their "
            "modulus [NUM-16]. Leave signed out, or take their real part."
        )
    seed = as_seed(method.seed) if isinstance(method, RandomUnstructured) else None
    wanted: Any = Count.of_traced(amount) if amount is not None else _wanted(method, scores, masks)
    traced = [wanted, *scores, *masks]
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(traced)):
        found = _rank(scores, masks, wanted, fmt, signed, seed)
    else:
        found = _compiled(list(scores), list(masks), wanted, fmt, signed, seed)
    return Ranked(*found, fmt, method)


def _rank(
    scores: Sequence[jax.Array],
    masks: _Masks,
    wanted: Count | Callable[[Count], Count],
    fmt: Format,
    signed: bool,
    seed: int | None,
) -> tuple[list[jax.Array], Found]:
    offsets = accumulate((math.prod(score.shape) for score in scores), initial=0)
    columns = []
    for score, mask, offset in zip(scores, masks, offsets, strict=False):
        if seed is not None:
            score, order = draws(seed, offset, score.shape), _as_it_is
        else:
            score, order = jax.lax.stop_gradient(score), partial(ordered, fmt=fmt, signed=signed)
        columns.append(Column(score, order, mask))
    bits = DRAW_BITS if seed is not None else key_bits(fmt.real, signed=signed)
    cut = find_cut(columns, bits, wanted if callable(wanted) else lambda live: wanted)
    return [c.keep(cut.threshold, cut.borders[i]) for i, c in enumerate(columns)], cut


_compiled = partial(jax.jit, static_argnums=(3, 4, 5))(_rank)


def _as_it_is(keys: jax.Array) -> jax.Array:
    return keys


def _wanted(
    method: PruningMethod, scores: Sequence[jax.Array], masks: _Masks
) -> Count | Callable[[Count], Count]:
    """Return how many go: a number where prior masks are known or do not matter."""
    target, size = method.target, sum(math.prod(score.shape) for score in scores)
    if not any(isinstance(mask, jax.core.Tracer) for mask in masks):
        dead = sum(mask.size - count_kept(mask) for mask in masks if mask is not None)
        return Count.of(target.count(size, size - dead))
    if isinstance(target.amount, int):
        return Count.of(target.amount)
    if target.sparsity is not None:
        kept = size - round(target.sparsity * size)
        return lambda live: live.less(Count.of(kept))
    raise AmountTypeError(
        f"amount={target.amount} was given with traced masks. Rule: a float amount is a fraction "
        "of the entries still unpruned [AMT-02], and how many those are is not known under jit. "
        "Pass an int amount (it may be traced), or sparsity=, the fraction of all."
    )


def mask_of(
    leaf: jax.Array, method: PruningMethod, mask: jax.Array | None, *, scores: jax.Array
) -> jax.Array:
    """Prune one array by any method; see `multiprune.mask_of`.

    Notes
    -----
    Clauses METH-01 to METH-11.
    """
    if isinstance(method, CustomFromMask):
        given = as_mask(method.mask, "the given mask")
        return given if mask is None else given & mask
    if not isinstance(method, LnStructured | RandomStructured):
        return rank([scores], method, [mask]).masks[0]
    dim = check_dim(leaf, method.dim)
    with nullcontext() if isinstance(mask, jax.core.Tracer) else jax.ensure_compile_time_eval():
        live = None if mask is None else live_channels(mask, leaf, dim, xp=jnp)
    channels: Any
    if isinstance(method, LnStructured):
        check_norm(method.n, leaf.ndim)
        alive = scores if mask is None else jnp.where(mask, scores, jnp.zeros_like(scores))
        norms = channel_norms(alive, method.n, dim, xp=jnp)
        channels = L1Unstructured(0)
    else:
        norms = jnp.zeros(leaf.shape[dim], dtype=jnp.float32)
        channels = RandomUnstructured(0, seed=method.seed)
    channels.target = method.target
    kept = rank([norms], channels, [live]).masks[0]
    whole: jax.Array = spread(kept, mask, leaf, dim, xp=jnp)
    return whole
