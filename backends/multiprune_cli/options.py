"""Room: the options that commands share, and how their words become numbers."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

__all__ = ["Amount", "Flag", "Json", "MaybeWhole", "Patterns", "Whole"]


def _number(kind: Any, tokens: Any) -> int | float:
    """Read an amount: 1 is one entry and 1.0 all of them, so digits alone make an int."""
    text = tokens[0].value
    return int(text) if text.lstrip("+-").isdecimal() else float(text)


def _whole(kind: Any, tokens: Any) -> int:
    """Read a whole number, and round nothing to one."""
    return int(tokens[0].value)


Amount = Annotated[float | None, Parameter(converter=_number)]
Whole = Annotated[int, Parameter(converter=_whole)]
MaybeWhole = Annotated[int | None, Parameter(converter=_whole)]
Patterns = Annotated[list[str] | None, Parameter(negative="")]
Flag = Annotated[bool, Parameter(negative="")]
Json = Annotated[bool, Parameter(name="--json", negative="")]
