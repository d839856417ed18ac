"""multiprune on NumPy in shards.

`--adapter multiprune_conformance.examples.multiprune_shards:InShards`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from multiprune_numpy import backend

import multiprune
from multiprune.counting import BlockEntries, Column
from multiprune.cut import Cut
from multiprune.draws import draws_at
from multiprune.plan import Ranking
from multiprune.ranking import find_cut
from multiprune_conformance.examples.multiprune_arrays import Json, OnNumpy
from multiprune_conformance.examples.multiprune_other_ways import OtherWays

SHARDS = 3


class InShards(OtherWays):
    """Tensors whose entries are dealt to three shards, as processes of a large model hold them.

    A shard knows the positions of its entries, and nothing of the others; the last one holds them
    backwards. Digits have five bits, as short as an exchange between processes may want them, and
    blocks are small.
    """

    name = "NumPy, in shards"

    def prune(self, tensors: Any, method: Any, scores: Any, masks: Any, options: Json) -> Any:
        """Prune in shards what can be pruned at all."""
        done = OnNumpy.prune(self, tensors, method, scores, masks, options)
        if method is multiprune.Identity:
            return done
        order = sorted(tensors) if isinstance(tensors, dict) else range(len(tensors))
        ranked = tensors if scores is None else scores
        ranking = Ranking(
            [ranked[place] for place in order], method(**options), [masks[p] for p in order]
        )
        entries = in_shards(ranking)
        cut = _cut(ranking, entries)
        kept = {place: _kept(entries, i, cut, tensors[place]) for i, place in enumerate(order)}
        return {place: kept[place] for place in done} if isinstance(done, dict) else kept.values()

    def cut(self, ranking: Ranking) -> Cut:
        """Find the cut over all shards."""
        return _cut(ranking, in_shards(ranking))


def in_shards(ranking: Ranking) -> BlockEntries:
    """Deal out the entries of each column."""
    whole = ranking.entries
    assert isinstance(whole, BlockEntries)
    shards = [
        _shard(column, places, ranking.seed)
        for column in whole.columns
        for places in _dealt(column)
    ]
    return BlockEntries(shards, whole.key_bits, backend, size=whole.size, digit_bits=5)


def _dealt(column: Column) -> list[Any]:
    """Return the flat indices that each shard of a column holds."""
    *others, last = [np.arange(rank, column.size, SHARDS) for rank in range(SHARDS)]
    return [*others, last[::-1]]


def _shard(column: Column, places: Any, seed: int | None) -> Column:
    positions = places + column.offset
    if seed is None:
        keys = column.keys(0, column.size)[places]
    else:
        keys = draws_at(seed, positions.astype(np.uint64), xp=np)
    alive = None if column.alive is None else column.alive(0, column.size)[places]
    return Column(
        places.size,
        column.offset,
        lambda start, stop: keys[start:stop],
        None if alive is None else lambda start, stop: alive[start:stop],
        lambda indices: positions[indices],
    )


def _cut(ranking: Ranking, entries: BlockEntries) -> Cut:
    count = ranking.method.target.count
    return find_cut(entries, lambda live: count(entries.size, live), total=list)


def _kept(entries: BlockEntries, place: int, cut: Cut, tensor: Any) -> Any:
    """Put the masks of a tensor's shards together."""
    mask = np.zeros(tensor.size, dtype=bool)
    for rank in range(SHARDS):
        number = place * SHARDS + rank
        column = entries.columns[number]
        held, _ = entries.keep(number, cut, np.empty(column.size))
        assert column.positions is not None
        mask[column.positions(np.arange(column.size)) - column.offset] = held
    return mask.reshape(tensor.shape)
