"""The oracle's settings by name: a whole name first, then shell patterns (SPEC.md 15)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from multiprune_conformance.oracle_dtypes import Refused


def by_name(settings: Mapping[Any, Any], names: Sequence[str], kind: str) -> list[Any]:
    """Return the setting of each tensor, None where no key matches (SCOPE-05, SCOPE-12, SCOPE-13).

    Parameters
    ----------
    settings
        From names or patterns to settings that compare as the specification says.
    names
        Of the tensors, in the order of positions.
    kind
        What an error is called.
    """
    for key in settings:
        if not isinstance(key, str):
            raise Refused(kind, f"{key!r} is neither a name nor a pattern")
        if not any(key == name or fnmatchcase(name, key) for name in names):
            raise Refused(kind, f"{key!r} matches none of {list(names)}")
    return [_setting(settings, name, kind) for name in names]


def _setting(settings: Mapping[Any, Any], name: str, kind: str) -> Any:
    if name in settings:
        return settings[name]
    matching = {key: setting for key, setting in settings.items() if fnmatchcase(name, key)}
    choices = list(matching.values())
    if any(choice != choices[0] for choice in choices):
        raise Refused(kind, f"{sorted(matching)} match {name} and differ")
    return choices[0] if choices else None
