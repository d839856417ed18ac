"""What frameworks put around arrays, known without importing them. A leaf.

Clauses: ERR-03.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiprune.errors import ParametersError

__all__ = ["check_node", "is_a", "is_variable"]


def is_variable(node: Any) -> bool:
    """Whether a node is a `flax.nnx.Variable`: a parameter, or another state of a module."""
    return is_a(node, "flax", "Variable")


def check_node(node: Any, way: tuple[str, ...]) -> None:
    """Check that a branch is not an optimizer's state: its moments are no weights.

    Raises
    ------
    ParametersError
        If it is (a ValueError).
    """
    names = {key for key in node if isinstance(key, str)} if isinstance(node, Mapping) else set()
    plain = names == {"trace"} or {"mu", "nu"} <= names or {"count", "mu"} <= names
    optax = type(node).__module__.partition(".")[0] == "optax"
    if optax or plain or hasattr(node, "opt_state") or "opt_state" in names:
        where = f"{'/'.join(way)} is" if way else "the tree is, or holds,"
        raise ParametersError(
            f"{where} an optimizer's state ({type(node).__module__}.{type(node).__name__}). Rule: "
            "parameters are pruned, not the moments beside them [ERR-03]. Pass the parameters "
            "alone: state.params of a TrainState, then state.replace(params=pruned.params); the "
            "module, or nnx.state(module, nnx.Param), not its nnx.Optimizer."
        )


def is_a(node: Any, root: str, name: str) -> bool:
    """Whether a class of this name made it, without importing the package that has the class."""
    return any(
        base.__name__ == name and base.__module__.partition(".")[0] == root
        for base in type(node).__mro__
    )
