"""Room: counting where the arrays are, for the algebra: on an accelerator, or over a mesh.

The algebra searches, and asks for counts; a pass reads every leaf once, on its device, and what
comes to the host is a few numbers a leaf. Masks are written there as well.
Clauses: RANK-03, RANK-06, MASK-01.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from multiprune.cut import Cut
from multiprune.keys import Format
from multiprune_jax.bits import draws, flat_index, ordered
from multiprune_jax.columns import Column, check_size, count_where

__all__ = ["DeviceEntries"]

_Kind = tuple[Format, bool, int | None]
"""How scores are ranked: their format, whether signed, and the seed of random draws."""


class DeviceEntries:
    """Live entries of arrays that stay where they are; a `multiprune.ranking.LiveEntries`.

    Parameters
    ----------
    scores : sequence of array
        In the order of positions; of one device, or of one mesh.
    masks : sequence of (array or None)
        Prior masks, checked.
    bits : int
        How wide a key is.
    kind : tuple
        Format, ``signed``, and the seed of random draws or None.

    Raises
    ------
    ParametersError
        If an array has 2**32 entries or more (a ValueError).
    """

    digit_bits = 4

    def __init__(
        self, scores: Sequence[jax.Array], masks: Sequence[Any], bits: int, kind: _Kind
    ) -> None:
        for score in scores:
            check_size(score.shape)
        self.scores = tuple(scores)
        self.masks = tuple(None if m is None else jnp.asarray(m, jnp.bool_) for m in masks)
        self.key_bits, self.kind = bits, kind
        *offsets, self.size = accumulate((math.prod(s.shape) for s in scores), initial=0)
        self.offsets = tuple(offsets)

    def count_keys(self, prefix: int, shift: int, width: int) -> Sequence[int]:
        """Count live entries by a digit of their keys; see `LiveEntries`."""
        first = prefix << width
        values = [first + digit for digit in range(1 << width)]
        return self._sum(_count_keys, np.array(values, dtype=np.uint64), np.uint8(shift))

    def count_positions(self, threshold: int, prefix: int, shift: int, width: int) -> Sequence[int]:
        """Count live entries at `threshold` by a digit of their positions; see `LiveEntries`."""
        first = prefix << width
        places = [first + digit << shift for digit in range((1 << width) + 1)]
        borders = [[self._border(i, p) for p in places] for i in range(len(self.scores))]
        return self._sum(_count_indices, np.uint64(threshold), np.array(borders, dtype=np.uint32))

    def keep(self, column: int, cut: Cut, like: jax.Array) -> tuple[jax.Array, int]:
        """Turn the cut into one column's mask; see `BlockEntries.keep`."""
        key, border = np.uint64(max(cut.threshold, 0)), self._border(column, cut.position + 1)
        # Only draws depend on the place: arrays of one shape share a program otherwise.
        place = 0 if self.kind[2] is None else self.offsets[column]
        given = self.scores[column], self.masks[column]
        mask, kept = _keep(*given, place, self.kind, key, np.uint32(border))
        return mask, math.prod(like.shape) - int(kept)

    def _border(self, column: int, position: int) -> int:
        """Return the index in a column that a position has, or the nearest end of the column."""
        size = math.prod(self.scores[column].shape)
        return min(max(position - self.offsets[column], 0), size)

    def _sum(self, count: Any, *where: Any) -> Sequence[int]:
        """Add up the counts of all columns as Python integers, which do not overflow."""
        table = np.asarray(count(self.scores, self.masks, self.offsets, self.kind, *where))
        sums: list[int] = table.sum(axis=0, dtype=np.uint64).tolist()
        return sums


def _columns(scores: Any, masks: Any, offsets: Any, kind: _Kind) -> list[Column]:
    fmt, signed, seed = kind
    if seed is not None:
        scores = [draws(seed, o, s.shape) for s, o in zip(scores, offsets, strict=True)]
        return [Column(s, lambda keys: keys, m) for s, m in zip(scores, masks, strict=True)]
    order = partial(ordered, fmt=fmt, signed=signed)
    return [Column(s, order, m) for s, m in zip(scores, masks, strict=True)]


@partial(jax.jit, static_argnums=(2, 3))
def _count_keys(
    scores: Any, masks: Any, offsets: Any, kind: _Kind, values: Any, shift: Any
) -> jax.Array:
    """Count the live keys that start with each of several values: uint32, (columns, values)."""
    counts = []
    for column in _columns(scores, masks, offsets, kind):
        keys = column.order(column.scores)
        digits = keys >> shift.astype(keys.dtype)
        counts.append(column.count_live([digits == v.astype(keys.dtype) for v in values]))
    return jnp.stack(counts)


@partial(jax.jit, static_argnums=(2, 3))
def _count_indices(
    scores: Any, masks: Any, offsets: Any, kind: _Kind, threshold: Any, borders: Any
) -> jax.Array:
    """Count live entries with one key between the borders of each column."""
    counts = []
    for column, ends in zip(_columns(scores, masks, offsets, kind), borders, strict=True):
        keys = column.order(column.scores)
        tied, index = keys == threshold.astype(keys.dtype), flat_index(keys.shape)
        between = [tied & (index >= a) & (index < b) for a, b in pairwise(ends)]
        counts.append(column.count_live(between))
    return jnp.stack(counts)


@partial(jax.jit, static_argnums=(2, 3))
def _keep(
    score: Any, mask: Any, offset: int, kind: _Kind, key: Any, border: Any
) -> tuple[jax.Array, jax.Array]:
    (column,) = _columns([score], [mask], [offset], kind)
    word = jax.eval_shape(column.order, column.scores).dtype
    kept = column.keep(key.astype(word), border)
    return kept, count_where([kept, ~kept])[0]
