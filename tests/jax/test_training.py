"""Zeros stay zero: in every container, under every optimizer, and an error where a mask misses."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import multiprune_jax as mj
import numpy as np
import optax
import pytest
from flax import nnx
from jax_nets import CONTAINERS, Linen, Nnx, X, Y, dict_apply, equinox, nested
from multiprune_jax.paths import Tree

from multiprune.errors import MaskError, MaskShapeError

PRUNED = 136  # 80 % of 170


def zeros_stay(params, masks, start=None):
    """Every pruned entry is exactly 0, and the others have moved."""
    leaves, kept = Tree(params).leaves, Tree(masks).leaves
    assert sum(int((~np.asarray(mask)).sum()) for mask in kept.values()) == PRUNED
    for name, mask in kept.items():
        assert np.all(np.asarray(leaves[name])[~np.asarray(mask)] == 0), name
        if start is not None:
            moved = np.asarray(leaves[name]) != np.asarray(Tree(start).leaves[name])
            assert moved[np.asarray(mask)].mean() > 0.9, name


def mse(apply):
    return lambda params: jnp.mean((apply(params, X) - Y) ** 2)


def fit(params, tx, loss, steps=6, state=None):
    state = tx.init(params) if state is None else state

    @jax.jit
    def step(params, state):
        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(steps):
        params, state = step(params, state)
    return params, state


def labels(params):
    return jax.tree_util.tree_map_with_path(lambda path, _: str(path[0].key), params)


OPTIMIZERS = {
    "sgd": lambda keep: optax.chain(optax.sgd(0.05, momentum=0.9), keep),
    "nesterov": lambda keep: optax.chain(optax.sgd(0.05, momentum=0.9, nesterov=True), keep),
    "adam": lambda keep: optax.chain(optax.adam(0.01), keep),
    "adamw": lambda keep: optax.chain(optax.adamw(0.01, weight_decay=0.1), keep),
    "decay": lambda keep: optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.05), keep),
    "clip": lambda keep: optax.chain(optax.clip_by_global_norm(1.0), optax.lamb(0.01), keep),
    "steps": lambda keep: optax.MultiSteps(optax.chain(optax.adamw(0.01), keep), 2),
    "multi": lambda keep: optax.chain(
        optax.multi_transform(
            {"a": optax.adam(0.01), "b": optax.sgd(0.05, momentum=0.9), "out": optax.lion(0.01)},
            labels,
        ),
        keep,
    ),
    "inside multi": lambda keep: optax.multi_transform(
        {k: optax.chain(optax.adamw(0.01), keep) for k in ("a", "b", "out")}, labels
    ),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_optimizer(make):
    loss = mse(dict_apply)
    # Momentum and moments of dense training are still there when the weights are pruned.
    dense, old = fit(nested(), make(optax.identity()), loss, steps=4)
    pruned = mj.global_unstructured(dense, amount=0.8)
    tx = make(mj.keep_pruned(pruned.masks))
    leaves, state = jax.tree.leaves(old), tx.init(pruned.params)
    filled = iter(leaves)
    state = jax.tree.map(
        lambda new: new if new.dtype == bool else next(filled), state
    )  # the masks alone are new
    params, _ = fit(pruned.params, tx, loss, state=state)
    zeros_stay(params, pruned.masks, pruned.params)
    assert loss(params) < loss(pruned.params)


def test_without_it_zeros_come_back():
    pruned = mj.global_unstructured(nested(), amount=0.8)
    params, _ = fit(pruned.params, optax.adamw(0.01), mse(dict_apply))
    with pytest.raises(AssertionError):
        zeros_stay(params, pruned.masks)


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("value", [1e-45, float("nan")])
def test_one_zero_that_comes_back_is_seen(make, value):
    """What the tests below rely on: they would fail if a single zero revived, in any container."""
    pruned = mj.global_unstructured(make(), amount=0.8)
    zeros_stay(pruned.params, pruned.masks)
    for name, mask in Tree(pruned.masks).leaves.items():
        if mask.all():
            continue
        revived = np.array(Tree(pruned.params).leaves[name])
        revived[tuple(np.argwhere(~np.asarray(mask))[-1])] = value
        tree = Tree(pruned.params).replace({name: revived}, keep=True)
        with pytest.raises(AssertionError, match=name):
            zeros_stay(tree, pruned.masks)


@pytest.mark.parametrize("whole", [True, False])
def test_linen(whole):
    model = Linen()
    variables = {"params": nested()} if whole else nested()
    wrap = (lambda p: p) if whole else (lambda p: {"params": p})
    pruned = mj.global_unstructured(variables, amount=0.8)
    tx = optax.chain(optax.adamw(0.01), mj.keep_pruned(pruned.masks))
    params, _ = fit(pruned.params, tx, lambda p: jnp.mean((model.apply(wrap(p), X) - Y) ** 2))
    zeros_stay(params, pruned.masks, pruned.params)


@pytest.mark.parametrize("as_state", [False, True])
def test_nnx(as_state):
    model = Nnx()
    pruned = mj.global_unstructured(nnx.state(model, nnx.Param) if as_state else model, amount=0.8)
    nnx.update(model, pruned.params if as_state else nnx.state(pruned.params, nnx.Param))
    tx = optax.chain(optax.adamw(0.01), mj.keep_pruned(pruned.masks))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        grads = nnx.grad(lambda m: jnp.mean((m(X) - Y) ** 2))(model)
        optimizer.update(model, grads)

    for _ in range(6):
        step(model, optimizer)
    zeros_stay(model, pruned.masks, pruned.params)


def test_equinox():
    pruned = mj.global_unstructured(equinox(), amount=0.8)
    model, tx = pruned.params, optax.chain(optax.adamw(0.01), mj.keep_pruned(pruned.masks))
    state = tx.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(model, state):
        grads = eqx.filter_grad(lambda m: jnp.mean((m(X) - Y) ** 2))(model)
        updates, state = tx.update(grads, state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), state

    for _ in range(6):
        model, state = step(model, state)
    zeros_stay(model, pruned.masks, pruned.params)


def test_pruning_inside_the_training_step():
    tx = optax.adamw(0.01)

    @jax.jit
    def step(params, state, masks, count):
        updates, state = tx.update(jax.grad(mse(dict_apply))(params), state, params)
        pruned = mj.global_unstructured(
            optax.apply_updates(params, updates), amount=count, masks=masks
        )
        return pruned.params, state, pruned.masks

    params = nested()
    state, masks = tx.init(params), mj.global_unstructured(params, amount=0).masks
    for count in (100, 36, 0):
        params, state, masks = step(params, state, masks, count)
    zeros_stay(params, masks)


def test_later_rounds_replace_masks_and_keep_moments():
    loss = mse(dict_apply)
    first = mj.global_unstructured(nested(), amount=0.5)
    tx = optax.chain(optax.adamw(0.01), mj.keep_pruned(first.masks))
    params, state = fit(first.params, tx, loss)
    second = mj.global_unstructured(params, sparsity=0.8, masks=first.masks)
    moments = jax.tree.leaves(state[0])
    state = mj.replace_masks(state, second.masks)
    assert all(map(np.array_equal, jax.tree.leaves(state[0]), moments))
    params, _ = fit(second.params, tx, loss, state=state)
    zeros_stay(params, second.masks, second.params)


def test_donated_states_leave_the_masks_alone():
    pruned = mj.global_unstructured(nested(), amount=0.8)
    state = mj.keep_pruned(pruned.masks).init(pruned.params)
    jax.jit(lambda s: jax.tree.map(jnp.logical_not, s), donate_argnums=0)(state)
    assert mj.report_of(pruned.masks).pruned == PRUNED


def test_updates_of_none_do_not_move():
    pruned = mj.global_unstructured(nested(), amount=0.8)
    tx = mj.keep_pruned(pruned.masks)
    updates = {**jax.tree.map(jnp.ones_like, nested()), "b": {"kernel": None, "bias": None}}
    got, _ = tx.update(updates, tx.init(pruned.params), pruned.params)
    assert got["b"] == {"kernel": None, "bias": None}
    assert np.array_equal(got["a"]["kernel"], pruned.masks["a"]["kernel"])


def test_an_entry_that_is_not_zero_yet_becomes_zero():
    masks = mj.global_unstructured(nested(), amount=0.8).masks
    params, _ = fit(nested(), mj.keep_pruned(masks), mse(dict_apply), steps=1)
    zeros_stay(params, masks)


def test_a_mask_that_matches_no_leaf_raises():
    masks = mj.global_unstructured(nested(), amount=0.8).masks
    for other in ({"a": nested()["a"]}, {"model": nested()}):
        with pytest.raises(MaskError, match="match no leaf of params") as caught:
            mj.keep_pruned(masks).init(other)
        assert "out/kernel" in str(caught.value)
        assert str(sorted(Tree(other).leaves)) in str(caught.value)
    state = mj.keep_pruned(masks).init(nested())
    with pytest.raises(MaskError, match="match no leaf of updates"):
        mj.keep_pruned(masks).update({"model": nested()}, state, nested())


def test_a_mask_of_another_shape_raises():
    masks = mj.global_unstructured(nested(), amount=0.8).masks
    turned = jax.tree.map(jnp.transpose, nested())
    with pytest.raises(MaskShapeError, match=r"a/kernel has shape \(6, 10\)"):
        mj.keep_pruned(masks).init(turned)


def test_bad_calls():
    masks = mj.global_unstructured(nested(), amount=0.8).masks
    tx = mj.keep_pruned(masks)
    with pytest.raises(TypeError, match=r"tx\.update\(updates, state, params\)"):
        tx.update(nested(), tx.init(nested()))
    with pytest.raises(MaskError, match="has no masks"):
        mj.replace_masks(optax.adam(0.1).init(nested()), masks)
    with pytest.raises(MaskError, match="match no leaf of the new masks"):
        mj.replace_masks(tx.init(nested()), {"a": masks["a"]})
