"""Bad input: each has an error of its own that says what was given and what to do."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import multiprune_jax as mj
import numpy as np
import pytest
from jax_nets import nested

import multiprune
from multiprune import errors

TREE = {"a": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}}
WIDE = {"a": {"kernel": np.ones((2, 3)), "bias": np.ones(3)}}


@pytest.fixture(autouse=True)
def _no_x64():
    with jax.enable_x64(False):
        yield


def prune(params=TREE, **options):
    return mj.global_unstructured(params, **({"amount": 0.5} | options))


def traced(name):
    return lambda: jax.jit(lambda value: prune(**{"amount": None, name: value}).masks)(0.5)


CASES = {
    "where": (lambda: prune(where="a"), errors.ParametersTypeError, "where='a' was given"),
    "include": (lambda: prune(include=3), errors.ParametersTypeError, "include=3 was given"),
    "exclude": (lambda: prune(exclude=[3]), errors.ParametersTypeError, "exclude="),
    "shapes": (
        lambda: prune(jax.eval_shape(lambda: TREE)),
        errors.ParametersTypeError,
        "a/kernel is a ShapeDtypeStruct",
    ),
    "outcome for masks": (
        lambda: prune(masks=prune()),
        errors.MaskError,
        r"masks=pruned\.masks",
    ),
    "outcome to apply": (
        lambda: mj.apply_masks(TREE, prune()),
        errors.MaskError,
        r"masks=pruned\.masks",
    ),
    "outcome to keep": (
        lambda: mj.keep_pruned(prune()),
        errors.MaskError,
        r"masks=pruned\.masks",
    ),
    "list for a mask": (
        lambda: prune(masks={"a/kernel": [[1, 0, 1], [1, 1, 1]]}),
        errors.MaskError,
        "mask",
    ),
    "name for a method": (
        lambda: prune(method="Random"),
        errors.PruningTypeError,
        "'Random'",
    ),
    "instance for a class": (
        lambda: prune(method=mj.L1Unstructured(0.5)),
        errors.PruningTypeError,
        "an instance",
    ),
    "class for an instance": (
        lambda: mj.local(TREE, mj.LnStructured),
        errors.PruningTypeError,
        r"Write LnStructured\(0\.5\)",
    ),
    "name for an instance": (
        lambda: mj.local(TREE, "LnStructured"),
        errors.PruningTypeError,
        "method='LnStructured'",
    ),
    "float64": (lambda: prune(WIDE), errors.DtypeError, "jax_enable_x64"),
    "int64": (
        lambda: prune({"w": np.ones((2, 2), dtype=np.int64)}, where=lambda p, x: True),
        errors.DtypeError,
        "w is int64",
    ),
    "float64 scores": (
        lambda: prune(importance_scores=WIDE),
        errors.DtypeError,
        "the score of a/kernel is float64",
    ),
    "float64 from another": (
        lambda: mj.backend.from_numpy(np.ones(2)),
        errors.DtypeError,
        "x64",
    ),
    "no leaves": (lambda: prune({}), errors.ParametersError, "ERR-03"),
    "no candidates": (
        lambda: prune({"bias": jnp.ones(3)}),
        errors.ParametersError,
        r"bias: float32\[3\]",
    ),
    "nothing chosen": (
        lambda: prune(where=lambda p, x: False),
        errors.ParametersError,
        "chose none",
    ),
    "bool": (
        lambda: prune({"m": jnp.ones((2, 2), bool)}, where=lambda p, x: True),
        errors.DtypeError,
        "bool",
    ),
    "two names": (
        lambda: prune({"a/kernel": jnp.ones((1, 1)), "a": {"kernel": jnp.ones((1, 1))}}),
        errors.ParametersError,
        r"two leaves called \['a/kernel'\]",
    ),
    "masks of another tree": (
        lambda: prune(masks=prune(nested()).masks),
        errors.MaskError,
        "'out/kernel'",
    ),
    "mask of another shape": (
        lambda: prune(masks={"a": {"kernel": np.ones((3, 2))}}),
        errors.MaskShapeError,
        "MASK-04",
    ),
    "mask of other values": (
        lambda: prune(masks={"a": {"kernel": np.full((2, 3), 0.5)}}),
        errors.MaskError,
        "MASK-03",
    ),
    "traced masks that are no booleans": (
        lambda: jax.jit(lambda m: prune(masks={"a": {"kernel": m}}).masks)(jnp.ones((2, 3))),
        errors.MaskError,
        "astype",
    ),
    "scores missing": (
        lambda: prune(importance_scores={"a": {"bias": jnp.ones(3)}}),
        errors.ScoresError,
        "lack",
    ),
    "scores of another tree": (
        lambda: prune(importance_scores=TREE | {"z": jnp.ones(3)}),
        errors.ScoresError,
        r"\['z'\]",
    ),
    "scores of another shape": (
        lambda: prune(importance_scores={"a": {"kernel": jnp.ones((3, 2))}}),
        errors.ScoresShapeError,
        "SCORE-02",
    ),
    "structured": (
        lambda: prune(method=mj.LnStructured),
        errors.PruningTypeError,
        "METH-02",
    ),
    "both amounts": (lambda: prune(sparsity=0.5), errors.AmountTypeError, "AMT-16"),
    "neither amount": (lambda: prune(amount=None), errors.AmountTypeError, "AMT-16"),
    "traced fraction": (traced("amount"), errors.AmountTypeError, "round"),
    "traced sparsity": (traced("sparsity"), errors.AmountTypeError, "static argument"),
    "traced seed": (
        lambda: jax.jit(lambda s: prune(method=mj.RandomUnstructured, seed=s).masks)(1),
        errors.SeedError,
        "static argument",
    ),
    "fraction of traced masks": (
        lambda: jax.jit(lambda m: prune(masks={"a": {"kernel": m}}).masks)(
            jnp.ones((2, 3), dtype=bool)
        ),
        errors.AmountTypeError,
        "Pass an int amount",
    ),
    "an amount too large under jit": (
        lambda: jax.jit(lambda p: prune(p, amount=7).masks)(TREE),
        errors.AmountError,
        "AMT-11",
    ),
    "traced arrays in the algebra": (
        lambda: jax.jit(lambda x: multiprune.global_unstructured([x], amount=1).masks)(
            jnp.ones((2, 2))
        ),
        errors.ParametersTypeError,
        "multiprune_jax.global_unstructured",
    ),
    "complex, signed": (
        lambda: jax.jit(lambda x: prune({"w": x}, where=lambda p, x: True, signed=True).masks)(
            jnp.ones((2, 2), dtype=jnp.complex64)
        ),
        errors.DtypeError,
        "NUM-16",
    ),
    "a leaf of 2**32 entries": (
        lambda: jax.eval_shape(
            lambda x: prune({"w": x}).masks, jax.ShapeDtypeStruct((1 << 16, 1 << 16), jnp.bfloat16)
        ),
        errors.ParametersError,
        "Split it",
    ),
    "a local mask of another shape": (
        lambda: mj.local(TREE, mj.CustomFromMask(np.ones((3, 2)))),
        errors.MaskShapeError,
        "MASK-04",
    ),
    "a local dimension that is not there": (
        lambda: mj.local(TREE, mj.LnStructured(0.5, dim=2)),
        errors.DimError,
        "METH-08",
    ),
}


@pytest.mark.parametrize(("call", "error", "says"), CASES.values(), ids=CASES)
def test_bad_input(call, error, says):
    with pytest.raises(error, match=says) as caught:
        call()
    assert isinstance(caught.value, errors.MultipruneError)


def test_nothing_is_changed_by_an_error():
    before = nested()
    tree = nested()
    with pytest.raises(errors.AmountError):
        mj.global_unstructured(tree, amount=1000)
    assert jax.tree.structure(tree) == jax.tree.structure(before)
    assert all(map(np.array_equal, jax.tree.leaves(tree), jax.tree.leaves(before)))


def test_patterns_choose_leaves_as_everywhere():
    tree = {n: {"kernel": jnp.ones((2, 2))} for n in ("head", "body", "d")}
    assert list(mj.named_leaves(tree, exclude="head*")) == ["body/kernel", "d/kernel"]
    assert list(mj.named_leaves(tree, include=["d/*", "head/*"])) == ["d/kernel", "head/kernel"]
    masks = prune(tree, include="*/kernel", exclude=("head*",)).masks
    assert masks["head"]["kernel"] is None
    assert masks["d"]["kernel"] is not None
    local = mj.local(tree, mj.L1Unstructured(1), exclude="[hb]*").masks
    assert [n for n, leaf in local.items() if leaf["kernel"] is not None] == ["d"]


def test_masks_are_saved_with_their_arguments_in_either_order(tmp_path):
    masks = prune().masks
    new = mj.save_masks(masks, tmp_path / "new.safetensors")
    with pytest.warns(DeprecationWarning, match=r"save_masks\(masks, path\) now"):
        assert mj.save_masks(tmp_path / "old.safetensors", masks) == new
