"""The one door to array-api-compat. A leaf: imports nothing of ours.

What backends do not serve is met here through the Array API standard.
"""

from __future__ import annotations

from typing import Any

import array_api_compat

__all__ = ["Array", "dtype_name", "is_array", "namespace_of"]

Array = Any
"""An array of some framework. Arrays have no common base class, so the type says only that."""


def is_array(thing: object) -> bool:
    """Whether it is an array of a namespace of the standard, or of one that is made to fit it."""
    return bool(array_api_compat.is_array_api_obj(thing))


def namespace_of(*arrays: Array) -> Any:
    """Return the Array API namespace that all `arrays` belong to.

    Raises
    ------
    TypeError
        If they are no arrays, or of different frameworks.
    """
    return array_api_compat.array_namespace(*arrays)


def dtype_name(array: Array) -> str:
    """Return the name of an array's dtype as NumPy writes it, for example ``"float32"``."""
    dtype = array.dtype
    name = getattr(dtype, "name", None) or str(dtype)
    return str(name).rpartition(".")[2]
