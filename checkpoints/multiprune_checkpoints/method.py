"""By which method files are pruned.

Clause: METH-01.
"""

from __future__ import annotations

from typing import Any

from multiprune.errors import PruningTypeError
from multiprune.methods import L1Unstructured, PruningMethod, RandomUnstructured

__all__ = ["method_of"]

_METHODS: dict[Any, type[PruningMethod]] = {
    "l1": L1Unstructured,
    "random": RandomUnstructured,
    L1Unstructured: L1Unstructured,
    RandomUnstructured: RandomUnstructured,
}


def method_of(method: Any) -> type[PruningMethod]:
    """Return a method by its class or its name.

    Raises
    ------
    PruningTypeError
        If files are not pruned by it (a TypeError).
    """
    known = isinstance(method, str | type) and method in _METHODS
    if not known:
        raise PruningTypeError(
            f"method={method!r} was given. Rule: files are pruned by L1Unstructured or "
            "RandomUnstructured, also called 'l1' and 'random' [METH-01]. Pass the class or its "
            "name; other methods' scores go by importance_scores."
        )
    return _METHODS[method]
