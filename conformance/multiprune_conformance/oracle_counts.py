"""The oracle's counts: how many entries an amount or a sparsity asks for (SPEC.md 1)."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from multiprune_conformance.oracle_dtypes import Array, Refused


def as_number(amount: Any) -> int | float:
    """Turn an amount into a Python int or float, or refuse it (AMT-07 to AMT-10)."""
    if isinstance(amount, np.generic) or getattr(amount, "shape", None) == ():
        amount = amount.item()
    if isinstance(amount, bool) or not isinstance(amount, numbers.Real):
        raise Refused("amount-type", f"{amount!r} is not a number")  # AMT-08, AMT-09
    if isinstance(amount, numbers.Integral):
        if amount < 0:
            raise Refused("amount-out-of-range", f"{amount} is negative")
        return int(amount)
    try:
        fraction = float(amount)
    except OverflowError:
        fraction = float("inf")
    if not 0.0 <= fraction <= 1.0:  # NaN compares false and is refused as well
        raise Refused("amount-out-of-range", f"{fraction} is not in [0, 1]")
    return fraction


def count(amount: Any, live: int) -> int:
    """Return how many of the live entries are pruned (AMT-01 to AMT-12)."""
    number = as_number(amount)
    if isinstance(number, float):
        return round(number * live)  # float64 product, half to even (AMT-02)
    if number > live:
        raise Refused("amount-too-large", f"{number} of {live} live entries")  # AMT-11
    return number


def count_sparsity(sparsity: Any, total: int, pruned: int) -> int:
    """Return how many more entries are pruned to reach a target over all (AMT-13 to AMT-15)."""
    fraction = as_number(sparsity)
    if not isinstance(fraction, float):
        raise Refused("amount-type", f"the sparsity {fraction} is an integer")
    target = round(fraction * total)
    if target < pruned:
        raise Refused("sparsity-below-current", f"{target} below the {pruned} pruned already")
    return target - pruned


def check(amount: Any, sparsity: Any) -> None:
    """Refuse what is not a request, however many entries there are."""
    if (amount is None) == (sparsity is None):
        raise Refused("amount-type", "give one of amount and sparsity")  # AMT-16
    if sparsity is None:
        as_number(amount)
    else:
        count_sparsity(sparsity, 0, 0)


def how_many(amount: Any, sparsity: Any, live: Array) -> int:
    """Return how many of some entries a request prunes, given which of them are live."""
    check(amount, sparsity)
    alive = int(live.sum())
    if sparsity is None:
        return count(amount, alive)  # AMT-03: of what is live
    return count_sparsity(sparsity, live.size, live.size - alive)
