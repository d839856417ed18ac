"""The options of a call that differ from their defaults: a method of the user's takes its own."""

from __future__ import annotations

from typing import Any

__all__ = ["without_defaults"]

_DEFAULTS = {"scope": "global", "keep_dense": False}


def without_defaults(**options: Any) -> dict[str, Any]:
    """Return the options that were given; None is the default of all others."""
    return {name: v for name, v in options.items() if v is not _DEFAULTS.get(name)}
