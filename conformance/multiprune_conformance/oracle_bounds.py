"""The oracle's bounds: a total within limits of each tensor, by plain greedy (SPEC.md 17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multiprune_conformance.oracle_counts import as_number
from multiprune_conformance.oracle_dtypes import Array, Refused
from multiprune_conformance.oracle_names import by_name


def limits(
    bounds: Mapping[str, Any], names: Sequence[str], live: Sequence[Array], total: int
) -> tuple[list[int], list[int]]:
    """Return between how many and how many entries of each tensor are pruned (BOUND-05).

    Parameters
    ----------
    bounds
        Those of keep_at_least, prune_at_most and prune_at_least that are given.
    names, live
        The name and the live entries of each tensor.
    total
        How many entries are pruned of all.
    """
    settings_of = {bound: settings(value, names) for bound, value in bounds.items()}
    low, high = [], []
    for place, mask in enumerate(live):
        alive = int(mask.sum())
        dead, most, least = mask.size - alive, alive, 0
        for bound, values in settings_of.items():
            number = values[place]
            if number is None:
                continue
            n = entries(number, mask, bound)
            if bound == "keep_at_least":
                most = min(most, alive - n)
            elif bound == "prune_at_most":
                most = min(most, n - dead)
            else:
                least = max(least, n - dead)
        low.append(least)
        high.append(max(0, most))
    if wrong := [name for name, a, b in zip(names, low, high, strict=True) if a > b]:
        raise Refused("bounds", f"those of {wrong} contradict each other")  # BOUND-05
    if not sum(low) <= total <= sum(high):
        raise Refused("bounds", f"{total} is not in [{sum(low)}, {sum(high)}]")  # BOUND-06
    return low, high


def settings(value: Any, names: Sequence[str]) -> list[int | float | None]:
    """Return the setting of a bound for each tensor (BOUND-08)."""
    if not isinstance(value, Mapping):
        return [as_number(value)] * len(names)
    tagged = {key: (type(n), n) for key, n in ((k, as_number(v)) for k, v in value.items())}
    return [None if pair is None else pair[1] for pair in by_name(tagged, names, "bounds")]


def entries(number: int | float, live: Array, bound: str) -> int:
    """Return a bound of a tensor in entries, of all that it has (BOUND-02 to -04, BOUND-09)."""
    if isinstance(number, int):
        return number
    if live.size == 0:
        return 0
    shares = np.arange(live.size + 1) / np.float64(live.size)
    if bound == "prune_at_most":
        return int(np.flatnonzero(shares <= number)[-1])
    return int(np.flatnonzero(shares >= number)[0])


def within(order: Array, tensor: Array, low: list[int], high: list[int], total: int) -> Array:
    """Return the optimum: `total` entries of least ranks, each tensor within its limits (BOUND-01).

    Every choice within the limits gets better, and stays within them, when the entries of a
    tensor are exchanged for its first ones. So some optimum holds the `low` first entries of
    each tensor. What it holds beyond them is at most `high - low` of each tensor and
    `total - sum(low)` of all: the independent sets of a partition matroid, cut off at a size,
    on which taking whatever still fits, in order, is optimal. Ranks differ, so there is one.

    Parameters
    ----------
    order
        All live entries in the order of (key, position).
    tensor
        The tensor of each position.
    low, high, total
        The limits, which can be met.
    """
    taken, pruned = [0] * len(low), []
    for entry in order:
        if taken[tensor[entry]] < low[tensor[entry]]:
            taken[tensor[entry]] += 1
            pruned.append(entry)
    first = set(pruned)
    for entry in order:
        if (
            len(pruned) < total
            and entry not in first
            and taken[tensor[entry]] < high[tensor[entry]]
        ):
            taken[tensor[entry]] += 1
            pruned.append(entry)
    return np.array(pruned, dtype=np.int64)
