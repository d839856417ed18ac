"""The oracle's allocations: an exact total shared out in rational numbers (SPEC.md 18)."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from multiprune_conformance.oracle_dtypes import Refused
from multiprune_conformance.oracle_names import by_name

Shape = tuple[int, ...]


def allocated(
    allocation: Any, names: Sequence[str], shapes: Sequence[Shape], live: Sequence[int], total: int
) -> list[int]:
    """Return how many entries of each tensor are pruned (ALLOC-01 to ALLOC-05).

    Parameters
    ----------
    allocation
        "uniform", "erk", or shares by name.
    names, shapes, live
        The name, the shape and the number of live entries of each tensor.
    total
        How many entries are pruned of all.
    """
    kept = whole(exact(weights(allocation, names, shapes), live, sum(live) - total))
    return [alive - n for alive, n in zip(live, kept, strict=True)]


def weights(allocation: Any, names: Sequence[str], shapes: Sequence[Shape]) -> list[Fraction]:
    """Return the weight of each tensor (ALLOC-02 to ALLOC-04)."""
    sizes = [math.prod(shape) for shape in shapes]
    if isinstance(allocation, Mapping):
        share_of = {key: as_share(value) for key, value in allocation.items()}
        shares = by_name(share_of, names, "allocation")
        if None in shares:
            raise Refused("allocation", f"{names[shares.index(None)]} has no share")
        return [share * size for share, size in zip(shares, sizes, strict=True)]
    if not isinstance(allocation, str) or allocation not in {"uniform", "erk"}:
        raise Refused("allocation", f"{allocation!r} is not an allocation")
    if allocation == "uniform":
        return [Fraction(size) for size in sizes]
    return [Fraction(sum(shape)) if shape else Fraction(1) for shape in shapes]


def as_share(value: Any) -> Fraction:
    """Read a share as an exact rational number, or refuse it (ALLOC-08)."""
    if isinstance(value, np.generic) or getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (numbers.Rational, float)):
        raise Refused("allocation", f"{value!r} is not a number")
    if not math.isfinite(value) or value <= 0:
        raise Refused("allocation", f"the share {value} is not positive and finite")
    return Fraction(value)


def exact(weight: Sequence[Fraction], live: Sequence[int], keep: int) -> list[Fraction]:
    """Return min(live, eps * weight) of each tensor, with the sum `keep` (ALLOC-05, ALLOC-10).

    Tensors that one eps would fill are filled, and the rest is shared out again with what is
    left; eps only grows by this, so that what was filled once is full in the end.
    """
    shares = [Fraction(0)] * len(live)
    open_ = [place for place, alive in enumerate(live) if alive and weight[place]]
    left = Fraction(keep)
    while open_:
        eps = left / sum(weight[place] for place in open_)
        dense = [place for place in open_ if eps * weight[place] >= live[place]]
        for place in dense or open_:
            shares[place] = Fraction(live[place]) if dense else eps * weight[place]
        if not dense:
            break
        left -= sum(live[place] for place in dense)
        open_ = [place for place in open_ if place not in dense]
    return shares


def whole(shares: Sequence[Fraction]) -> list[int]:
    """Round shares so that their sum is kept: down, and by largest remainder (ALLOC-05)."""
    floors = [share.numerator // share.denominator for share in shares]
    remainders = [share - floor for share, floor in zip(shares, floors, strict=True)]
    missing = int(sum(remainders))
    first = sorted(range(len(shares)), key=lambda place: -remainders[place])  # stable
    for place in first[:missing]:
        floors[place] += 1
    return floors
