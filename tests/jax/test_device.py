"""What is not in a CPU's memory is counted where it is, by the algebra too: the same bits."""

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
from multiprune_jax.device import DeviceEntries
from strategies import ALL, arrays

import multiprune
from multiprune.keys import format_of
from multiprune.methods import L1Unstructured
from multiprune.plan import Ranking

# The package's `backend` is the object; the room of that name is behind it.
ROOM, RANKING = (import_module(f"multiprune_jax.{room}") for room in ("backend", "ranking"))
SHAPES = ((5, 3), (0, 2), (), (17,))


@pytest.fixture
def elsewhere(monkeypatch):
    """Arrays pass for those of an accelerator, and nobody may fetch one whole."""

    def refused(self, tensor, start, stop):
        raise AssertionError("an array was fetched")

    monkeypatch.setattr(ROOM, "is_on_a_cpu", lambda array: False)
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


def test_who_counts_follows_from_where_arrays_lie(elsewhere, monkeypatch):
    method, leaf = L1Unstructured(1), jnp.ones((2, 2))
    assert isinstance(Ranking([leaf], method).entries, DeviceEntries)
    monkeypatch.setattr(ROOM, "is_on_a_cpu", lambda array: array.ndim == 2)
    assert not isinstance(Ranking([leaf], method).entries, DeviceEntries)
    # A single array elsewhere, or a mask, decides for all.
    assert isinstance(Ranking([leaf, jnp.ones(3)], method).entries, DeviceEntries)
    mask = jnp.ones((1, 2, 2), bool)
    assert isinstance(Ranking([leaf], method, [mask]).entries, DeviceEntries)


@pytest.mark.parametrize("platform", ["gpu", "tpu", "cpu"])
def test_a_cpu_is_known_by_its_platform(platform):
    array = Mock(spec=type(jnp.ones(1)))
    array.sharding.device_set = {Mock(platform=platform)}
    assert ROOM.is_on_a_cpu(array) == (platform == "cpu")
    array.sharding.device_set.add(Mock(platform=platform))  # over a mesh
    assert not ROOM.is_on_a_cpu(array)


def test_tree_functions_take_the_same_turn(monkeypatch):
    """`multiprune_jax.global_unstructured` compiles what is elsewhere, and reads what is here."""
    turns = []
    rank = RANKING.rank
    monkeypatch.setattr(RANKING, "rank", lambda *a: turns.append("compiled") or rank(*a))
    tree = {"w": jnp.array([[3.0, -1.0], [0.5, 2.0]])}
    here = mj.global_unstructured(tree, amount=2)
    assert not turns
    monkeypatch.setattr(ROOM, "is_on_a_cpu", lambda array: False)
    there = mj.global_unstructured(tree, amount=2)
    assert turns == ["compiled"]
    assert here.masks["w"].tolist() == there.masks["w"].tolist()
    assert here.report == there.report


def test_leaves_past_32_bits_are_refused():
    struct = jax.ShapeDtypeStruct((1 << 16, 1 << 16), jnp.bfloat16)
    with pytest.raises(ValueError, match="Split it"):
        DeviceEntries([struct], [None], 15, (format_of("bfloat16"), False, None))
