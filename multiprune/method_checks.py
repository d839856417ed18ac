"""Whether a method fits the call: a class or an instance, and of which PRUNING_TYPE.

Clauses: METH-01, METH-02.
"""

from __future__ import annotations

from typing import Any

from multiprune.errors import PruningTypeError
from multiprune.methods import PruningMethod

__all__ = ["check_class", "check_instance", "check_unstructured", "not_unstructured"]


def check_class(method: Any, *, parameter: str = "method") -> None:
    """Check that a method is a class, which is made with the options of the call.

    Raises
    ------
    PruningTypeError
        If it is not, or cannot rank many tensors together (a TypeError).

    Notes
    -----
    Clause METH-02.
    """
    if not isinstance(method, type) and getattr(method, "PRUNING_TYPE", None):
        raise PruningTypeError(
            f"{parameter}={type(method).__name__}(...) was given, an instance. Rule: a method that "
            "ranks many tensors is a class, made with the options of the call [METH-02]. Pass the "
            f"class {type(method).__name__}, and its arguments by name."
        )
    if not isinstance(method, type) and not callable(method):
        raise not_unstructured(method, None)
    check_unstructured(method)


def check_instance(method: Any, *, parameter: str = "method") -> None:
    """Check that a method is one with its amount, not a class or a name.

    Raises
    ------
    PruningTypeError
        If not (a TypeError).

    Notes
    -----
    Clause METH-01.
    """
    if isinstance(method, PruningMethod):
        return
    name = method.__name__ if isinstance(method, type) else "L1Unstructured"
    raise PruningTypeError(
        f"{parameter}={method!r} was given. Rule: one tensor is pruned by a method with its amount "
        f"[METH-01]. Write {name}(0.5), for example."
    )


def check_unstructured(method: Any) -> None:
    """Check that a method can rank many tensors together.

    Raises
    ------
    PruningTypeError
        If its PRUNING_TYPE is not 'unstructured' (a TypeError).

    Notes
    -----
    Clause METH-02. Source: the last check of ``torch.nn.utils.prune.global_unstructured``.
    """
    kind = getattr(method, "PRUNING_TYPE", None)
    if kind != "unstructured":
        raise not_unstructured(method, kind)


def not_unstructured(method: Any, kind: Any) -> PruningTypeError:
    """Return the error that says why a method cannot rank many tensors together."""
    return PruningTypeError(
        f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
        f"{method!r} of type {kind!r}. Rule: a method is a class that ranks single entries "
        "[METH-02]. Pass L1Unstructured, or prune each tensor by itself."
    )
