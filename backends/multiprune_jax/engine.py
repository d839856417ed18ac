"""The engine of the algebra for arrays that are not in the memory of one CPU.

One program finds the cuts and makes the masks where the arrays are: on an accelerator, or over a
mesh. What comes to the host is a few numbers of each tensor.
Clauses: RANK-03, RANK-06, MASK-01.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from multiprune.cut import Cut
from multiprune.order import Order
from multiprune.question import Question
from multiprune.scope import Pools
from multiprune.search import Ask, Sum
from multiprune_jax.asked import Asked
from multiprune_jax.ranking import Masks, compiled, compiled_local, count_live, count_rows
from multiprune_jax.report import count_kept
from multiprune_jax.traced import Found

__all__ = ["Compiled"]


class Compiled:
    """Arrays with values that stay where they are; a `multiprune.backend.Engine`.

    Parameters
    ----------
    scores : sequence of array
        In the order of positions; of one device, or of one mesh.
    masks : sequence of (array or None)
        Prior masks, checked.
    order : Order
    question : Question
    pools : Pools
    """

    def __init__(
        self,
        scores: Sequence[jax.Array],
        masks: Sequence[Any],
        order: Order,
        question: Question,
        pools: Pools,
    ) -> None:
        self.scores, self.order, self.question, self.pools = list(scores), order, question, pools
        self.masks: Masks = [None if m is None else jnp.asarray(m, jnp.bool_) for m in masks]
        self._kept: Sequence[jax.Array] = ()
        self._counts: Sequence[int] = ()

    def cuts(self, ask: Ask, *, total: Sum = lambda rows: rows) -> tuple[Cut, ...]:
        """Return the cut of each pool; rows and groups have cuts, and none is returned."""
        scope, shapes = self.question.scope, [score.shape for score in self.scores]
        if scope.is_small:
            counts = None
            if scope.kind == "row":
                names = [label.removeprefix("tensor ") for label in self.pools.labels]
                counts = [
                    count_rows(self.question, shape, mask, name)
                    for shape, mask, name in zip(shapes, self.masks, names, strict=True)
                ]
            self._kept = compiled_local(self.scores, self.masks, counts, self.order, scope)
            self._counts = [count_kept(mask) for mask in self._kept]
            return ()
        asked = Asked.of(ask(count_live(shapes, self.masks, self.pools)))
        self._kept, cuts = compiled(self.scores, self.masks, self.order, self.pools.of, asked)
        self._counts = np.asarray(cuts.kept).tolist()
        return _cuts(cuts)

    def keep(self, column: int, cuts: Sequence[Cut], like: jax.Array) -> tuple[jax.Array, int]:
        """Return one tensor's mask; see `multiprune.backend.Engine`."""
        return self._kept[column], math.prod(like.shape) - self._counts[column]


def _cuts(cuts: Found) -> tuple[Cut, ...]:
    """Return cuts as Python numbers.

    Of tied entries that are split, a position is not that of the last one that is pruned, but of
    any entry between that and the first one that is kept.
    """
    keys = np.asarray(cuts.threshold).tolist()
    numbers = (cuts.stop, cuts.ties, cuts.tied_pruned, cuts.pruned, cuts.live)
    return tuple(
        Cut(key, stop - 1, ties, tied, count, live) if count else Cut(-1, -1, 0, 0, 0, live)
        for key, stop, ties, tied, count, live in zip(
            keys, *(number.ints() for number in numbers), strict=True
        )
    )
