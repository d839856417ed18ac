"""The cuts of all pools as a traced function. Counting passes of fixed shape; nothing is sorted.

The order of entries is that of (key, position). The key of a cut is found two bits a pass: how many
entries come before each of three trials? The position comes last, bit by bit, and only if there are
ties to split. Each pool has a search of its own, all in the same passes; those within
bounds share one until a bound is reached. Per leaf a pass is one comparison and sum, and so is the
mask, so that compiling takes little.
It runs under ``jit`` and ``vmap``, and on sharded arrays.
Clauses: RANK, TIE, SCOPE, BOUND, MASK-01, MASK-02.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from multiprune_jax.asked import Ask, digit_of
from multiprune_jax.columns import LeafColumn
from multiprune_jax.counts import Count, pick
from multiprune_jax.membership import Membership
from multiprune_jax.memory import varying_as

__all__ = ["Found", "traced_cuts"]

_DIGITS = np.arange(1, 4, dtype=np.uint32)


class Found(NamedTuple):
    """Cuts, as traced values.

    Attributes
    ----------
    threshold : unsigned integer, shape (pools,)
        Key of the last entry that is pruned; 0 when none is.
    borders : uint32, shape (columns,)
        Index in each column from which on entries at the threshold are kept.
    kept : uint32, shape (columns,)
        How many entries of each column stay unpruned.
    pruned, live : Count, shape (pools,)
        How many entries are pruned, and of how many.
    ties, tied_pruned : Count, shape (pools,)
        How many live entries have the threshold key, and how many of those are pruned.
    stop : Count, shape (pools,)
        The position up to which entries at the threshold are pruned, exclusive.
    """

    threshold: jax.Array
    borders: jax.Array
    kept: jax.Array
    pruned: Count
    live: Count
    ties: Count
    tied_pruned: Count
    stop: Count


class _Trials(NamedTuple):
    """What a pass compares with: three keys and a place of each pool, and where that is.

    Found at the end of the pass before, as a part of the state: XLA would compute it anew for each
    leaf, and compile it as often.
    """

    keys: jax.Array
    place: Count
    borders: jax.Array


class _Search(NamedTuple):
    """A search under way.

    The cut of a pool lies from (key, start) on and before (key, stop); `below` and `upto` count the
    entries of each column before these two, and `borders` says where in it the latter is.
    `key_below` and `key_upto` count them when the key was found. `wanted` entries are pruned of a
    pool, as soon as that is `settled`. `is_split` says whether a pool is left of which some entries
    at the threshold are kept.
    """

    step: jax.Array
    key: jax.Array
    start: Count
    stop: Count
    borders: jax.Array
    trials: _Trials
    below: jax.Array
    upto: jax.Array
    key_below: jax.Array
    key_upto: jax.Array
    settled: jax.Array
    wanted: Count
    is_split: jax.Array


def traced_cuts(
    columns: Sequence[LeafColumn],
    leaves: Sequence[int],
    members: Membership,
    bits: int,
    ask: Ask,
    *,
    sum_up: Callable[[Count], Count] = lambda count: count,
) -> Found:
    """Find for each pool the cut up to which its entries are pruned.

    Parameters
    ----------
    columns : sequence of LeafColumn
        Every leaf is in one of them.
    leaves : sequence of int
        The size of each leaf, in the order of positions.
    members : Membership
        The pool of each column.
    bits : int
        How wide a key is.
    ask : callable
        How many entries are pruned, given how many are live; no more than those.
    sum_up : callable
        Adds counts over processes.

    Notes
    -----
    Clauses RANK-01, RANK-02, RANK-06, TIE-01, TIE-02, BOUND-01. See `multiprune.search.find_cuts`
    for the rule that pools within bounds follow.
    """
    *offsets, size = accumulate(leaves, initial=0)
    parts = [leaf for column in columns for leaf in column.leaves]
    column_of = np.repeat(np.arange(len(columns)), [len(column.leaves) for column in columns])
    first = Count.of([offsets[leaf] for leaf in parts])
    sizes = jnp.asarray(np.array([leaves[leaf] for leaf in parts], dtype=np.uint32))
    for_key = -(-bits // 2)
    steps = for_key + size.bit_length()
    word = jax.eval_shape(columns[0].order, columns[0].scores).dtype

    def sums(counts: jax.Array) -> Count:
        return sum_up(members.sum(counts))

    def borders(place: Count) -> jax.Array:
        of_column = members.spread_count(place)
        if len(parts) == len(columns):
            return of_column.less(first).within(sizes)
        of_part = Count(*(part[column_of] for part in of_column))
        within = of_part.less(first).within(sizes)
        return jax.ops.segment_sum(within, column_of, len(columns), indices_are_sorted=True)

    def trials(step: jax.Array, key: jax.Array, start: Count) -> _Trials:
        in_key = step < for_key
        digits = jnp.where(in_key, _DIGITS.astype(word), word.type(0))[:, None]
        shift = jnp.where(in_key, 2 * (for_key - 1 - step), 0).astype(word)
        bit = jnp.where(in_key, 0, steps - 1 - step)
        place = start.plus_bit(jnp.where(in_key, np.uint32(0), np.uint32(1)), bit)
        return _Trials(key | digits << shift, place, borders(place))

    live = jnp.stack([column.live() for column in columns])
    each_live = sums(live)
    asked = ask(each_live)

    def one_digit(search: _Search) -> _Search:
        in_key = search.step < for_key
        keys, place, at = search.trials
        before_trials = _counts(columns, members, keys, at)
        counts = jnp.concatenate([search.below[None], before_trials, search.upto[None]])
        edges = sums(counts)
        settled, count = search.settled, search.wanted
        if asked.total is None:
            digit = digit_of(edges, count)
        else:
            shared = digit_of(asked.pruned(edges, settled, count), asked.total)
            settled, count = asked.settle(edges, shared, settled, count)
            digit = jnp.where(settled, digit_of(edges, count), shared)
        upto = edges.rows(1, 5).pick(digit)
        if asked.total is not None:
            is_met = ~asked.total.under(asked.pruned(upto, settled, count))
            is_met &= search.step >= for_key - 1
            count = upto.clamp(asked.low, asked.high).where(~settled & is_met, count)
            settled |= is_met
        of_column = members.spread(digit)
        below, last = pick(counts[:4], of_column), pick(counts[1:], of_column)
        key = pick(jnp.concatenate([search.key[None], keys]), digit)
        start = place.where(~in_key & (digit > 0), search.start)
        stop = place.where(~in_key & (digit == 0), search.stop).only(~settled | count.is_some())
        return _Search(
            search.step + 1,
            key,
            start,
            stop,
            borders(stop),
            trials(search.step + 1, key, start),
            below,
            last,
            jnp.where(in_key, below, search.key_below),
            jnp.where(in_key, last, search.key_upto),
            settled,
            count,
            jnp.any(~settled | (count.is_some() & count.under(upto))),
        )

    none, step, key = jnp.zeros_like(live), jnp.int32(0), jnp.zeros(members.pools, word)
    start, stop = (Count.of([each] * members.pools) for each in (0, size))
    settled = asked.is_settled()
    stop = stop.only(~settled | asked.low.is_some())
    edges, tried = (none, live, none, live), trials(step, key, start)
    search = _Search(
        step, key, start, stop, borders(stop), tried, *edges, settled, asked.low, jnp.bool_(True)
    )
    search = varying_as([(column.scores, column.alive) for column in columns], search)
    end = lax.while_loop(
        lambda s: (s.step < for_key) | ((s.step < steps) & s.is_split), one_digit, search
    )
    some = end.wanted.is_some()
    return Found(
        end.key,
        end.borders,
        live - jnp.where(members.spread(some), end.upto, none),
        end.wanted,
        each_live,
        sums(end.key_upto - end.key_below).only(some),
        end.wanted.less(sums(end.key_below)),
        end.stop,
    )


def _counts(
    columns: Sequence[LeafColumn], members: Membership, keys: jax.Array, borders: jax.Array
) -> jax.Array:
    """Count the entries of each column before three keys: (3, columns)."""
    trials = lax.split(keys.T.reshape(-1), [1] * keys.size)
    places = lax.split(borders, [1] * len(columns))
    counts = [
        count
        for column, pool, place in zip(columns, members.of, places, strict=True)
        for count in column.count(trials[3 * pool : 3 * pool + 3], place)
    ]
    return jnp.stack(counts).reshape(len(columns), -1).T
