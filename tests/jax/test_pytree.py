"""Containers: one network has the same names and masks in all of them, and nothing is changed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import multiprune_jax as mj
import numpy as np
import pytest
from jax_nets import CONTAINERS, KERNELS, WEIGHTS, X, dict_apply, equinox, nested
from multiprune_conformance import oracle
from multiprune_jax.paths import Tree

from multiprune import Report

EXPECTED = dict(
    zip(KERNELS, oracle.global_unstructured([WEIGHTS[k] for k in KERNELS], amount=0.8), strict=True)
)


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("how", ["eager", "jit"])
def test_every_container_has_the_same_names_and_masks(make, how):
    tree = make()
    before = {n: np.array(leaf) for n, leaf in Tree(tree).leaves.items() if n in WEIGHTS}
    leaves, structure = jax.tree_util.tree_flatten(tree)
    if how == "eager":
        pruned = mj.global_unstructured(tree, amount=0.8)
        assert isinstance(pruned.report, Report)
        assert [t.name for t in pruned.report.tensors] == KERNELS
        assert pruned.report.pruned == 136
    else:
        arrays = [leaf for leaf in leaves if isinstance(leaf, jax.Array)]

        @jax.jit
        def prune(arrays):
            rest = iter(arrays)
            filled = [next(rest) if isinstance(leaf, jax.Array) else leaf for leaf in leaves]
            pruned = mj.global_unstructured(
                jax.tree_util.tree_unflatten(structure, filled), amount=0.8
            )
            return Tree(pruned.masks).leaves, {n: Tree(pruned.params).leaves[n] for n in WEIGHTS}

        pruned = mj.PrunedTree(*reversed(prune(arrays)), None)
    masks = Tree(pruned.masks).leaves
    params = Tree(pruned.params).leaves
    assert sorted(masks) == KERNELS
    for name, value in WEIGHTS.items():
        expected = np.where(EXPECTED[name], value, 0) if name in KERNELS else value
        assert np.array_equal(params[name], expected)
    for name in KERNELS:
        assert np.array_equal(masks[name], EXPECTED[name])
    after = Tree(tree).leaves
    assert all(np.array_equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_params_and_masks_have_the_structure_of_what_was_given(make):
    tree = make()
    pruned = mj.global_unstructured(tree, amount=0.8)
    assert type(pruned.params) is type(tree) is type(pruned.masks)
    assert jax.tree.structure(pruned.params) == jax.tree.structure(tree)
    again = mj.apply_masks(tree, pruned.masks)
    assert jax.tree.structure(again) == jax.tree.structure(tree)
    for name, value in Tree(pruned.params).leaves.items():
        if name in WEIGHTS:
            assert np.array_equal(value, Tree(again).leaves[name])


def test_static_leaves_of_equinox_pass_through():
    pruned = mj.global_unstructured(equinox(), amount=0.8)
    assert pruned.params.activation is jnp.tanh
    assert pruned.params.name == "net"
    expected = dict_apply(mj.apply_masks(nested(), EXPECTED), X)
    assert np.allclose(pruned.params(X), expected)


def test_names_of_lists_and_odd_keys():
    tree = {"layers": [{"w": jnp.ones((1, 1))}, (jnp.ones((1, 2)),)], 3: jnp.ones((2, 1))}
    assert list(mj.named_leaves({"x": tree["layers"]})) == ["x/0/w", "x/1/0"]
    assert list(Tree({3: tree[3], 20: tree[3]}).leaves) == ["3", "20"]
    # Positions follow code points: "10" comes before "9".
    ones = {"9": jnp.ones((1, 2)), "10": jnp.ones((1, 2))}
    masks = mj.global_unstructured(ones, amount=2).masks
    assert not masks["10"].any()
    assert masks["9"].all()


def test_where_chooses_leaves_and_the_rest_keeps_its_masks():
    first = mj.global_unstructured(nested(), amount=0.5)
    second = mj.global_unstructured(
        first.params, amount=0.5, masks=first.masks, where=lambda path, leaf: path == "b/kernel"
    )
    assert [t.name for t in second.report.tensors] == ["b/kernel"]
    assert np.array_equal(second.masks["a"]["kernel"], first.masks["a"]["kernel"])
    assert second.masks["a"]["bias"] is None
    live = int(first.masks["b"]["kernel"].sum())
    assert int(second.masks["b"]["kernel"].sum()) == live - round(live / 2)
    assert not (second.masks["b"]["kernel"] & ~first.masks["b"]["kernel"]).any()


def test_prior_masks_are_matched_by_name():
    first = mj.global_unstructured(nested(), amount=0.5)
    flat = {name: np.asarray(m, dtype=np.float32) for name, m in Tree(first.masks).leaves.items()}
    by_tree = mj.global_unstructured(nested(), sparsity=0.7, masks=first.masks)
    by_name = mj.global_unstructured(nested(), sparsity=0.7, masks=flat)
    assert by_tree.report.pruned == by_name.report.pruned == round(0.7 * 170)
    for one, other in zip(*map(jax.tree.leaves, (by_tree.masks, by_name.masks)), strict=True):
        assert np.array_equal(one, other)


def test_scores_are_ranked_instead():
    scores = jax.tree.map(lambda x: -x * x, nested())
    got = mj.global_unstructured(nested(), amount=0.3, importance_scores=scores, signed=True)
    largest = {name: -(WEIGHTS[name] ** 2) for name in KERNELS}
    expected = oracle.global_unstructured(list(largest.values()), amount=0.3, signed=True)
    for name, mask in zip(KERNELS, expected, strict=True):
        assert np.array_equal(Tree(got.masks).leaves[name], mask)


def test_random_masks_are_those_of_the_seed():
    got = mj.global_unstructured(nested(), amount=0.3, method=mj.RandomUnstructured, seed=7)
    shapes = [WEIGHTS[name].shape for name in KERNELS]
    expected = oracle.random_unstructured(shapes, seed=7, amount=0.3)
    for name, mask in zip(KERNELS, expected, strict=True):
        assert np.array_equal(Tree(got.masks).leaves[name], mask)


METHODS = {
    "l1": lambda path, leaf: mj.L1Unstructured(0.25),
    "random": lambda path, leaf: mj.RandomUnstructured(0.25, seed=len(path)),
    "identity": lambda path, leaf: mj.Identity(),
    "l2": mj.LnStructured(0.25, n=2, dim=0),
    "l1 channels": mj.LnStructured(1, n=1, dim=-1),
    "random channels": mj.RandomStructured(0.25, 0, seed=3),
    "mask": lambda path, leaf: mj.CustomFromMask(WEIGHTS[path] > 0),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("prior", [False, True])
def test_local_masks_under_jit_equal_eager_ones(method, prior):
    where = {"where": lambda path, leaf: path in ("a/kernel", "b/kernel")}
    masks = mj.global_unstructured(nested(), amount=0.4).masks if prior else None
    eager = mj.local(nested(), method, masks=masks, **where)
    traced = jax.jit(lambda p: mj.local(p, method, masks=masks, **where).masks)(nested())
    for name in ("a/kernel", "b/kernel"):
        one, other = (Tree(masks).leaves[name] for masks in (eager.masks, traced))
        assert np.array_equal(one, other)
        if prior:
            assert not (one & ~Tree(masks).leaves[name]).any()
        expected = np.where(one, WEIGHTS[name], 0)
        assert np.array_equal(Tree(eager.params).leaves[name], expected)


def test_a_report_of_masks_counts():
    pruned = mj.global_unstructured(nested(), amount=0.8)
    assert mj.report_of(pruned.masks).pruned == pruned.report.pruned


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float8_e4m3fn", "complex64", "int16"])
def test_masks_write_a_plain_zero(dtype):
    leaf = jnp.array([[-3, 2], [-1, 5]]).astype(dtype)
    mask = jnp.array([[False, True], [True, False]])
    for apply in (mj.apply_masks, jax.jit(mj.apply_masks)):
        got = np.asarray(apply({"w": leaf}, {"w": mask})["w"])
        assert np.array_equal(got, np.where(mask, leaf, np.zeros((), leaf.dtype)))
        assert not np.signbit(got.real.astype(np.float32)[0, 0])


def test_a_pruned_nan_is_zero():
    leaf = jnp.array([[jnp.nan, 1.0]])
    for apply in (mj.apply_masks, jax.jit(mj.apply_masks)):
        assert apply({"w": leaf}, {"w": jnp.array([[False, True]])})["w"].tolist() == [[0.0, 1.0]]


def test_gradients_pass_through_what_is_kept():
    def loss(params):
        return sum(
            leaf.sum() for leaf in mj.global_unstructured(params, amount=0.8).params.values()
        )

    kernels = {name: jnp.asarray(WEIGHTS[name]) for name in KERNELS}
    for grads in (jax.grad(loss)(kernels), jax.jit(jax.grad(loss))(kernels)):
        for name in KERNELS:
            assert np.array_equal(grads[name], EXPECTED[name])
