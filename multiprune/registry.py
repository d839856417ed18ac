"""Finding the backend of the object in hand. The only dynamic import of the house.

A backend is an entry point of the group ``multiprune.backends`` whose name is the root module of
the arrays that it serves; so a foreign backend (``multiprune_cupy``) has the form of ours, and a
framework of which no array is passed is never imported.
Clause: none; decision D-02.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from multiprune._array import Array, is_array
from multiprune.backend import Backend
from multiprune.errors import BackendError

__all__ = ["backend_named", "backend_of"]

GROUP = "multiprune.backends"


def backend_of(tensor: Array) -> Backend | None:
    """Return the backend that serves an array, or None for the plain path.

    Raises
    ------
    BackendError
        If the object is not an array (a LookupError).
    """
    for base in type(tensor).__mro__:
        root = base.__module__.partition(".")[0]
        if root in _points():
            return backend_named(root)
    if not is_array(tensor):
        known = ", ".join(name for name in _known() if "." not in name)
        raise BackendError(
            f"{type(tensor).__module__}.{type(tensor).__qualname__} is not an array that is "
            f"known here. Rule: tensors are arrays of {known}, or of a namespace of the Array API "
            "standard. Convert it, for example with numpy.asarray."
        )
    return None


@cache
def backend_named(name: str) -> Backend:
    """Return the backend called `name`.

    Raises
    ------
    BackendError
        If there is none, or its framework is not installed (a LookupError).
    """
    points = _points()
    if name not in points:
        known = ", ".join(_known())
        raise BackendError(f"backend {name!r} is unknown. Rule: one of {known}.")
    try:
        backend: Backend = points[name].load()
    except ImportError as error:
        raise BackendError(
            f"backend {name!r} cannot be loaded: {error}. "
            f"Install it: pip install 'multiprune[{name}]'."
        ) from error
    return backend


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _known() -> list[str]:
    """Name each backend once, though it serves the arrays of several modules."""
    points = _points()
    return sorted({points[name].value: name for name in sorted(points, reverse=True)}.values())
