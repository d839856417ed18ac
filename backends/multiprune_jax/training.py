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
from multiprune_jax.containers import is_a
from multiprune_jax.masking import pruned_tree
from multiprune_jax.paths import Tree, check_masks, leaves_of_masks

if TYPE_CHECKING:
    import optax  # type: ignore[import-untyped,unused-ignore]

__all__ = ["KeepPrunedState", "keep_pruned", "replace_masks"]


class KeepPrunedState(NamedTuple):
    """The masks by canonical names: part of the optimizer's state, saved and sharded with it."""

    masks: dict[str, jax.Array]


def keep_pruned(masks: Any) -> optax.GradientTransformation:
    """Return an optax transform that holds pruned entries at zero. Put it last in the chain.

    It goes after every wrapper, too (`flatten`, `mechanize` and `sam` show others than the
    parameters to what they wrap), but for ``schedule_free``: that evaluates an average which only
    the transforms inside it reach, so there it is the last of the base optimizer.

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
        In ``init`` and ``update``, if a mask matches no leaf, or one of another shape; in ``init``,
        if a pruned entry is NaN or infinite, which no update brings to 0 (ValueErrors).

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
        for name, mask in mine.items():
            _check_finite(name, tree.leaves[name], mask)
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


def _check_finite(name: str, weight: Any, mask: Any) -> None:
    if isinstance(weight, jax.core.Tracer) or isinstance(mask, jax.core.Tracer):
        return
    bad = int(jnp.sum(~jnp.isfinite(weight) & ~jnp.asarray(mask, jnp.bool_)))
    if bad:
        raise MaskError(
            f"{bad} pruned entries of {name} are NaN or infinite. Rule: an update is added, and "
            "nothing that is added brings them to 0. Pass the pruned parameters: pruned.params, or "
            "apply_masks(params, masks)."
        )


def _held(update: jax.Array, weight: Any, mask: jax.Array) -> jax.Array:
    return jnp.where(mask, update, -jnp.asarray(weight).astype(update.dtype))
