"""Names that go on for one release, with a warning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

__all__ = ["moved", "no_more", "renamed", "warn_of"]


def moved(module: str, name: str, package: str, names: Mapping[str, str]) -> Any:
    """Return what a module had by a name, from the package that has it now.

    Raises
    ------
    AttributeError
        If it never had it.
    """
    if name not in names:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    warn_of(f"{module}.{name} is {package}.{names[name]} now, and goes with the next release.")
    return getattr(import_module(package), names[name])


def renamed(old: str, new: str, options: dict[str, Any], value: Any) -> Any:
    """Return what a parameter was given, also by its old name, which is taken out of `options`."""
    if old not in options:
        return value
    warn_of(f"{old}= is called {new}= now, and goes with the next release.")
    return options.pop(old)


def no_more(options: dict[str, Any], function: str) -> None:
    """Refuse unknown options, as Python does.

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
