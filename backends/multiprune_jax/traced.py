"""Room: the cut as a traced function. Counting passes of fixed shape; nothing is sorted or moved.

The order of entries is that of (key, position), and its two numbers are found two bits a pass: how
many entries lie before each of three trials? The bits of the position come last, and only if there
are ties to split. Per leaf a pass is one comparison and sum, and so is the mask, so that compiling
takes little. JAX counts in 32 bits unless x64 is on; sums of leaves are held in two words.
It runs under ``jit`` and ``vmap``, and on sharded arrays.
Clauses: RANK, TIE, MASK-01, MASK-02.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from multiprune_jax.columns import Column, Counts, check_size
from multiprune_jax.counts import Count

__all__ = ["Found", "find_cut"]

_DIGITS = np.arange(1, 4, dtype=np.uint32)


class Found(NamedTuple):
    """A cut, as traced values.

    Attributes
    ----------
    threshold : unsigned integer
        Key of the last entry that goes; 0 when none does.
    borders : uint32, shape (columns,)
        Index in each column from which on entries at the threshold stay.
    kept : uint32, shape (columns,)
        How many entries of each column stay unpruned.
    ties, tied_pruned : Count
        How many live entries have the threshold key, and how many of those go.
    """

    threshold: jax.Array
    borders: jax.Array
    kept: jax.Array
    ties: Count
    tied_pruned: Count


class _Search(NamedTuple):
    """A search under way.

    The cut lies from (key, start) on and before (key, stop); `below` and `upto` count the entries
    of each column before these two. `key_below` and `key_upto` are those when the key was found.
    """

    step: jax.Array
    key: jax.Array
    start: Count
    stop: Count
    below: jax.Array
    upto: jax.Array
    key_below: jax.Array
    key_upto: jax.Array


def find_cut(
    columns: Sequence[Column],
    bits: int,
    count: Callable[[Count], Count],
    *,
    total: Callable[[Count], Count] = lambda count: count,
) -> Found:
    """Find the cut below which the wanted number of entries lies.

    Parameters
    ----------
    columns : sequence of Column
        In the order of their positions.
    bits : int
        How wide a key is.
    count : callable
        How many entries go, given how many are live. More than those is all of them.
    total : callable
        Adds counts over processes.

    Notes
    -----
    Clauses RANK-01, RANK-02, RANK-06, TIE-01, TIE-02.
    """
    for column in columns:
        check_size(column.scores.shape)
    *offsets, size = accumulate((column.size for column in columns), initial=0)
    first = Count.of(offsets)
    sizes = jnp.asarray(np.array([column.size for column in columns], dtype=np.uint32))
    for_key = -(-bits // 2)
    steps = for_key - (-size.bit_length() // 2)
    word = jax.eval_shape(columns[0].order, columns[0].scores).dtype
    live = jnp.stack([column.live() for column in columns])
    all_live = total(Count.of_sum(live))
    wanted = count(all_live).least(all_live)
    some = wanted.high + wanted.low > 0

    def unfinished(search: _Search) -> jax.Array:
        to_split = some & wanted.under(total(Count.of_sum(search.upto)))
        return (search.step < for_key) | ((search.step < steps) & to_split)

    def one_digit(search: _Search) -> _Search:
        in_key = search.step < for_key
        shift = 2 * (jnp.where(in_key, for_key, steps) - 1 - search.step)
        digit = jnp.where(in_key, _DIGITS.astype(word), word.type(0))
        keys = [search.key, *(search.key | digit << jnp.where(in_key, shift, 0).astype(word))]
        digits = jnp.where(in_key, np.uint32(0), _DIGITS)
        places = [search.start, *(search.start.plus_digit(d, shift) for d in digits), search.stop]
        borders = [place.less(first).within(sizes) for place in places[1:4]]
        found = _table(
            column.count(search.key, [(k, b[i]) for k, b in zip(keys[1:], borders, strict=True)])
            for i, column in enumerate(columns)
        )
        goes = total(Count.of_sum(found)).under(wanted)
        counts = [search.below, *found, search.upto]
        below, upto = _last(goes, counts[:-1]), _last(goes, counts[1:])
        start, stop = _last_count(goes, places[:-1]), _last_count(goes, places[1:])
        return _Search(
            search.step + 1,
            _last(goes, keys),
            start,
            jax.tree.map(lambda new, old: jnp.where(in_key, old, new), stop, search.stop),
            below,
            upto,
            jnp.where(in_key, below, search.key_below),
            jnp.where(in_key, upto, search.key_upto),
        )

    none, nought = jnp.zeros_like(live), jnp.zeros((), word)
    search = _Search(jnp.int32(0), nought, Count.of(0), Count.of(size), none, live, none, live)
    end = lax.while_loop(unfinished, one_digit, search)
    ties, below = (total(Count.of_sum(c)) for c in (end.key_upto - end.key_below, end.key_below))
    return Found(
        end.key,
        jnp.where(some, end.stop.less(first).within(sizes), none),
        live - jnp.where(some, end.upto, none),
        Count(*(jnp.where(some, part, 0) for part in ties)),
        wanted.less(below),
    )


def _table(rows: Iterable[Counts]) -> jax.Array:
    """Return counts of all columns, one row for each trial: scalars, put together once."""
    every = list(rows)
    return jnp.stack([count for row in every for count in row]).reshape(len(every), -1).T


def _last(goes: jax.Array, values: Sequence[jax.Array]) -> jax.Array:
    """Return the value of the last trial below which too few go; `goes` is True up to there."""
    found, *trials = values
    for i, value in enumerate(trials):
        found = jnp.where(goes[i], value, found)
    return found


def _last_count(goes: jax.Array, values: Sequence[Count]) -> Count:
    return Count(*(_last(goes, parts) for parts in zip(*values, strict=True)))
