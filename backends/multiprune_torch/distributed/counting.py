"""The entries of a sharded model, as one process counts them.

Every process counts what it owns, and writes the masks of all that it holds. Who owns what is
agreed on once, and the first counting pass carries the proof along: what is owned adds up to every
entry exactly once, and replicas are equal.
Clauses: SHARD-01, SHARD-03, SHARD-04.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
import torch

from multiprune.backend import Engine
from multiprune.column import Column
from multiprune.counting import Counting
from multiprune.digits import digit_bits_for
from multiprune.draws import draws_at
from multiprune.keys import promote
from multiprune.local import Local
from multiprune.order import Order
from multiprune.question import Question
from multiprune.scope import Pools, Scope
from multiprune.search import Rows, Sum
from multiprune_torch.backend import backend
from multiprune_torch.distributed.layout import Layout
from multiprune_torch.distributed.replicas import WORD, checksum_of
from multiprune_torch.errors import LayoutError, ProcessesError

__all__ = ["COUNTERS", "DIGIT_BITS", "Shard", "ShardedEntries"]

DIGIT_BITS = 11
"""Bits of a counting pass: 2048 counters, 16 KiB, go around."""
COUNTERS = 1 << 14
"""So many counters at most, 128 KiB, go around at a time, where there are pools."""


@dataclass(frozen=True)
class Shard:
    """What a process holds of one parameter.

    Attributes
    ----------
    where : str
        The parameter, for messages.
    layout : Layout
    scores : torch.Tensor
        Its part of what is ranked.
    prior : torch.Tensor or None
        Its part of the present mask.
    copied : bool
        Whether other processes hold the same entries, as far as the layout says.
    """

    where: str
    layout: Layout
    scores: torch.Tensor
    prior: torch.Tensor | None
    copied: bool


class ShardedEntries:
    """The live entries of all processes, ranked together.

    Parameters
    ----------
    shards : sequence of Shard
        In the order of positions, which is the same on every process.

    Attributes
    ----------
    size : int
        How many entries there are on all processes, each counted once.
    order : Order
        How they are ordered.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = shards
        self.order = Order(promote(backend.dtype_name(s.scores) for s in shards))
        *self._offsets, self.size = [0, *accumulate(prod(s.layout.shape) for s in shards)]
        columns = self._columns(self.order, [0] * len(shards))
        self._checksums = [
            checksum_of(c) if s.copied else 0 for s, c in zip(shards, columns, strict=True)
        ]

    def own(self, owners: Sequence[int], seed: int | None) -> None:
        """Settle which process counts what, and by which keys.

        Parameters
        ----------
        owners : sequence of int
            For each parameter the lowest rank that holds a part of the copy that is counted.
        seed : int or None
            Of random keys; None ranks by magnitude.
        """
        self.order = Order(self.order.format, seed=seed)
        self.owned = [
            s.layout.first and s.layout.copy == o for s, o in zip(self.shards, owners, strict=True)
        ]

    def engines(
        self, question: Question, pools: Pools, names: Sequence[str]
    ) -> tuple[Engine, Engine]:
        """Return what ranks the entries that are counted here, and what masks those held here.

        Parameters
        ----------
        question : Question
        pools : Pools
            Of whole parameters.
        names : sequence of str
        """
        columns = self._columns(self.order, pools.of)
        if question.scope.is_small:
            shapes = [tuple(map(len, s.layout.indices)) for s in self.shards]
            local = Local(columns, names, shapes, question.scope, question.target, backend)
            return local, local
        counted = [c for c, owned in zip(columns, self.owned, strict=True) if owned]
        count = len(pools.sizes)
        bits = digit_bits_for(count, DIGIT_BITS, COUNTERS)
        options: Any = {"pools": count, "size": self.size, "digit_bits": bits}
        ours, held = (
            Counting(each, self.order.bits, backend, **options) for each in (counted, columns)
        )
        return ours, held

    def check_whole(self, scope: Scope) -> None:
        """Check that every row or group lies whole on one process.

        Raises
        ------
        LayoutError
            If it is cut (a TypeError and a ValueError).
        """
        for shard in self.shards:
            shape, indices = shard.layout.shape, shard.layout.indices
            if len(shape) < 2 or not shard.layout.member:
                continue  # refused elsewhere, or no part of it here
            dim = scope.dim % len(shape)
            inside = [dim] if scope.kind == "group" else [d for d in range(len(shape)) if d != dim]
            if any(len(indices[d]) != shape[d] for d in inside):
                raise LayoutError(
                    f"{shard.where} is sharded along a dimension that its {scope} pools run along "
                    f"(dim={scope.dim}). Rule: a row or group lies whole on one process "
                    "[SHARD-08]. Shard it along another dimension (FSDP2 shards dim 0), "
                    'redistribute it, or rank by scope="tensor" or "global".'
                )

    def total(self, add: Callable[[Sequence[int]], Sequence[int]]) -> Sum:
        """Return the sum over processes, which checks the ownership in its first call.

        Parameters
        ----------
        add : callable
            Adds integers over all processes.

        Raises
        ------
        ProcessesError
            In that call, on every process: if an entry is counted by none or by several, or if
            replicas differ (a RuntimeError).
        """
        waiting = [self.proof()]

        def total(rows: Rows) -> Rows:
            proof = waiting.pop() if waiting else []
            counts = [int(count) for row in rows for count in row]
            sums = add([*counts, *proof])
            if proof:
                self._check(iter(sums[len(counts) :]))
            width = len(rows[0]) if rows else 0
            return [sums[i * width : (i + 1) * width] for i in range(len(rows))]

        return total

    def proof(self) -> list[int]:
        """Return for each parameter the entries owned; for replicas, also those held, and sums."""
        proof = []
        for shard, owned, checksum in zip(self.shards, self.owned, self._checksums, strict=True):
            mine = 1 if owned else 0
            proof.append(mine * shard.layout.size)
            if shard.copied:
                proof += [shard.layout.size, mine * checksum, checksum]
        return proof

    def _check(self, counts: Iterator[int]) -> None:
        for shard in self.shards:
            owned, size = next(counts), prod(shard.layout.shape)
            if owned != size:
                raise ProcessesError(
                    f"{shard.where} has {size} entries, and the processes own {owned} of them. "
                    "Rule: every entry is counted by exactly one process [SHARD-03]. Do all "
                    "processes of its mesh belong to the process group, and is it cut alike on all?"
                )
            if not shard.copied:
                continue
            present, checksum, checksums = (next(counts) for _ in range(3))
            if size and (checksum * (present // size) - checksums) % WORD:
                raise ProcessesError(
                    f"{shard.where} has other values, or another mask, on some of the "
                    f"{present // size} processes that hold a replica of it. Rule: replicas are "
                    "equal bit by bit, or masks would differ [SHARD-03]. Broadcast it from one of "
                    "them first; was each built from another seed, or trained alone?"
                )

    def _columns(self, order: Order, pools: Sequence[int]) -> list[Column]:
        placed = zip(self.shards, self._offsets, pools, strict=True)
        return [_column(shard, offset, order, pool) for shard, offset, pool in placed]


def _column(shard: Shard, offset: int, order: Order, pool: int) -> Column:
    layout, prior, seed = shard.layout, shard.prior, order.seed
    start = layout.start

    def keys(i: int, j: int) -> Any:
        if seed is None:
            return backend.keys(backend.flat(shard.scores, i, j), order.format, signed=False)
        if start is not None:
            return backend.draws(seed, offset + start + i, offset + start + j)
        positions = layout.positions(np.arange(i, j), offset)
        return draws_at(seed, positions.astype(np.uint64), xp=np)

    def alive(i: int, j: int) -> Any:
        assert prior is not None
        block = backend.flat(prior, i, j)
        return backend.alive(block if seed is None else block.cpu())  # beside the keys

    return Column(
        layout.size,
        offset + (start or 0),
        keys,
        None if prior is None else alive,
        None if start is not None else lambda indices: layout.positions(indices, offset),
        pool,
    )
