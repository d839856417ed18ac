"""The masks of a later round put into an optimizer's state, and whether they hold there.

Only a whole state shows what comes after `keep_pruned`, so it is here that a wrong order is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from multiprune.errors import MaskError
from multiprune_jax.containers import is_a
from multiprune_jax.masking import pruned_tree
from multiprune_jax.named_masks import check_masks, leaves_of_masks
from multiprune_jax.paths import Tree
from multiprune_jax.training import KeepPrunedState

__all__ = ["replace_masks"]


def replace_masks(state: Any, masks: Any) -> Any:
    """Return an optimizer's state with the masks of a later round.

    All else is as it was, but for the weights that ``schedule_free`` keeps there: they are pruned.

    Parameters
    ----------
    state : pytree
        A state that holds a `KeepPrunedState`.
    masks : pytree
        New masks, of the same leaves.

    Raises
    ------
    MaskError, MaskShapeError
        If there are none to replace, the new ones are of other leaves, or `keep_pruned` is at a
        place in the chain where it does not hold the zeros (ValueErrors).
    """
    kept = leaves_of_masks(masks)
    _check_order(state)

    def replaced(node: Any) -> Any:
        if isinstance(node, KeepPrunedState):
            mine: Mapping[str, Any] = {n: kept[n] for n in node.masks if n in kept}
            check_masks(node.masks, mine, "the new masks")
            return KeepPrunedState({n: jnp.array(m, dtype=jnp.bool_) for n, m in mine.items()})
        if not is_a(node, "optax", _AVERAGED):
            return node
        inner = jax.tree.map(replaced, node.base_optimizer_state, is_leaf=_is_special)
        tree = Tree(node.z)
        mine = {n: m for n, m in tree.own_names(kept).items() if n in tree.leaves}
        return node._replace(base_optimizer_state=inner, z=pruned_tree(tree, tree.leaves, mine))

    new = jax.tree.map(replaced, state, is_leaf=_is_special)
    if not _holds_masks(state):
        raise MaskError(
            "the optimizer's state has no masks. Rule: it is that of a chain that ends in "
            "keep_pruned(masks). Make one, and call its init."
        )
    return new


_AVERAGED = "ScheduleFreeState"
_AROUND = {"MechanicState": "mechanize", "SAMState": "sam"}
"""States of wrappers that compute parameters anew from copies of their own."""


def _check_order(state: Any) -> None:
    """Check that no transform moves the parameters after `keep_pruned`, as far as a state shows."""
    if not _holds_masks(state) or isinstance(state, KeepPrunedState):
        return
    around = next((name for kind, name in _AROUND.items() if is_a(state, "optax", kind)), "")
    parts = jax.tree_util.tree_flatten(state, is_leaf=lambda node: node is not state)[0]
    at = max(i for i, part in enumerate(parts) if _holds_masks(part))
    later = parts[at + 1 :] if type(state) is tuple else []
    if isinstance(parts[at], KeepPrunedState):
        moves = bool(later)
    else:  # a tuple of two optimizers' states is no chain
        moves = any(hasattr(part, "_fields") for part in later)
    before = parts[:at] if type(state) is tuple else []
    if moves or around:
        wrong = f"inside {around}" if around else "not last in its chain"
        raise MaskError(
            f"keep_pruned(masks) is {wrong}. Rule: what comes after it moves pruned entries. Make "
            "the optimizer anew: optax.chain(..., keep_pruned(masks))."
        )
    if any(is_a(part, "optax", _AVERAGED) for part in before):
        raise MaskError(
            "keep_pruned(masks) comes after schedule_free. Rule: it is evaluated at an average "
            "that only what is inside reaches. Make the optimizer anew: "
            "schedule_free(optax.chain(base, keep_pruned(masks)), ...)."
        )
    for part in parts:
        _check_order(part)


def _is_special(node: Any) -> bool:
    return isinstance(node, KeepPrunedState) or is_a(node, "optax", _AVERAGED)


def _holds_masks(state: Any) -> bool:
    nodes = jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, KeepPrunedState))
    return any(isinstance(node, KeepPrunedState) for node in nodes)
