"""What is not in a CPU's memory is ranked where it is, by one program: the same bits."""

from __future__ import annotations

from importlib import import_module
from unittest.mock import Mock

import jax
import jax.numpy as jnp
import multiprune_jax as mj
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multiprune_conformance import oracle
from multiprune_jax.backend import backend
from multiprune_jax.engine import Compiled
from strategies import ALL, arrays

import multiprune
from multiprune.errors import AmountError
from multiprune.methods import L1Unstructured
from multiprune.plan import plan
from multiprune.question import Question

MEMORY, MASKING = (import_module(f"multiprune_jax.{name}") for name in ("memory", "masking"))
SHAPES = ((5, 3), (0, 2), (), (17,))


@pytest.fixture
def elsewhere(monkeypatch):
    """Arrays pass for those of an accelerator, and nobody may fetch one whole."""

    def refused(self, tensor, start, stop):
        raise AssertionError("an array was fetched")

    for module in (MEMORY, MASKING):
        monkeypatch.setattr(module, "is_on_a_cpu", lambda array: False)
    monkeypatch.setattr(type(backend), "flat", refused)
    with jax.enable_x64(True):
        yield


def whole(tensors, masks):
    return [
        np.ones(t.shape, dtype=bool) if m is None else m
        for t, m in zip(tensors, masks, strict=True)
    ]


# Programs are compiled for each: every dtype once, the signs of the most used ones both ways.
CASES = [(name, i % 2 == 1) for i, name in enumerate(ALL)] + [
    ("float32", True),
    ("bfloat16", False),
]


@pytest.mark.parametrize(("name", "signed"), CASES)
def test_masks_of_other_devices_equal_the_oracle(name, signed, elsewhere):
    @settings(max_examples=12)
    @given(data=st.data())
    def law(data):
        tensors = [
            np.array(data.draw(arrays([name], st.just(shape)))).reshape(shape) for shape in SHAPES
        ]
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        masks = [rng.random((5, 3)) < 0.7, None, None, (rng.random(17) < 0.5).astype("float32")]
        live = sum(int(np.sum(mask == 1)) for mask in whole(tensors, masks))
        amount = data.draw(st.integers(0, live))
        held = [jnp.array(tensor) for tensor in tensors]
        prior = [None if mask is None else jnp.array(mask) for mask in masks]
        found = multiprune.global_unstructured(held, masks=prior, amount=amount, signed=signed)
        expected = oracle.global_unstructured(tensors, masks=masks, amount=amount, signed=signed)
        assert all(map(np.array_equal, found.masks, expected))
        assert all(isinstance(mask, jax.Array) for mask in found.masks)
        there = multiprune.global_unstructured(tensors, masks=masks, amount=amount, signed=signed)
        assert str(found.report) == str(there.report)

    law()


@pytest.mark.parametrize("seed", [0, 2**63 + 5])
def test_draws_of_other_devices_equal_the_oracle(seed, elsewhere):
    shapes = [(3, 5), (2,), (7, 3)]
    held = [jnp.zeros(shape) for shape in shapes]
    for amount in (0, 1, 17, 0.5, 1.0):
        method = multiprune.RandomUnstructured
        found = multiprune.global_unstructured(held, method, amount=amount, seed=seed)
        expected = oracle.random_unstructured(shapes, seed=seed, amount=amount)
        assert all(map(np.array_equal, found.masks, expected))


def test_other_methods_stay_there_too(elsewhere):
    leaf = jnp.arange(12.0).reshape(3, 4)
    rule = multiprune.LnStructured(1, n=2, dim=0)
    assert multiprune.mask_of(leaf, rule).tolist() == [[False] * 4, [True] * 4, [True] * 4]
    mask = multiprune.mask_of(leaf, multiprune.L1Unstructured(0.5))
    assert int(mask.sum()) == 6


POOLS = {
    "tensor": {"scope": "tensor", "amount": 0.4},
    "tensor, sparsity": {"scope": "tensor", "sparsity": 0.7},
    "row": {"scope": "row", "amount": 0.5},
    "row, the other way": {"scope": "row", "amount": 2, "dim": 1},
    "row, sparsity": {"scope": "row", "sparsity": 0.75},
    "2:4": {"scope": (2, 4)},
    "1:2 along the first": {"scope": (1, 2), "dim": 0},
    "pools": {"scope": {"0": "x", "1": "y", "2": "x"}, "amount": 0.6},
    "keep_at_least": {"amount": 0.7, "keep_at_least": 0.2},
    "all bounds": {
        "amount": 0.6,
        "keep_at_least": {"1": 4},
        "prune_at_most": 0.7,
        "prune_at_least": {"[02]": 0.5},
    },
    "erk": {"allocation": "erk", "amount": 0.5},
    "uniform": {"allocation": "uniform", "sparsity": 0.7},
    "random": {"scope": "tensor", "amount": 0.5, "seed": 3},
}


@pytest.mark.parametrize("question", POOLS.values(), ids=POOLS)
@pytest.mark.parametrize("masked", [False, True])
def test_pools_of_other_devices_equal_the_oracle(question, masked, elsewhere):
    """The masks are the oracle's, and the report is that of arrays on a CPU."""
    shapes = [(4, 8), (6, 4), (2, 8, 4)]
    method = {"method": multiprune.RandomUnstructured} if "seed" in question else {}
    for ties in (False, True):
        rng = np.random.default_rng(11 + ties)
        tensors = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
        tensors = [np.round(t * 2) if ties else t for t in tensors]
        masks = [rng.random(s) < 0.8 if masked and i != 1 else None for i, s in enumerate(shapes)]
        expected = oracle.pruned(tensors, masks=masks, **question)
        held = [jnp.array(tensor) for tensor in tensors]
        found = multiprune.global_unstructured(held, masks=masks, **method, **question)
        assert all(map(np.array_equal, found.masks, expected))
        there = multiprune.global_unstructured(tensors, masks=masks, **method, **question)
        assert found.report == there.report


@pytest.mark.parametrize("shape", [(4, 0), (0, 4)])
@pytest.mark.parametrize("scope", ["tensor", "row", (2, 4)])
def test_pools_without_entries(shape, scope, elsewhere):
    held, amount = [jnp.ones((4, 4)), jnp.ones(shape)], {} if scope == (2, 4) else {"amount": 0.5}
    found = multiprune.global_unstructured(held, scope=scope, **amount)
    assert found.report.pruned == 8
    assert found.masks[1].shape == shape
    if scope == "row" and shape == (4, 0):
        with pytest.raises(AmountError, match="row 0"):
            multiprune.global_unstructured(held, scope=scope, amount=1)


def test_who_ranks_follows_from_where_arrays_lie(elsewhere, monkeypatch):
    method, leaf = L1Unstructured(1), jnp.ones((2, 2))

    def engine(*scores, masks=None):
        return plan(scores, Question(method.target), method, masks).engine

    assert isinstance(engine(leaf), Compiled)
    monkeypatch.undo()
    monkeypatch.setattr(MEMORY, "is_on_a_cpu", lambda array: array.ndim == 2)
    assert not isinstance(engine(leaf), Compiled)
    # A single array elsewhere, or a mask, decides for all.
    assert isinstance(engine(leaf, jnp.ones(3)), Compiled)
    assert isinstance(engine(leaf, masks=[jnp.ones((1, 2, 2), bool)]), Compiled)


@pytest.mark.parametrize("platform", ["gpu", "tpu", "cpu"])
def test_a_cpu_is_known_by_its_platform(platform):
    array = Mock(spec=type(jnp.ones(1)))
    array.sharding.device_set = {Mock(platform=platform)}
    assert MEMORY.is_on_a_cpu(array) == (platform == "cpu")
    array.sharding.device_set.add(Mock(platform=platform))  # over a mesh
    assert not MEMORY.is_on_a_cpu(array)


def test_tree_functions_take_the_same_turn(monkeypatch):
    """`multiprune_jax.global_unstructured` compiles what is elsewhere, and reads what is here."""
    turns = []
    cuts = Compiled.cuts
    monkeypatch.setattr(Compiled, "cuts", lambda *a, **k: turns.append("compiled") or cuts(*a, **k))
    tree = {"w": jnp.array([[3.0, -1.0], [0.5, 2.0]])}
    here = mj.global_unstructured(tree, amount=2)
    assert not turns
    monkeypatch.setattr(MEMORY, "is_on_a_cpu", lambda array: False)
    there = mj.global_unstructured(tree, amount=2)
    assert turns == ["compiled"]
    assert here.masks["w"].tolist() == there.masks["w"].tolist()
    assert here.report == there.report
