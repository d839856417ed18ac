"""How entries are ordered, as one value: what scores are ranked as, and what their keys mean.

Clauses: NUM, TYPE, RAND-04.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from multiprune.draws import DRAW_BITS, as_seed
from multiprune.errors import DtypeError
from multiprune.keys import Format, key_bits, promote, score_of

__all__ = ["Order"]


@dataclass(frozen=True)
class Order:
    """How entries are ordered.

    Attributes
    ----------
    format : Format
        What scores are converted to; a complex one is ranked by its modulus.
    signed : bool
        Whether scores are ranked as they are, instead of by magnitude.
    seed : int, optional
        Of random draws, which are ranked instead of the scores.
    """

    format: Format
    signed: bool = False
    seed: int | None = None

    @classmethod
    def of(cls, dtypes: Sequence[str], method: Any, names: Sequence[str] = ()) -> Order:
        """Return the order of scores of these dtypes, and names for messages, under a method.

        Raises
        ------
        DtypeError
            If they cannot be ranked together (a TypeError).

        Notes
        -----
        Clauses TYPE-01, TYPE-09, NUM-16.
        """
        try:
            fmt, signed = promote(dtypes), bool(getattr(method, "signed", False))
        except DtypeError as error:
            first = dict(zip(reversed(dtypes), reversed(names), strict=False))
            each = ", ".join(f"{dtype} for {name}" for dtype, name in first.items())
            raise DtypeError(f"{error} Given were {each}." if each else str(error)) from None
        if signed and fmt.kind == "complex":
            raise DtypeError(
                f"{fmt.name} scores were given with signed=True. Rule: complex numbers rank by "
                "their modulus [NUM-16]. Leave signed out, or take their real part."
            )
        return cls(fmt, signed, as_seed(method.seed) if hasattr(method, "seed") else None)

    @property
    def ranked(self) -> Format:
        """The format of what is ranked: real."""
        return self.format.real

    @property
    def bits(self) -> int:
        """How wide a key is."""
        return DRAW_BITS if self.seed is not None else key_bits(self.ranked, signed=self.signed)

    def score(self, key: int) -> float | None:
        """Return the score that has this key; None for draws, and where nothing is pruned."""
        if key < 0 or self.seed is not None:
            return None
        return score_of(key, self.ranked, signed=self.signed)
