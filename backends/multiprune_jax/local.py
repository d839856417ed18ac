"""Rows and groups: pools inside a leaf, each decided where it is, in a traced function.

An entry is pruned if and only if fewer than k entries of its pool come before it in the order of
(key, position). Entries of a group are compared with each other, which XLA fuses into one loop
over the leaf. Of a row the last entry that is pruned is searched, all rows in the same passes.
Clauses: SCOPE-03, GROUP.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from multiprune_jax.bits import flat_index
from multiprune_jax.columns import Counts, Order, add, barrier, before, count_where, is_alone
from multiprune_jax.counts import pick
from multiprune_jax.memory import varying_as

__all__ = ["keep_groups", "keep_rows", "row_sums"]

_COMPARED = 64
"""In groups of more entries the last one that is pruned is searched, as in rows."""
_BLOCK = 8
_DIGITS = np.arange(1, 4, dtype=np.uint32)


def keep_groups(
    scores: jax.Array,
    order: Order,
    bits: int,
    alive: jax.Array | None,
    dim: int,
    keep: int,
    of: int,
) -> jax.Array:
    """Return the mask that keeps at most `keep` of each `of` consecutive entries.

    Parameters
    ----------
    scores : array
    order : callable
        Computes keys of scores.
    bits : int
        How wide a key is.
    alive : array of bool, optional
        Prior mask.
    dim : int
        The dimension along which groups run; a multiple of `of`.
    keep, of : int

    Notes
    -----
    Clauses GROUP-01 to GROUP-05.
    """
    shape, dim = scores.shape, dim % scores.ndim
    axis, parts = dim + 1, (*shape[:dim], shape[dim] // of, of, *shape[dim + 1 :])
    scores, alive = scores.reshape(parts), None if alive is None else alive.reshape(parts)
    if of > _COMPARED:
        live = _live(alive, parts, (axis,))
        excess = jnp.maximum(live, np.uint32(keep)) - np.uint32(keep)
        return _keep_last(scores, order, bits, alive, (axis,), excess, live).reshape(shape)
    keys, pairs = order(scores), (*parts[:axis], of, *parts[axis:])
    dims = *range(axis), *range(axis + 1, len(pairs))
    others = lax.broadcast_in_dim(keys, pairs, dims)
    place, other = (lax.broadcasted_iota(np.uint32, pairs, d) for d in (axis, axis + 1))
    mine = lax.expand_dims(keys, (axis + 1,))
    (upto,) = before(others, other, [mine], place + np.uint32(1), bits)
    after = ~upto
    if alive is not None:
        after &= lax.broadcast_in_dim(alive, pairs, dims)
    kept = jnp.sum(after, axis=axis + 1, dtype=np.uint8) < np.uint8(keep)
    mask: jax.Array = (kept if alive is None else kept & alive).reshape(shape)
    return mask


def keep_rows(
    scores: jax.Array,
    order: Order,
    bits: int,
    alive: jax.Array | None,
    dim: int,
    count: jax.Array,
) -> jax.Array:
    """Return the mask that prunes the first entries of each row.

    Parameters
    ----------
    scores, order, bits, alive
        As of `keep_groups`.
    dim : int
        The dimension whose indices are the rows.
    count : uint32, shape (rows,)
        How many of each are pruned; no more than are unpruned.
    """
    shape, dim = scores.shape, dim % scores.ndim
    parts: tuple[int, ...] = shape
    axes: tuple[int, ...] = tuple(d for d in range(len(shape)) if d != dim)
    if is_alone():  # nothing is sharded, and loops over fewer dimensions are faster
        outer, inner = prod(shape[:dim]), prod(shape[dim + 1 :])
        parts, axes = (outer, shape[dim], inner), (0, 2)
        if inner == 1:
            parts, axes = parts[:2], axes[:1]
    scores, alive = scores.reshape(parts), None if alive is None else alive.reshape(parts)
    count = lax.expand_dims(count, axes)
    live = _live(alive, parts, axes)
    return _keep_last(scores, order, bits, alive, axes, count, live).reshape(shape)


def row_sums(mask: jax.Array, dim: int) -> jax.Array:
    """Count where a mask is True, for each index of a dimension: uint32."""
    axes = tuple(d for d in range(mask.ndim) if d != dim % mask.ndim)
    return jnp.sum(mask, axis=axes, dtype=jnp.uint32)


class _Search(NamedTuple):
    """A search under way; all but `step` and `is_split` have an entry for each pool.

    The last entry that is pruned lies from (key, start) on and before (key, stop); `upto` counts
    the entries before the latter. The next pass compares with `trials` and `place`, which are
    part of the state as in `multiprune_jax.traced`.
    """

    step: jax.Array
    key: jax.Array
    start: jax.Array
    stop: jax.Array
    trials: Sequence[jax.Array]
    place: jax.Array
    upto: jax.Array
    is_split: jax.Array


def _keep_last(
    scores: jax.Array,
    order: Order,
    bits: int,
    alive: jax.Array | None,
    axes: tuple[int, ...],
    count: jax.Array,
    live: jax.Array,
) -> jax.Array:
    """Return the mask without the first `count` entries along `axes`, which have size 1 in it."""
    shape, length = scores.shape, prod(scores.shape[axis] for axis in axes)
    word = jax.eval_shape(order, scores).dtype
    for_key = -(-bits // 2)
    steps = for_key + length.bit_length()

    def trials(
        step: jax.Array, key: jax.Array, start: jax.Array
    ) -> tuple[Sequence[jax.Array], jax.Array]:
        in_key = step < for_key
        shift = jnp.where(in_key, 2 * (for_key - 1 - step), 0).astype(word)
        digits = jnp.where(in_key, _DIGITS.astype(word), word.type(0))
        bit = jnp.where(in_key, 0, steps - 1 - step).astype(np.uint32)
        place = start | jnp.where(in_key, np.uint32(0), np.uint32(1)) << bit
        return [key | digit << shift for digit in digits], place

    def one_digit(search: _Search) -> _Search:
        in_key, place = search.step < for_key, search.place
        # As in `LeafColumn.count`: what is computed of the scores is tied to this pass.
        values, at, nought = barrier((scores, place, jnp.uint32(0)))
        here, index = order(values), flat_index(shape, nought, axes=axes)
        conditions = before(here, index, search.trials, at, bits)
        counts = _sums([c if alive is None else c & alive for c in conditions], axes)
        counts = [each.reshape(count.shape) for each in counts]
        digit: Any = sum((each < count).astype(np.uint32) for each in counts)
        upto = pick(jnp.stack([*counts, search.upto]), digit)
        key = pick(jnp.stack([search.key, *search.trials]), digit)
        start = jnp.where(~in_key & (digit > 0), place, search.start)
        return _Search(
            search.step + 1,
            key,
            start,
            jnp.where(~in_key & (digit == 0), place, search.stop),
            *trials(search.step + 1, key, start),
            upto,
            jnp.any((count > 0) & (count < upto)),
        )

    step, nought = jnp.int32(0), jnp.zeros(count.shape, np.uint32)
    key, stop = nought.astype(word), jnp.full(count.shape, length, np.uint32)
    first = trials(step, key, nought)
    search = _Search(step, key, nought, stop, *first, live, jnp.bool_(True))
    end = lax.while_loop(
        lambda s: (s.step < for_key) | ((s.step < steps) & s.is_split),
        one_digit,
        varying_as((scores, alive, count), search),
    )
    border = jnp.where(count > 0, end.stop, nought)
    (pruned,) = before(order(scores), flat_index(shape, axes=axes), [end.key], border, bits)
    kept = ~pruned
    mask: jax.Array = barrier(kept if alive is None else kept & alive)
    return mask


def _live(alive: jax.Array | None, shape: tuple[int, ...], axes: tuple[int, ...]) -> jax.Array:
    """Count the unpruned entries along `axes`, which stay with size 1."""
    there = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    if alive is None:
        return jnp.full(there, prod(shape[axis] for axis in axes), np.uint32)
    return jnp.sum(alive, axis=axes, dtype=jnp.uint32, keepdims=True)


def _sums(conditions: Sequence[jax.Array], axes: tuple[int, ...]) -> Counts:
    """Count along `axes`; on a CPU block by block where these are not the last dimension.

    XLA's loops run over what is left, and read a column in steps; a short reduction is unrolled,
    and what is left then runs as vectors. Thirteen times faster.
    """
    size, width = conditions[0].shape[0], conditions[0].shape[-1]
    if not is_alone() or axes != (0,) or size <= _BLOCK:
        return count_where(conditions, axes)
    sums = [c.astype(np.uint8) for c in conditions]
    while size > _BLOCK:
        pad = -size % _BLOCK
        size = (size + pad) // _BLOCK
        sums = [lax.pad(s, s.dtype.type(0), [(0, pad, 0), (0, 0, 0)]) for s in sums]
        blocks = tuple(s.reshape(size, _BLOCK, width) for s in sums)
        noughts = (blocks[0].dtype.type(0),) * len(blocks)
        sums = [s.astype(np.uint32) for s in barrier(tuple(lax.reduce(blocks, noughts, add, (1,))))]
    counts: Counts = lax.reduce(tuple(sums), (np.uint32(0),) * len(sums), add, (0,))
    return counts
