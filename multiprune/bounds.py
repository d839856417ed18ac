"""*How many* of each pool: a total, and between how many and how many of each.

Clauses: BOUND. Python numbers only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multiprune.amount import as_amount
from multiprune.errors import BoundsError
from multiprune.patterns import by_name

__all__ = ["Bounds", "Limits"]


@dataclass(frozen=True)
class Bounds:
    """How many entries are pruned: `total` of all, and of each pool from `low` to `high`."""

    total: int
    low: Sequence[int]
    high: Sequence[int]

    @classmethod
    def exactly(cls, counts: Sequence[int]) -> Bounds:
        """Prune so many entries of each pool."""
        return cls(sum(counts), counts, counts)


@dataclass(frozen=True)
class Limits:
    """What must be left of each tensor, and what must be pruned of it, in the end.

    Attributes
    ----------
    keep_at_least, prune_at_most, prune_at_least : int, float or mapping, optional
        How many entries, or which fraction of all entries of a tensor; by name or pattern where
        they differ.

    Notes
    -----
    Clauses BOUND-02 to BOUND-05. Counted over all entries of a tensor, those that were pruned
    earlier included, so that the bounds are the same in every round.
    """

    keep_at_least: Any = None
    prune_at_most: Any = None
    prune_at_least: Any = None

    def __post_init__(self) -> None:
        for name, setting in self._given():
            values = setting.values() if isinstance(setting, Mapping) else [setting]
            for value in values:
                as_amount(value, name)

    def __bool__(self) -> bool:
        return bool(self._given())

    def bounds(
        self, names: Sequence[str], sizes: Sequence[int], live: Sequence[int], total: int
    ) -> Bounds:
        """Return the bounds of a pruning.

        Parameters
        ----------
        names : sequence of str
        sizes, live : sequence of int
            How many entries each tensor has, and how many are unpruned.
        total : int
            How many are pruned of all.

        Raises
        ------
        BoundsError
            If they cannot be met (a ValueError and a TypeError).
        """
        keep = self._entries("keep_at_least", names, sizes, _least)
        most = self._entries("prune_at_most", names, sizes, _greatest)
        least = self._entries("prune_at_least", names, sizes, _least)
        low, high = [], []
        for i, (size, alive) in enumerate(zip(sizes, live, strict=True)):
            dead, limits = size - alive, [alive]
            limits += [alive - n for n in (keep[i],) if n is not None]
            limits += [n - dead for n in (most[i],) if n is not None]
            high.append(max(0, min(limits)))
            low.append(max(0, (least[i] or 0) - dead))
        self._check(names, low, high, total)
        return Bounds(total, low, high)

    def held(self, pruned: int, low: int, high: int, live: int) -> str:
        """Return the name of the bound that decided how many entries of a tensor are pruned."""
        if pruned == high < live:
            return "prune_at_most" if self.keep_at_least is None else "keep_at_least"
        return "prune_at_least" if pruned == low > 0 else ""

    def _given(self) -> list[tuple[str, Any]]:
        return [(name, value) for name, value in vars(self).items() if value is not None]

    def _entries(
        self,
        parameter: str,
        names: Sequence[str],
        sizes: Sequence[int],
        part: Callable[[float, int], int],
    ) -> list[int | None]:
        """Return a limit in entries of each tensor; None where there is none."""
        setting = getattr(self, parameter)
        if not isinstance(setting, Mapping):
            values = [setting] * len(names)
        else:
            values = by_name(setting, names, parameter, BoundsError, complete=False)
        limits: list[int | None] = []
        for value, size in zip(values, sizes, strict=True):
            limit = None if value is None else as_amount(value, parameter)
            limits.append(part(limit, size) if isinstance(limit, float) else limit)
        return limits

    def _check(
        self, names: Sequence[str], low: Sequence[int], high: Sequence[int], total: int
    ) -> None:
        """Check that the bounds can be met."""
        wrong = [
            f"{name} ({least} to {most})"
            for name, least, most in zip(names, low, high, strict=True)
            if least > most
        ]
        text = ", ".join(f"{name}={value!r}" for name, value in self._given())
        if wrong:
            raise BoundsError(
                f"{text} contradict each other: entries to prune now of {_some(wrong)}. Rule: of "
                "each tensor at least as many may be pruned as must be [BOUND-05]. Relax one of "
                "them for these tensors, by name."
            )
        if sum(low) <= total <= sum(high):
            return
        nearest, at = (sum(low), low) if total < sum(low) else (sum(high), high)
        held = [f"{name} ({n})" for name, n in zip(names, at, strict=True)]
        raise BoundsError(
            f"{total} entries are to be pruned, and {text} allow "
            f"{'no fewer' if total < nearest else 'no more'} than {nearest}: {_some(held)}. Rule: "
            f"bounds hold within the amount [BOUND-06]. The nearest is amount={nearest}; or relax "
            "the bounds of some tensors, by name."
        )


def _least(fraction: float, size: int) -> int:
    """Return the least number of entries that is at least this fraction of all."""
    count = math.ceil(fraction * size)
    while count > 0 and (count - 1) / size >= fraction:
        count -= 1
    while size and count / size < fraction:
        count += 1
    return count


def _greatest(fraction: float, size: int) -> int:
    """Return the greatest number of entries that is at most this fraction of all."""
    count = math.floor(fraction * size)
    while count < size and (count + 1) / size <= fraction:
        count += 1
    while count > 0 and count / size > fraction:
        count -= 1
    return count


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more
