"""Pruned entries held at zero in training. The only room that knows optax.

Masking gradients is not enough: momentum, Adam's moments and weight decay move a weight whose
gradient is 0. So the last transform of a chain decides what the step as a whole does to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from multiprune.errors import MaskError, ParametersTypeError
from multiprune_jax.named_masks import check_masks, leaves_of_masks
from multiprune_jax.paths import Tree

if TYPE_CHECKING:
    import optax  # type: ignore[import-untyped,unused-ignore]

__all__ = ["KeepPrunedState", "keep_pruned"]


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
