"""*How many* entries are pruned of each pool, static or traced, and when a bound decides it.

Numbers that are known are those of `multiprune.question`, refused where it refuses them. Of what is
traced nothing can be refused: more than is left is all that is left, and bounds that cannot be met
are met as nearly as they can.
Clauses: AMT, SCOPE, BOUND.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental.checkify import debug_check

from multiprune.amount import Target
from multiprune.bounds import Bounds, Limits
from multiprune.errors import AllocationError, AmountTypeError, SeedError
from multiprune.question import Question
from multiprune.scope import Pools
from multiprune_jax.counts import Count

__all__ = ["Ask", "Asked", "asker", "at_most", "check_traced", "count_traced", "digit_of"]


class Asked(NamedTuple):
    """How many entries are pruned.

    Attributes
    ----------
    low, high : Count, shape (pools,)
        At least and at most so many of each pool.
    total : Count, optional
        How many of all, from the sum of `low` to that of `high`; None where `low` is `high`.
    """

    low: Count
    high: Count
    total: Count | None = None

    @classmethod
    def of(cls, bounds: Bounds) -> Asked:
        """Take over bounds that are known."""
        low, high = Count.of(bounds.low), Count.of(bounds.high)
        if list(bounds.low) == list(bounds.high):
            return cls(low, high)
        return cls(low, high, Count.of(bounds.total))

    def is_settled(self) -> jax.Array:
        """Whether the bounds leave a pool no choice."""
        if self.total is None:
            return jnp.ones(self.low.low.shape, bool)
        return ~self.low.under(self.high) | ~self.low.sum().under(self.total)

    def pruned(self, edges: Count, settled: jax.Array, count: Count) -> Count:
        """Count what is pruned of all pools if the cut of those not settled lies at an edge."""
        return count.where(settled, edges.clamp(self.low, self.high)).sum()

    def settle(
        self, edges: Count, digit: jax.Array, settled: jax.Array, count: Count
    ) -> tuple[jax.Array, Count]:
        """Settle pools that reach a bound before or after the digit that is shared."""
        before, below = edges.rows(0, 1).pick(digit), edges.rows(0, 4).pick(digit)
        upto = edges.rows(1, 5).pick(digit)
        # A pool that reached its lower bound before this prefix is not held by it.
        at_low = ~settled & before.under(self.low) & ~self.low.under(upto)
        at_high = ~settled & ~at_low & ~below.under(self.high)
        count = self.low.where(at_low, self.high.where(at_high, count))
        return settled | at_low | at_high, count


Ask = Callable[[Count], Asked]
"""Says how many entries are pruned, given how many are live in each pool."""


def digit_of(edges: Count, goal: Count) -> jax.Array:
    """Return the digit with which a goal is reached, by counts at the five edges of digits."""
    return jnp.sum(edges.rows(1, 4).under(goal), axis=0, dtype=jnp.uint32)


def asker(
    question: Question,
    pools: Pools,
    names: Sequence[str],
    shapes: Sequence[Sequence[int]],
    live: Sequence[int] | None,
    amount: jax.Array | None,
) -> Ask:
    """Return what says how many entries are pruned of each pool.

    Parameters
    ----------
    question : Question
    pools : Pools
    names, shapes : sequence
        Of the leaves.
    live : sequence of int, optional
        How many entries of each pool are unpruned; None if that is traced.
    amount : integer array, optional
        A traced amount, instead of the question's.

    Raises
    ------
    AmountTypeError, AllocationError
        If the answer takes numbers that are traced (TypeErrors).
    AmountError, SparsityError, BoundsError
        If what is known refuses it (ValueErrors).
    """
    if live is not None and amount is None:
        asked = Asked.of(question.bounds(pools, live, names, shapes))
        return lambda _: asked
    if question.allocation is not None:
        raise AllocationError(
            f"allocation={question.allocation!r} was given with a traced amount or traced masks. "
            "Rule: shares are exact fractions [ALLOC-03], and a traced function has none. Pass "
            "the masks or the amount as values, static arguments of the jitted function."
        )
    sizes, target = [prod(shape) for shape in shapes], question.target
    if not question.limits:
        wanted = count_traced(target, amount, pools.sizes)
        return lambda each: Asked(*(at_most(wanted(each), each),) * 2)
    total = count_traced(target, amount, [sum(sizes)])
    limits = _limits(question.limits, names, sizes, live)

    def ask(each: Count) -> Asked:
        low, high = limits(each)
        all_live = Count(*(part[None] for part in each.sum()))
        wanted = Count(*(part[0] for part in total(all_live)))
        least, most = low.sum(), high.sum()
        met = ~(wanted.under(least) | most.under(wanted))
        debug_check(met, "the bounds leave no room for the amount [BOUND-06]")
        return Asked(low, high, wanted.clamp(least, most))

    return ask


def at_most(wanted: Count, live: Count) -> Count:
    """Return what is wanted, or all that is live; under `checkify` wanting more is an error."""
    debug_check(
        ~jnp.any(live.under(wanted)), "the amount is more than the entries still unpruned [AMT-11]"
    )
    return wanted.least(live)


def count_traced(
    target: Target, amount: jax.Array | None, sizes: Sequence[int]
) -> Callable[[Count], Count]:
    """Return what counts the entries to prune of pools of these sizes, given how many are live.

    Raises
    ------
    AmountTypeError
        If it is a fraction of what is live (a TypeError).
    """
    if amount is not None:
        debug_check(amount >= 0, "the amount is negative [AMT-10]")
        traced = Count.of_traced(amount)
        return lambda live: Count(*(jnp.broadcast_to(part, live.low.shape) for part in traced))
    if isinstance(target.amount, int):
        static = Count.of([min(target.amount, size + 1) for size in sizes])
        return lambda live: static
    if target.sparsity is not None:
        kept = Count.of([size - round(target.sparsity * size) for size in sizes])

        def reached(live: Count) -> Count:
            below = ~jnp.any(live.under(kept))
            debug_check(below, "more is pruned already than sparsity asks for [AMT-14]")
            return live.less(kept)

        return reached
    raise AmountTypeError(
        f"amount={target.amount} was given with traced masks. Rule: a float amount is a fraction "
        "of the entries still unpruned [AMT-02], and how many those are is not known under jit. "
        "Pass an int amount (it may be traced), or sparsity=, the fraction of all."
    )


def _limits(
    limits: Limits, names: Sequence[str], sizes: Sequence[int], live: Sequence[int] | None
) -> Callable[[Count], tuple[Count, Count]]:
    """Return what bounds the entries to prune of each leaf, given how many are live."""
    keep, most, least = (
        Limits(**{name: getattr(limits, name)}).bounds(names, sizes, sizes, total)
        for name, total in (
            ("keep_at_least", 0),
            ("prune_at_most", 0),
            ("prune_at_least", sum(sizes)),
        )
    )
    if live is not None:  # only the amount is traced: contradictions are refused
        dead = [size - alive for size, alive in zip(sizes, live, strict=True)]
        must = sum(max(0, n - gone) for n, gone in zip(least.low, dead, strict=True))
        known = limits.bounds(names, sizes, live, must)
        bounds = Count.of(known.low), Count.of(known.high)
        return lambda _: bounds
    all_of, kept = Count.of(sizes), Count.of([s - h for s, h in zip(sizes, keep.high, strict=True)])

    def of(each: Count) -> tuple[Count, Count]:
        gone: Any = all_of.less(each)
        high = each.less(kept).least(Count.of(most.high).less(gone))
        return Count.of(least.low).less(gone).least(high), high

    return of


def check_traced(amount: Any, sparsity: Any, seed: Any) -> None:
    """Refuse tracers where a number is needed."""
    if isinstance(seed, jax.core.Tracer):
        raise SeedError(
            f"seed is traced, {seed.aval}. Rule: a seed is a Python int [RAND-02]. Make it a "
            "static argument of the jitted function."
        )
    if isinstance(sparsity, jax.core.Tracer):
        raise AmountTypeError(
            f"sparsity is traced, {sparsity.aval}. Rule: a fraction is multiplied in float64 "
            "[AMT-02], which a traced function has not. Make it a static argument, or pass the "
            "count as a traced int amount."
        )
    if isinstance(amount, jax.core.Tracer) and (
        amount.shape != () or not jnp.issubdtype(amount.dtype, jnp.integer)
    ):
        raise AmountTypeError(
            f"amount is traced, {amount.aval}. Rule: a traced amount is an integer without "
            "dimensions, the count itself, for a fraction is multiplied in float64 [AMT-02]. "
            "Compute the count outside, round(amount * entries), or make amount a static argument."
        )
