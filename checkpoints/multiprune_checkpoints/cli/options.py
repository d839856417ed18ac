"""The options that commands share, and how their words become numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from multiprune.errors import BoundsError

__all__ = [
    "Amount",
    "Flag",
    "Json",
    "MaybeWhole",
    "Patterns",
    "Scores",
    "Settings",
    "Whole",
    "read_scope",
    "read_setting",
]


def _number(kind: Any, tokens: Any) -> int | float:
    """Read an amount: 1 is one entry and 1.0 all of them, so digits alone make an int."""
    return _as_number(tokens[0].value)


def _as_number(text: str) -> int | float:
    return int(text) if text.lstrip("+-").isdecimal() else float(text)


def _whole(kind: Any, tokens: Any) -> int:
    """Read a whole number, and round nothing to one."""
    return int(tokens[0].value)


def read_scope(text: str) -> Any:
    """Read a scope: 2:4 is a pair, and a word is itself."""
    keep, colon, of = text.partition(":")
    pair = colon and keep.isdecimal() and of.isdecimal()
    return (int(keep), int(of)) if pair else text


def read_setting(words: list[str] | None, parameter: str) -> Any:
    """Read a setting for all tensors, or some by pattern.

    Parameters
    ----------
    words : list of str
        One word or number, or texts like ``encoder.*=0.1``.
    parameter : str
        Its name, for messages.

    Raises
    ------
    BoundsError
        If it is neither (a ValueError and a TypeError).
    """
    if not words:
        return None
    pairs = [word.rpartition("=") for word in words]
    named = [bool(equals) for _, equals, _ in pairs]
    try:
        if all(named):
            return {pattern: _as_number(value) for pattern, _, value in pairs}
        if len(words) == 1:
            known = words[0] in ("uniform", "erk")
            return words[0] if known else _as_number(words[0])
    except ValueError:
        pass
    raise BoundsError(
        f"--{parameter} {' '.join(words)} was given. Rule: it is one value for all tensors, or "
        f"PATTERN=NUMBER, as often as needed. Write --{parameter} 0.05, or --{parameter} "
        "'encoder.*=0.1'."
    )


Amount = Annotated[float | None, Parameter(converter=_number)]
Whole = Annotated[int, Parameter(converter=_whole)]
MaybeWhole = Annotated[int | None, Parameter(converter=_whole)]
Patterns = Annotated[list[str] | None, Parameter(negative="")]
Settings = Annotated[list[str] | None, Parameter(negative="")]
Scores = Annotated[Path | None, Parameter(name=("--importance-scores", "--scores"))]
Flag = Annotated[bool, Parameter(negative="")]
Json = Annotated[bool, Parameter(name="--json", negative="")]
