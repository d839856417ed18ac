"""multiprune on NumPy in shards.

`--adapter multiprune_conformance.examples.multiprune_shards:InShards`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from multiprune_numpy import backend

import multiprune
from multiprune.column import Column
from multiprune.counting import Counting
from multiprune.cut import Cut
from multiprune.draws import draws_at
from multiprune.plan import Plan, plan
from multiprune.question import Question
from multiprune_conformance.examples.multiprune_arrays import Json, OnNumpy
from multiprune_conformance.examples.multiprune_other_ways import OtherWays
from multiprune_conformance.oracle_encoding import SETTINGS, pruned_now

SHARDS = 3
WHERE = ("scope", "dim", *SETTINGS)


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
        where = {key: options[key] for key in WHERE if key in options}
        own = {key: value for key, value in options.items() if key not in where}
        made, question = Question.of(method, own, **where)
        if question.scope.is_small:
            return done  # rows and groups lie whole on one process
        in_order = [ranked[place] for place in order], question, made, [masks[p] for p in order]
        whole = plan(*in_order, [str(place) for place in order])
        shards = in_shards(whole)
        cuts = _cuts(whole, shards)
        kept = {place: _kept(shards, i, cuts, tensors[place]) for i, place in enumerate(order)}
        return {place: kept[place] for place in done} if isinstance(done, dict) else kept.values()

    def _counts(self, request: Json) -> Json:
        """Count what the masks of all shards prune."""
        return {"counts": pruned_now(request["tensors"], self._prune(request)["masks"])}

    def cut(self, ranked: Plan) -> Cut:
        """Find the cut over all shards."""
        return _cuts(ranked, in_shards(ranked))[0]


def in_shards(ranked: Plan) -> Counting:
    """Deal out the entries of each column."""
    whole = ranked.engine
    assert isinstance(whole, Counting)
    shards = [
        _shard(column, places, ranked.order.seed)
        for column in whole.columns
        for places in _dealt(column)
    ]
    options: Any = {"pools": whole.pools, "size": whole.size, "digit_bits": 5}
    return Counting(shards, whole.key_bits, backend, **options)


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
        column.pool,
    )


def _cuts(ranked: Plan, shards: Counting) -> tuple[Cut, ...]:
    def ask(live: Any) -> Any:
        return ranked.question.bounds(ranked.pools, live, ranked.names, ranked.shapes)

    return shards.cuts(ask, total=list)


def _kept(shards: Counting, place: int, cuts: tuple[Cut, ...], tensor: Any) -> Any:
    """Put the masks of a tensor's shards together."""
    mask = np.zeros(tensor.size, dtype=bool)
    for rank in range(SHARDS):
        number = place * SHARDS + rank
        column = shards.columns[number]
        held, _ = shards.keep(number, cuts, np.empty(column.size))
        assert column.positions is not None
        mask[column.positions(np.arange(column.size)) - column.offset] = held
    return mask.reshape(tensor.shape)
