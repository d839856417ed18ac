"""Pools under jit and vmap: the oracle's masks in every scope, and what cannot be refused there."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import ml_dtypes
import multiprune_jax as mj
import numpy as np
import pytest
from multiprune_conformance import oracle

from multiprune.errors import AllocationError, AmountTypeError, BoundsError, ScopeError

SHAPES = [(4, 8), (6, 4), (2, 8, 4)]
NAMES = ["a", "b", "c"]
ROWS = {"scope": "row", "dim": -1}
GROUPS = {"scope": (2, 4), "dim": -1}
QUESTIONS = {
    "global": {"amount": 0.5},
    "tensor": {"scope": "tensor", "amount": 0.4},
    "tensor, a count": {"scope": "tensor", "amount": 5},
    "tensor, sparsity": {"scope": "tensor", "sparsity": 0.7},
    "rows": ROWS | {"amount": 0.5},
    "rows, a count": ROWS | {"amount": 2, "dim": 0},
    "rows between others": ROWS | {"sparsity": 0.6, "dim": -2},
    "2:4": GROUPS,
    "1:2": {"scope": (1, 2), "dim": 0},
    "2:2": {"scope": (2, 2), "dim": -1},
    "pools": {"scope": {"a": 1, "[bc]": 2}, "amount": 0.6},
    "keep_at_least": {"amount": 0.7, "keep_at_least": 0.2},
    "prune_at_most": {"sparsity": 0.5, "prune_at_most": {"a": 9, "b": 0.6}},
    "prune_at_least": {"amount": 40, "prune_at_least": 0.3},
    "all bounds": {
        "sparsity": 0.6,
        "keep_at_least": {"b": 4},
        "prune_at_most": 0.7,
        "prune_at_least": {"[ac]": 0.5},
    },
    "uniform": {"allocation": "uniform", "amount": 0.5},
    "erk": {"allocation": "erk", "sparsity": 0.7},
    "shares": {"allocation": {"a": 1, "*": 0.5}, "amount": 30},
}
VALUES = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "ties": lambda rng, shape: rng.integers(-2, 3, shape),
    "constant": lambda rng, shape: np.full(shape, 3),
    "special": lambda rng, shape: rng.choice([np.nan, -np.inf, 0, -0.0, 1e-42, -2, 1], shape),
}
SOME = np.random.default_rng(4)
MASKS = [SOME.random(SHAPES[0]) < 0.9, None, SOME.random(SHAPES[2]) < 0.85]


def tensors_of(values, dtype, seed=0):
    kind, rng = np.dtype(getattr(ml_dtypes, dtype, dtype)), np.random.default_rng(seed)
    with np.errstate(invalid="ignore"):
        return [np.asarray(VALUES[values](rng, shape)).astype(kind) for shape in SHAPES]


def tree_of(values):
    pairs = zip(NAMES, values, strict=True)
    return {name: jnp.asarray(value) for name, value in pairs if value is not None}


def asking(question, **options):
    """A function of leaves, masks and a count, or None."""

    def prune(leaves, masks, count=None):
        amount = {} if count is None else {"amount": count}
        asked = question | options | amount
        return mj.global_unstructured(leaves, masks=masks, where=lambda *_: True, **asked).masks

    return prune


def program(question, **options):
    """The same, all of them traced."""
    return jax.jit(asking(question, **options))


def same(found, expected):
    return all(np.array_equal(found[n], e) for n, e in zip(NAMES, expected, strict=True))


# Kinds of keys: with room above the largest, and without; of 8 to 32 bits.
KINDS = [("float32", False), ("bfloat16", True), ("int8", True), ("float8_e4m3fnuz", True)]
KINDS += [("uint8", False), ("float8_e5m2", False)]


@pytest.mark.parametrize("name", QUESTIONS)
def test_masks_under_jit_equal_the_oracle(name):
    question = QUESTIONS[name]
    for dtype, signed in KINDS if name in ("rows", "2:4", "all bounds") else KINDS[:1]:
        prune = program(question, signed=signed)
        for values in VALUES if dtype[0] != "u" and dtype != "int8" else ["ties", "constant"]:
            tensors = tensors_of(values, dtype)
            expected = oracle.pruned(tensors, names=NAMES, signed=signed, **question)
            assert same(prune(tree_of(tensors), None), expected), (dtype, values)


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("where", ["static", "traced"])
def test_prior_masks_under_jit_equal_the_oracle(name, where):
    question, prior = QUESTIONS[name], tree_of(MASKS)
    if where == "static":
        prune = jax.jit(lambda leaves, _: asking(question)(leaves, prior))
    else:
        prune = program(question)
        if isinstance(question.get("amount"), float) or "allocation" in question:
            with pytest.raises((AmountTypeError, AllocationError), match="traced masks"):
                prune(tree_of(tensors_of("ties", "float32")), prior)
            return
    for values in ("normal", "ties"):
        tensors = tensors_of(values, "float32", seed=1)
        expected = oracle.pruned(tensors, masks=MASKS, names=NAMES, **question)
        assert same(prune(tree_of(tensors), prior), expected)


COUNTED = ["tensor", "rows", "pools", "keep_at_least", "all bounds"]


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("masked", [False, True])
def test_traced_counts_equal_the_oracle(name, masked):
    question = {k: v for k, v in QUESTIONS[name].items() if k not in ("amount", "sparsity")}
    masks = MASKS if masked else [None] * 3
    prune = program(question)
    for seed, count in enumerate((0, 1, 2) if name == "rows" else (0, 1, 7, 20, 57, 60)):
        tensors = tensors_of(["normal", "ties"][seed % 2], "float32", seed)
        try:
            expected = oracle.pruned(tensors, masks=masks, names=NAMES, amount=count, **question)
        except oracle.Refused:
            continue  # see below
        assert same(prune(tree_of(tensors), tree_of(masks), jnp.int32(count)), expected)


@pytest.mark.parametrize("name", ["tensor, a count", "rows, a count", "2:4", "prune_at_least"])
def test_vmap_gives_each_member_its_own_cuts(name):
    question = QUESTIONS[name]
    members = [tensors_of("ties", "float32", seed) for seed in range(3)]
    stacked = tree_of([np.stack(each) for each in zip(*members, strict=True)])
    prior = tree_of([None if m is None else np.stack([m, ~m, m | ~m]) for m in MASKS])
    prune = program(question)
    found = jax.vmap(lambda leaves: prune(leaves, None))(stacked)
    for i, tensors in enumerate(members):
        expected = oracle.pruned(tensors, names=NAMES, **question)
        assert same({n: mask[i] for n, mask in found.items()}, expected)
    if name != "2:4":
        return
    found = jax.vmap(prune)(stacked, prior)
    for i, tensors in enumerate(members):
        masks = [np.asarray(prior[n][i]) if n in prior else None for n in NAMES]
        expected = oracle.pruned(tensors, masks=masks, names=NAMES, **question)
        assert same({n: mask[i] for n, mask in found.items()}, expected)


@pytest.mark.parametrize("shape", [(1, 5), (7, 3), (8, 3), (9, 3), (65, 2), (300, 3), (3, 2, 40)])
@pytest.mark.parametrize("dim", [0, -1, -2])
def test_rows_of_every_length_equal_the_oracle(shape, dim):
    """Counted in blocks where a row is a column in memory."""
    rng = np.random.default_rng(3)
    question = {"scope": "row", "dim": dim, "amount": 0.5}
    for tensor in (rng.standard_normal(shape), rng.integers(0, 3, shape), np.zeros(shape)):
        tensor = tensor.astype(np.float32)
        (expected,) = oracle.pruned([tensor], **question)
        found = program(question)({"a": jnp.asarray(tensor)}, None)["a"]
        assert np.array_equal(found, expected)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 5), (8, 16), (64, 64), (20, 65), (1, 300)])
@pytest.mark.parametrize("masked", [False, True])
def test_groups_of_every_size_equal_the_oracle(n, m, masked):
    """Compared with each other, or searched as rows are."""
    rng = np.random.default_rng(n)
    for dim, shape in ((1, (3, 2 * m)), (0, (2 * m, 3)), (1, (2, m, 2))):
        question = {"scope": (n, m), "dim": dim}
        tensor = np.round(rng.standard_normal(shape) * 3).astype(np.float32)
        mask = rng.random(shape) < 0.7 if masked else None
        (expected,) = oracle.pruned([tensor], masks=[mask], **question)
        masks = {"a": jnp.asarray(mask)} if masked else None
        found = program(question)({"a": jnp.asarray(tensor)}, masks)["a"]
        assert np.array_equal(found, expected)


def test_dimensions_are_those_of_kernels():
    """Rows are outputs, the last dimension; groups run along inputs, the last but one."""
    leaf = {"w": jnp.asarray(np.random.default_rng(0).standard_normal((3, 3, 8, 4)), jnp.float32)}
    for scope, dim in (("row", -1), ((2, 4), -2)):
        amount = {"amount": 0.5} if scope == "row" else {}
        here = mj.global_unstructured(leaf, scope=scope, **amount)
        (expected,) = oracle.pruned([np.asarray(leaf["w"])], scope=scope, dim=dim, **amount)
        assert np.array_equal(here.masks["w"], expected)
        traced = jax.jit(lambda p, s=scope, a=amount: mj.global_unstructured(p, scope=s, **a).masks)
        assert np.array_equal(traced(leaf)["w"], expected)


def test_bounds_that_traced_numbers_cannot_meet_are_met_as_nearly_as_can_be():
    tensors = tensors_of("ties", "float32")
    low, high = {"prune_at_least": 0.3}, {"keep_at_least": 0.4}
    for bounds, asked, nearest in ((low, 3, 10 + 8 + 20), (high, 119, 120 - 13 - 10 - 26)):
        expected = oracle.pruned(tensors, names=NAMES, amount=nearest, **bounds)
        prune = program(bounds)
        assert same(prune(tree_of(tensors), None, jnp.int32(asked)), expected)
        # What is known is refused, also inside jit.
        with pytest.raises(BoundsError, match=f"amount={nearest}"):
            program(bounds | {"amount": asked})(tree_of(tensors), None)
    with pytest.raises(BoundsError, match="contradict"):
        program({"keep_at_least": 0.6, "prune_at_least": 0.5})(tree_of(tensors), None, 3)


def test_of_traced_masks_no_more_is_pruned_than_is_left():
    tensors = tensors_of("normal", "float32")
    one = tree_of([np.arange(m.size).reshape(m.shape) % 4 == 0 for m in tensors])
    for scope in ("tensor", "row"):
        found = program({"scope": scope, "amount": 100})(tree_of(tensors), one)
        assert not any(mask.any() for mask in found.values())
    kept = program({"scope": "tensor", "sparsity": 0.25})(tree_of(tensors), one)
    assert all(np.array_equal(kept[n], one[n]) for n in NAMES)


def test_what_a_scope_refuses_is_refused_under_jit():
    leaves = tree_of(tensors_of("normal", "float32"))
    with pytest.raises(AllocationError, match="traced amount"):
        program({"allocation": "erk"})(leaves, None, 5)
    with pytest.raises(AmountTypeError, match="GROUP"):
        program(GROUPS)(leaves, None, 5)
    with pytest.raises(ScopeError, match="fill"):
        program({"scope": (2, 3), "dim": -1})(leaves, None)


def temporaries(question, shape):
    tree = {n: jax.ShapeDtypeStruct(shape, jnp.float32) for n in NAMES}
    compiled = program(question).lower(tree, None).compile()
    assert not re.search(r"\b(sort|gather|custom-call)\(", compiled.as_text())
    return compiled.memory_analysis().temp_size_in_bytes


def test_no_temporary_is_as_large_as_a_leaf():
    size = 4 * 1024 * 1000
    for question in ({"amount": 0.5, "keep_at_least": 0.1}, {"scope": "tensor", "amount": 0.5}):
        assert temporaries(question, (1024, 1000)) < 100_000
    for dim in (0, 1):
        assert temporaries({"scope": (2, 4), "dim": dim}, (1024, 1000)) < 100_000
        assert temporaries({"scope": "row", "amount": 0.5, "dim": dim}, (1024, 1000)) < size / 5
