"""JAX on a GPU: masks of the CPU, with arrays at hand and under ``jit``, and arrays that stay."""

from __future__ import annotations

import os

import numpy as np
import pytest

import multiprune

# Torch shares the device. JAX reads this when it meets the device, not when it is imported.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
jax = pytest.importorskip("jax")
mj = pytest.importorskip("multiprune_jax")
ml_dtypes = pytest.importorskip("ml_dtypes")

KINDS = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
QUESTIONS = {
    "global": {"amount": 0.6},
    "int": {"amount": 1234},
    "sparsity": {"sparsity": 0.9},
    "tensor": {"amount": 0.6, "scope": "tensor"},
    "row": {"amount": 0.5, "scope": "row", "dim": 1},
    "2:4": {"scope": (2, 4), "dim": 0},
    "bounds": {"amount": 0.7, "keep_at_least": 0.2},
    "allocation": {"amount": 0.7, "allocation": "erk"},
}
SPECIAL = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -6e-8, 1.0]
SHAPES = {"a": (96, 64), "b": (8, 200), "c": (300, 12)}


@pytest.fixture(autouse=True)
def on_a_gpu():
    if jax.default_backend() != "gpu":
        pytest.skip("JAX sees no GPU")


def weights(kind, values):
    rng = np.random.default_rng(4)
    drawn = {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}
    for name, numbers in drawn.items():
        if values == "ties":
            drawn[name] = np.round(2 * numbers) / 2
        elif values == "special":
            odd = rng.choice(SPECIAL, numbers.shape)
            drawn[name] = np.where(rng.random(numbers.shape) < 0.3, odd, numbers)
    return {name: numbers.astype(KINDS[kind]) for name, numbers in drawn.items()}


def priors():
    rng = np.random.default_rng(5)
    return {name: rng.random(shape) < 0.8 for name, shape in SHAPES.items()}


def expected(tree, masks, asked):
    prior = None if masks is None else list(masks.values())
    return multiprune.global_unstructured(list(tree.values()), masks=prior, **asked)


def on_device(tree):
    return None if tree is None else {k: jax.device_put(v) for k, v in tree.items()}


def assert_same(found, masks):
    for mine, theirs in zip(found.values(), masks, strict=True):
        assert {d.platform for d in mine.devices()} == {"gpu"}
        assert np.array_equal(np.asarray(mine), theirs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asked", QUESTIONS.values(), ids=QUESTIONS)
def test_masks_under_jit_equal_those_of_numpy(kind, asked):
    cases = [("random", None), ("special", None), ("ties", priors())]
    for values, masks in cases:
        tree = weights(kind, values)
        held = on_device(masks)  # known while it is traced, as are fractions of what is live

        def pruned(tree, held=held):
            return mj.global_unstructured(tree, masks=held, **asked)[:2]

        params, found = jax.jit(pruned)(on_device(tree))
        wanted = expected(tree, masks, asked).masks
        assert_same(found, wanted)
        for name, mask in zip(tree, wanted, strict=True):
            kept = np.asarray(params[name])[mask]
            assert kept.tobytes() == tree[name][mask].tobytes()
            assert not np.asarray(params[name])[~mask].any()


@pytest.mark.parametrize("asked", QUESTIONS.values(), ids=QUESTIONS)
def test_masks_of_arrays_at_hand_equal_those_of_numpy(asked):
    for kind, values, masks in (
        ("float32", "special", None),
        ("float32", "ties", priors()),
        ("bfloat16", "random", None),
    ):
        tree = weights(kind, values)
        found = mj.global_unstructured(on_device(tree), masks=on_device(masks), **asked)
        wanted = expected(tree, masks, asked)
        assert_same(found.masks, wanted.masks)
        assert found.report.pruned == wanted.report.pruned


def test_a_seed_draws_the_same_masks():
    tree, method = weights("float32", "random"), multiprune.RandomUnstructured
    wanted = multiprune.global_unstructured(list(tree.values()), method, amount=0.4, seed=5).masks

    def draw(tree):
        return mj.global_unstructured(tree, method=method, amount=0.4, seed=5)[:2]

    for call in (draw, jax.jit(draw)):
        assert_same(call(on_device(tree))[1], wanted)
