"""Pruned entries held at zero in training. The only room that knows optax.

Masking gradients is not enough: momentum, Adam's moments and weight decay move a weight whose
gradient is 0. So the last transform of a chain decides what the step as a whole does to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from multiprune.errors import MaskError, ParametersTypeError
from multiprune_jax.paths import Tree, check_masks, leaves_of_masks

if TYPE_CHECKING:
    import optax  # type: ignore[import-untyped,unused-ignore]

__all__ = ["KeepPrunedState", "keep_pruned", "replace_masks"]


class KeepPrunedState(NamedTuple):
    """The masks by canonical names: part of the optimizer's state, saved and sharded with it."""

    masks: dict[str, jax.Array]


def keep_pruned(masks: Any) -> optax.GradientTransformation:
    """Return an optax transform that holds pruned entries at zero. Put it last in the chain.

    Parameters
    ----------
    masks : pytree
        As `multiprune_jax.global_unstructured` returns them, or a dict by canonical names.

    Returns
    -------
    optax.GradientTransformation
        ``init`` and ``update``. A pruned entry's update becomes what brings it to 0, whatever the
        transforms before made of it.

    Raises
    ------
    MaskError, MaskShapeError
        In ``init`` and ``update``, if a mask matches no leaf, or one of another shape
        (ValueErrors).

    Examples
    --------
    >>> import jax.numpy as jnp, optax
    >>> params, masks = {"w": jnp.array([0.0, 2.0])}, {"w": jnp.array([False, True])}
    >>> tx = optax.chain(optax.sgd(0.5), keep_pruned(masks))
    >>> updates, _ = tx.update({"w": jnp.ones(2)}, tx.init(params), params)
    >>> optax.apply_updates(params, updates)["w"].tolist()
    [0.0, 1.5]
    """
    import optax

    kept = leaves_of_masks(masks)

    def init(params: Any) -> KeepPrunedState:
        tree = Tree(params)
        mine = {
            name: mask for name, mask in tree.own_names(kept).items() if not tree.is_left_out(name)
        }
        check_masks(mine, tree.leaves, "params")
        # A copy: a step that donates its state must not take the caller's masks with it.
        return KeepPrunedState({n: jnp.array(m, dtype=jnp.bool_) for n, m in mine.items()})

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise ParametersTypeError(
                "params is None. Rule: what brings an entry to 0 depends on its value. Call "
                "tx.update(updates, state, params)."
            )
        tree, weights = Tree(updates), Tree(params).leaves
        check_masks(state.masks, weights, "params")
        moving = {n: m for n, m in state.masks.items() if not tree.is_left_out(n)}
        check_masks(moving, tree.leaves, "updates")
        held = {
            name: _held(tree.leaves[name], weights[name], mask) for name, mask in moving.items()
        }
        return tree.replace(held, keep=True), state

    return optax.GradientTransformation(init, update)


def replace_masks(state: Any, masks: Any) -> Any:
    """Return an optimizer's state with the masks of a later round, and all else as it was.

    Parameters
    ----------
    state : pytree
        A state that holds a `KeepPrunedState`.
    masks : pytree
        New masks, of the same leaves.

    Raises
    ------
    MaskError, MaskShapeError
        If there are none to replace, or the new ones are of other leaves (ValueErrors).
    """
    kept, states = leaves_of_masks(masks), []

    def replaced(node: Any) -> Any:
        if not isinstance(node, KeepPrunedState):
            return node
        states.append(node)
        mine: Mapping[str, Any] = {n: kept[n] for n in node.masks if n in kept}
        check_masks(node.masks, mine, "the new masks")
        return KeepPrunedState({n: jnp.array(m, dtype=jnp.bool_) for n, m in mine.items()})

    new = jax.tree.map(replaced, state, is_leaf=lambda node: isinstance(node, KeepPrunedState))
    if not states:
        raise MaskError(
            "the optimizer's state has no masks. Rule: it is that of a chain that ends in "
            "keep_pruned(masks). Make one, and call its init."
        )
    return new


def _held(update: jax.Array, weight: Any, mask: jax.Array) -> jax.Array:
    return jnp.where(mask, update, -jnp.asarray(weight).astype(update.dtype))
