"""*How many* of each tensor, by a rule that shares out an exact total. Rational numbers only.

Clauses: ALLOC. Source of ERK: Evci, Gale, Menick, Castro and Elsen, "Rigging the lottery: making
all tickets winners", ICML 2020, after Mocanu et al. 2018.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from multiprune.errors import AllocationError
from multiprune.patterns import by_name

__all__ = ["allocate", "check_allocation"]


def check_allocation(allocation: Any) -> None:
    """Check an allocation as the doors take it.

    Raises
    ------
    AllocationError
        If it is not "uniform", "erk" or a mapping to positive shares (a ValueError, a TypeError).
    """
    if isinstance(allocation, Mapping):
        for key, share in allocation.items():
            _share(key, share)
    elif allocation not in ("uniform", "erk"):
        raise AllocationError(
            f'allocation={allocation!r} was given. Rule: it is "uniform", "erk", or a mapping from '
            "names or patterns to shares [ALLOC-01]."
        )


def allocate(
    allocation: Any,
    names: Sequence[str],
    shapes: Sequence[Sequence[int]],
    live: Sequence[int],
    pruned: int,
) -> list[int]:
    """Share out a pruning: how many entries are pruned of each tensor.

    Parameters
    ----------
    allocation : {"uniform", "erk"} or mapping
        "uniform" keeps the same fraction of every tensor; "erk" keeps in proportion to the sum of
        a tensor's dimensions; a mapping gives each tensor a relative density.
    names, shapes : sequence
        Of the tensors.
    live : sequence of int
        How many entries of each are unpruned.
    pruned : int
        How many entries are pruned of all.

    Returns
    -------
    list of int
        They add up to `pruned` exactly.

    Raises
    ------
    AllocationError
        If a mapping does not cover the tensors (a ValueError and a TypeError).

    Notes
    -----
    Clauses ALLOC-02 to ALLOC-05: min(live, eps * weight) entries are kept of each, for the one eps
    at which these add up; a tensor that stays dense takes part with what it has. Rounded down,
    and what is left goes one by one to the largest remainders, the first tensor first.
    """
    weights = _weights(allocation, names, shapes)
    weights = [w if count else Fraction(0) for w, count in zip(weights, live, strict=True)]
    left = sum(live) - pruned
    kept = _shares(weights, live, left)
    counts = [math.floor(share) for share in kept]
    first = sorted(range(len(kept)), key=lambda i: (counts[i] - kept[i], i))
    for i in first[: left - sum(counts)]:
        counts[i] += 1
    return [alive - count for alive, count in zip(live, counts, strict=True)]


def _weights(
    allocation: Any, names: Sequence[str], shapes: Sequence[Sequence[int]]
) -> list[Fraction]:
    if allocation == "erk":
        return [Fraction(sum(shape) if len(shape) else 1) for shape in shapes]
    sizes = [math.prod(shape) for shape in shapes]
    if allocation == "uniform":
        return [Fraction(size) for size in sizes]
    exact = {key: _share(key, share) for key, share in allocation.items()}
    shares = by_name(exact, names, "allocation", AllocationError, complete=True)
    return [share * size for share, size in zip(shares, sizes, strict=True)]


def _shares(weights: Sequence[Fraction], live: Sequence[int], left: int) -> list[Fraction]:
    """Return min(live, eps * weight) of each tensor, for the eps that adds up to `left`."""
    kept = [Fraction(0)] * len(live)
    order = sorted(
        (i for i, weight in enumerate(weights) if weight), key=lambda i: live[i] / weights[i]
    )
    rest = sum((weights[i] for i in order), Fraction(0))
    remaining = Fraction(left)
    for place, i in enumerate(order):
        # In this order tensors stay dense one after another, until eps fits the others.
        if remaining * weights[i] < live[i] * rest:
            for j in order[place:]:
                kept[j] = remaining * weights[j] / rest
            break
        kept[i] = Fraction(live[i])
        remaining -= live[i]
        rest -= weights[i]
    return kept


def _share(name: Any, share: Any) -> Fraction:
    number = share.item() if getattr(share, "shape", None) == () else share
    if isinstance(number, (numbers.Rational, float)) and not isinstance(number, bool):
        exact = Fraction(number) if math.isfinite(number) else Fraction(0)
        if exact > 0:
            return exact
    raise AllocationError(
        f"allocation[{name!r}]={share!r} was given. Rule: a share is a positive finite number, the "
        "density relative to the other tensors' [ALLOC-04]. Leave tensors out with exclude to "
        "keep them dense."
    )
