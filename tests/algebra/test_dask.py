"""Dask arrays on the plain path: chunk by chunk, lazily, and no chunk is joined to another."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multiprune_conformance import oracle

import multiprune

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

# Uneven ones, many along the last axis (which a reshape would join), and a 0-d array.
SHAPES = {"a": (9, 8), "b": (4, 3, 6), "c": (31,), "d": ()}
CHUNKS = {
    "a": ((4, 4, 1), (3, 5)),
    "b": ((4,), (1, 2), (2, 2, 2)),
    "c": ((7, 7, 7, 7, 3),),
    "d": (),
}
KINDS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "ties": lambda rng, shape: rng.integers(-3, 4, shape),
    "zeros": lambda rng, shape: np.zeros(shape) * -1.0,
    "special": lambda rng, shape: rng.choice([np.nan, np.inf, -np.inf, -0.0, 1e-42, 1.0], shape),
}


@pytest.fixture(autouse=True)
def _small_chunks_by_default():
    # What a namespace makes out of nothing has chunks of another size than what was given.
    with dask.config.set({"array.chunk-size": "64B", "scheduler": "synchronous"}):
        yield


def tensors(kind, dtype="float32"):
    rng = np.random.default_rng(3)
    return {n: np.asarray(KINDS[kind](rng, shape), dtype=dtype) for n, shape in SHAPES.items()}


def chunked(arrays):
    return {n: da.from_array(a, chunks=CHUNKS[n]) for n, a in arrays.items()}


def same(found, expected):
    for (name, mask), want in zip(found.items(), expected, strict=True):
        assert isinstance(mask, da.Array)
        assert mask.chunks == CHUNKS[name], name
        assert np.array_equal(mask.compute(), want), name


def prior_masks():
    rng = np.random.default_rng(8)
    return {n: rng.random(shape) < 0.7 for n, shape in SHAPES.items()}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=4)
@given(amount=st.floats(0, 1), signed=st.booleans(), prior=st.booleans())
def test_masks_equal_the_oracle_and_keep_the_chunks(kind, amount, signed, prior):
    held, masks = tensors(kind), prior_masks() if prior else None
    options = {"amount": amount, "signed": signed}
    there = chunked(masks) if prior else None
    found = multiprune.global_unstructured(chunked(held), masks=there, **options)
    given_masks = list(masks.values()) if prior else None
    expected = oracle.global_unstructured(list(held.values()), masks=given_masks, **options)
    same(found.masks, expected)
    assert found.report.pruned == sum(int((~mask).sum()) for mask in expected)


@pytest.mark.parametrize("amount", [0, 17])
@pytest.mark.slow
def test_draws_are_those_of_every_backend(amount):
    found = multiprune.global_unstructured(
        chunked(tensors("zeros")), multiprune.RandomUnstructured, amount=amount, seed=5
    )
    same(found.masks, oracle.random_unstructured(list(SHAPES.values()), amount=amount, seed=5))


def test_no_chunk_grows_and_masks_are_lazy():
    """The result of every task is a chunk as it came, a smaller one, or a count."""
    largest = max(prod(max(sizes) for sizes in chunks) for chunks in CHUNKS.values())
    held, seen, reads = tensors("ties"), [], []

    class Watch(dask.callbacks.Callback):
        def _posttask(self, key, result, *rest):
            if isinstance(result, np.ndarray):
                seen.append(result.size)

    def source(name):
        """Chunks that are read one by one, as from files: nowhere is there a whole array."""

        def read(block_info=None):
            reads.append(name)
            return held[name][tuple(slice(*ends) for ends in block_info[None]["array-location"])]

        return da.map_blocks(read, chunks=CHUNKS[name], dtype="float32", meta=held[name][:0])

    there = {name: source(name) for name in ("a", "b", "c")}
    with dask.config.set({"optimization.fuse.active": False}), Watch():
        found = multiprune.global_unstructured(there, amount=0.5)
        before = len(reads)
        masks = {name: mask & mask for name, mask in found.masks.items()}
        assert len(reads) == before
        kept = sum(int(mask.sum()) for mask in masks.values())
        assert len(reads) > before
    assert max(seen) == largest
    assert found.report.size - kept == found.report.pruned


POOLS = [
    {"amount": 0.5, "scope": "tensor"},
    {"amount": 0.5, "scope": "row"},
    {"amount": 0.5, "scope": "row", "dim": -1},
    {"scope": (1, 2)},
    {"scope": (1, 2), "dim": 0},
    {"amount": 0.5, "keep_at_least": 0.3},
    {"amount": 0.6, "allocation": "erk"},
]


@pytest.mark.parametrize("question", POOLS, ids=str)
def test_pools_equal_the_oracle(question):
    rng = np.random.default_rng(4)
    arrays = {n: np.asarray(KINDS["ties"](rng, (4, 6)), "f4") for n in ("a", "b")}
    prior = {"a": rng.random((4, 6)) < 0.7}
    held = {n: da.from_array(a, chunks=((3, 1), (2, 4))) for n, a in arrays.items()}
    masks = {n: da.from_array(m, chunks=((3, 1), (2, 4))) for n, m in prior.items()}
    done = multiprune.global_unstructured(held, masks=masks, **question)
    expected = oracle.pruned(list(arrays.values()), masks=[prior["a"], None], **question)
    for mask, want in zip(done.masks.values(), expected, strict=True):
        assert isinstance(mask, da.Array)
        assert mask.shape == want.shape
        assert np.array_equal(mask.compute(), want)
