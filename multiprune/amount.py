"""*How many* entries are pruned: amounts and sparsities become a count; Python numbers only.

Clauses: AMT. Source: ``torch.nn.utils.prune._validate_pruning_amount_init``,
``_compute_nparams_toprune`` and ``_validate_pruning_amount``.
"""

from __future__ import annotations

import math
import numbers
from typing import Any

from multiprune.errors import AmountError, AmountTypeError, SparsityError

__all__ = ["Kept", "Target", "as_amount", "count_of", "count_to_reach", "target_of"]


def as_amount(value: Any, name: str = "amount") -> int | float:
    """Check an amount and make it a Python number.

    Parameters
    ----------
    value : int, float, numpy scalar, Fraction or 0-d array of any framework
        An int says how many entries; a float in [0, 1] says which fraction of them.
    name : str
        The parameter's name, for messages.

    Returns
    -------
    int or float

    Raises
    ------
    AmountTypeError
        If it is not such a number; bools do not count (a TypeError).
    AmountError
        If it is NaN, negative, or a float above 1.0 (a ValueError).

    Notes
    -----
    Clauses AMT-05 to AMT-10.
    """
    number = _as_python(value)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise AmountTypeError(
            f"{name}={value!r} is of type {type(value).__name__}. Rule: {name} is an int (how many "
            f"entries) or a float in [0, 1] (the fraction of them) [AMT-09]. "
            f"Pass a plain number, for example {name}=0.8 or {name}=1000."
        )
    if isinstance(number, int):
        if number < 0:
            raise AmountError(
                f"{name}={number} is negative. Rule: {name} should either be a float in the range "
                f"[0, 1] or a non-negative integer [AMT-10]."
            )
    elif math.isnan(number) or not 0.0 <= number <= 1.0:
        raise AmountError(
            f"{name}={number} is out of range. Rule: {name} should either be a float in the range "
            f"[0, 1] or a non-negative integer [AMT-10]. To prune a number of entries, pass an int."
        )
    return number


def count_of(amount: float, live: int) -> int:
    """Count the entries that an amount takes from those still unpruned.

    Parameters
    ----------
    amount : int or float
        As `as_amount` returns it.
    live : int
        How many entries are still unpruned.

    Returns
    -------
    int
        The count: an int as it is, a float times `live` in float64, rounded half to even.

    Raises
    ------
    AmountError
        If an int is more than what is left (a ValueError).

    Notes
    -----
    Clauses AMT-01, AMT-02, AMT-11.
    """
    if isinstance(amount, int):
        if amount > live:
            raise AmountError(
                f"amount={amount} is more than the {live} entries still unpruned. Rule: an int "
                f"amount takes at most what is left [AMT-11]. Lower it, or pass a float.",
                kind="amount-too-large",
            )
        return amount
    return round(amount * live)


def count_to_reach(sparsity: float, total: int, live: int) -> int:
    """Count the entries to prune so that `sparsity` of all entries is pruned in the end.

    Parameters
    ----------
    sparsity : float
        Target fraction of all entries, in [0, 1].
    total, live : int
        How many entries there are, and how many are still unpruned.

    Returns
    -------
    int

    Raises
    ------
    SparsityError
        If more than that is pruned already (a ValueError).

    Notes
    -----
    Clauses AMT-13, AMT-14: repeated calls do not compound.
    """
    pruned = total - live
    count = round(sparsity * total) - pruned
    if count < 0:
        raise SparsityError(
            f"sparsity={sparsity} asks for {round(sparsity * total)} of {total} entries, but "
            f"{pruned} ({pruned / total:.4g}) are pruned already. Rule: pruned entries stay "
            "pruned, so the target cannot be below them [AMT-14]. Ask for more, or start from "
            "dense."
        )
    return count


class Target:
    """How much is pruned of a pool: exactly one of `amount` and `sparsity`, checked.

    Parameters
    ----------
    amount : int or float, optional
        How many entries, or the fraction of those still unpruned.
    sparsity : float, optional
        Target fraction of all entries.

    Raises
    ------
    AmountTypeError, AmountError
        As `as_amount`; also if both or neither are given.
    """

    def __init__(self, amount: Any = None, sparsity: Any = None) -> None:
        if (amount is None) == (sparsity is None):
            raise AmountTypeError(
                f"amount={amount!r} and sparsity={sparsity!r} were given. Rule: exactly one of "
                "them [AMT-16]. amount counts what is still unpruned; sparsity is the target over "
                "all entries."
            )
        self.amount = None if amount is None else as_amount(amount)
        self.sparsity: float | None = None
        if sparsity is not None:
            target = as_amount(sparsity, "sparsity")
            if isinstance(target, int):
                raise AmountTypeError(
                    f"sparsity={sparsity!r} is an int. Rule: sparsity is a fraction of all "
                    f"entries, a float in [0, 1] [AMT-15]. Write {float(target)}, or use amount= "
                    "for a count."
                )
            self.sparsity = target

    def count(self, total: int, live: int) -> int:
        """Count the entries to prune, of `total` entries with `live` still unpruned."""
        if self.amount is not None:
            return count_of(self.amount, live)
        assert self.sparsity is not None
        return count_to_reach(self.sparsity, total, live)


class Kept(Target):
    """At most so many entries are kept of each pool; see GROUP-02."""

    def __init__(self, keep: int) -> None:
        self.amount, self.sparsity, self.keep = None, None, keep

    def count(self, total: int, live: int) -> int:
        """Count the entries to prune, of `live` that are unpruned."""
        return max(0, live - self.keep)


def target_of(amount: Any = None, sparsity: Any = None) -> Target:
    """Return a target: the one that is given as the amount, or a new one."""
    if isinstance(amount, Target) and sparsity is None:
        return amount
    return Target(amount, sparsity)


def _as_python(value: Any) -> Any:
    """Make numpy scalars, rationals and 0-d arrays Python numbers; leave the rest alone."""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):  # Fraction, numpy floats: converted before any product
        try:
            return float(value)
        except OverflowError:  # a huge Fraction, as far out of range as infinity
            return math.inf
    if getattr(value, "shape", None) == () and getattr(value, "dtype", None) is not None:
        if "int" in str(value.dtype):
            return int(value)
        if "float" in str(value.dtype):
            return float(value)
    return value
