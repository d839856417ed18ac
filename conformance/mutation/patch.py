"""Makes a running package wrong: a mutated file's functions take the place of the right ones.

Nothing is imported anew, so that what other modules hold by name is wrong as well. It is done in a
forked process, which ends afterwards.
"""

from __future__ import annotations

import sys
import types
from typing import Any

PLAIN = (int, float, str, bytes, bool, tuple, dict, frozenset, set, list, type(None))
# What every module and class has, and what says nothing.
MADE = {"__dict__", "__weakref__", "__module__", "__doc__", "__annotations__", "__builtins__"}


class PatchError(Exception):
    """A mutated part cannot take the right one's place: that says nothing of the tests."""


def apply(name: str, path: str, source: str) -> int:
    """Put the functions and values of a mutated module into the one that is loaded.

    Parameters
    ----------
    name : str
        The module's full name.
    path : str
        Its file, for tracebacks.
    source : str
        Its mutated text.

    Returns
    -------
    int
        How many functions and values are now other than they were: 0 for the right text.

    Raises
    ------
    PatchError
        If a part cannot be replaced. Whatever else is raised, importing the mutant raises.
    """
    right = sys.modules[name]
    wrong = types.ModuleType(name)
    wrong.__file__ = path
    sys.modules[name] = wrong  # dataclasses look their module up
    try:
        exec(compile(source, path, "exec"), wrong.__dict__)
    finally:
        sys.modules[name] = right
    changed = sum(
        _replace(right, key, vars(right).get(key), value)
        for key, value in list(vars(wrong).items())
        if not key.startswith("__")
    )
    clear_caches()
    return changed


def clear_caches() -> None:
    """Forget what functions of ours have remembered."""
    for module in ours():
        for value in list(vars(module).values()):
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def ours() -> list[types.ModuleType]:
    """Return the loaded modules of the algebra and its backends."""
    return [module for name, module in sys.modules.items() if name.startswith("multiprune")]


def _replace(owner: Any, key: str, right: Any, wrong: Any) -> int:
    """Replace one part of a module or class; return how many differed."""
    old, new = _function(right), _function(wrong)
    if old is not None and new is not None:
        if not new.__module__ == old.__module__ == _module(owner):
            return 0  # imported: another file's
        if _made_of(old) == _made_of(new):
            return 0
        try:
            old.__code__, old.__defaults__ = new.__code__, new.__defaults__
            old.__kwdefaults__ = new.__kwdefaults__
        except ValueError as error:
            raise PatchError(f"{key}: {error}") from error
        return 1
    if isinstance(right, type) and isinstance(wrong, type):
        if right.__module__ != _module(owner):
            return 0
        return sum(
            _replace(right, name, vars(right).get(name), value)
            for name, value in list(vars(wrong).items())
            if name not in MADE
        )
    if not isinstance(wrong, PLAIN) or repr(right) == repr(wrong):
        return 0
    for module in ours():
        if vars(module).get(key, key) is right:
            setattr(module, key, wrong)
    setattr(owner, key, wrong)
    return 1


def _made_of(function: types.FunctionType) -> list[object]:
    """Return the code of a function, and of what its parameters are if they are not given."""
    named = (function.__kwdefaults__ or {}).items()
    given = [*(function.__defaults__ or ()), *(part for item in named for part in item)]
    return [function.__code__, *(getattr(value, "__code__", repr(value)) for value in given)]


def _module(owner: Any) -> str:
    """Return the name of the module that something stands in."""
    return str(owner.__module__ if isinstance(owner, type) else owner.__name__)


def _function(value: Any) -> types.FunctionType | None:
    """Return the Python function behind a method, a property or a cache, if there is one."""
    if isinstance(value, property):
        value = value.fget
    value = getattr(value, "__func__", getattr(value, "__wrapped__", value))
    return value if isinstance(value, types.FunctionType) else None
