"""Names that go on for one release, with a warning."""

from __future__ import annotations

import sys
import warnings
from typing import Any

__all__ = ["no_more", "renamed", "warn_of"]


def renamed(old: str, new: str, options: dict[str, Any], value: Any) -> Any:
    """Return what a parameter was given, also by its old name, which is taken out of `options`."""
    if old not in options:
        return value
    warn_of(f"{old}= is called {new}= now, and goes with the next release.")
    return options.pop(old)


def no_more(options: dict[str, Any], function: str) -> None:
    """Refuse options that nobody knows, as Python does.

    Raises
    ------
    TypeError
        If there are any.
    """
    for name in options:
        raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")


def warn_of(message: str) -> None:
    """Warn of the line that called the library."""
    frame, depth = sys._getframe(1), 2
    while frame.f_back and str(frame.f_globals.get("__name__")).startswith("multiprune"):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, DeprecationWarning, stacklevel=depth)
