"""Makes a running package wrong: a mutated file's functions take the place of the right ones.

Nothing is imported anew, so that what other modules hold by name is wrong as well. It is done in a
forked process, which ends afterwards.
"""

from __future__ import annotations

import sys
import types
from typing import Any

PLAIN = (int, float, str, bytes, bool, tuple, dict, frozenset, set, list, type(None))


def apply(name: str, path: str, source: str) -> None:
    """Put the functions and values of a mutated module into the one that is loaded.

    Parameters
    ----------
    name : str
        The module's full name.
    path : str
        Its file, for tracebacks.
    source : str
        Its mutated text.
    """
    right = sys.modules[name]
    wrong = types.ModuleType(name)
    wrong.__file__ = path
    sys.modules[name] = wrong  # dataclasses look their module up
    try:
        exec(compile(source, path, "exec"), wrong.__dict__)
    finally:
        sys.modules[name] = right
    for key, value in list(vars(wrong).items()):
        if not key.startswith("__"):
            _replace(right, key, vars(right).get(key), value)
    for module in [m for n, m in sys.modules.items() if n.partition(".")[0] == "multiprune"]:
        for value in list(vars(module).values()):
            if hasattr(value, "cache_clear"):
                value.cache_clear()


def _replace(owner: Any, key: str, right: Any, wrong: Any) -> None:
    right_function, wrong_function = _function(right), _function(wrong)
    if right_function is not None and wrong_function is not None:
        right_function.__code__ = wrong_function.__code__
        right_function.__defaults__ = wrong_function.__defaults__
        right_function.__kwdefaults__ = wrong_function.__kwdefaults__
    elif isinstance(right, type) and isinstance(wrong, type):
        if right.__module__ == owner_name(owner):
            for name, value in list(vars(wrong).items()):
                if name not in ("__dict__", "__weakref__", "__module__", "__doc__"):
                    _replace(right, name, vars(right).get(name), value)
    elif isinstance(wrong, PLAIN) and repr(right) != repr(wrong):
        for module in [m for n, m in sys.modules.items() if n.startswith("multiprune")]:
            if vars(module).get(key, key) is right:
                setattr(module, key, wrong)
        setattr(owner, key, wrong)


def owner_name(owner: Any) -> str:
    """Return the name of the module that something stands in."""
    name: str = getattr(owner, "__module__", None) or owner.__name__
    return name


def _function(value: Any) -> Any:
    """Return the Python function behind a method, a property or a cache, if there is one."""
    if isinstance(value, property):
        value = value.fget
    value = getattr(value, "__func__", getattr(value, "__wrapped__", value))
    return value if isinstance(value, types.FunctionType) else None
