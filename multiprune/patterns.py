"""Names as shell patterns: which are meant, and the setting of each, looked up whole first.

Clauses: SCOPE, BOUND, ALLOC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from multiprune.errors import MultipruneError, ParametersTypeError

__all__ = ["as_patterns", "by_name", "is_selected", "matches"]


def as_patterns(patterns: str | Iterable[str], parameter: str) -> list[str]:
    """Return one shell pattern, or several, as a list.

    Raises
    ------
    ParametersTypeError
        If they are something else (a TypeError).
    """
    several: Any = [patterns] if isinstance(patterns, str) else patterns
    is_some = isinstance(several, Iterable) and not isinstance(several, bytes | Mapping)
    listed = list(several) if is_some else [several]
    if not all(isinstance(pattern, str) for pattern in listed):
        raise ParametersTypeError(
            f"{parameter}={patterns!r} was given. Rule: {parameter} is a shell pattern of names, "
            f"or several. Write {parameter}='encoder.*', or {parameter}=['*.bias', 'head*']."
        )
    return listed


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name is one of the patterns, or matches one as a shell does.

    A name may itself hold the characters of patterns: ``layers[0].weight`` means itself, too.
    """
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def is_selected(name: str, include: Iterable[str], exclude: Iterable[str]) -> bool:
    """Whether a name matches one of the patterns, and none of those to exclude."""
    return matches(name, include) and not matches(name, exclude)


def by_name(
    settings: Mapping[str, Any],
    names: Sequence[str],
    parameter: str,
    error: type[MultipruneError],
    *,
    complete: bool,
) -> list[Any]:
    """Return the setting of each tensor; None where no key matches.

    Parameters
    ----------
    settings : mapping
        From names, or shell patterns of names, to settings.
    names : sequence of str
    parameter : str
        Its name, for messages.
    error : type
        What is raised.
    complete : bool
        Whether every tensor needs a setting.

    Raises
    ------
    error
        If a key matches no tensor, two patterns give a tensor different settings, or one that
        needs a setting has none.
    """
    if wrong := [key for key in settings if not isinstance(key, str)]:
        raise error(
            f"{parameter} has the keys {wrong!r}. Rule: its keys are names of tensors, or shell "
            f"patterns of names. Write {parameter}={{'encoder.*': ...}}."
        )
    chosen: list[Any] = []
    for name in names:
        keys = [name] if name in settings else [k for k in settings if fnmatchcase(name, k)]
        values = [settings[key] for key in keys]
        # The int 1 and the float 1.0 differ: one entry, and all of them.
        if any((type(value), value) != (type(values[0]), values[0]) for value in values[1:]):
            raise error(
                f"{parameter}: {sorted(keys)} match {name} and differ. Rule: patterns that match "
                f"one tensor agree. Name it whole: {parameter}={{{name!r}: ...}}."
            )
        chosen.append(values[0] if values else None)
    unused = [k for k in settings if not any(matches(n, [k]) for n in names)]
    if unused:
        raise error(
            f"{parameter}: {sorted(unused)} match no tensor. Rule: every key names a tensor of "
            f"the call. The tensors are {list(names)[:20]}."
        )
    missing = [name for name, value in zip(names, chosen, strict=True) if value is None]
    if complete and missing:
        raise error(
            f"{parameter} says nothing of {missing[:20]}. Rule: it names every tensor of the call. "
            "Add a pattern for them: '*' matches all names."
        )
    return chosen
