"""Laws: the algebra's masks are the oracle's, on NumPy and on the strictest namespace."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiprune_conformance import oracle
from strategies import ALL, AMOUNTS, FLOATS, INTEGERS, problems

import multiprune
from multiprune.bounds import Bounds
from multiprune.errors import MultipruneError
from multiprune.methods import L1Unstructured, RandomUnstructured
from multiprune.plan import plan
from multiprune.question import Question
from multiprune.search import find_cuts


def rank(scores, method, masks=None):
    return plan(scores, Question(method.target), method, masks)


def both(run, reference):
    """Run both; either both refuse for the same kind of reason, or both answer."""
    try:
        expected = reference()
    except oracle.Refused as refused:
        kind = refused.kind
    else:
        return run(), expected
    with pytest.raises(MultipruneError) as caught:
        run()
    assert caught.value.kind == kind
    return None, None


@given(problem=problems(), amount=AMOUNTS, signed=st.booleans())
def test_masks_equal_the_oracle(problem, amount, signed):
    tensors, masks = problem
    got, expected = both(
        lambda: multiprune.global_unstructured(tensors, amount=amount, masks=masks, signed=signed),
        lambda: oracle.global_unstructured(tensors, amount=amount, masks=masks, signed=signed),
    )
    if got is not None:
        for mask, want, tensor in zip(got.masks, expected, tensors, strict=True):
            assert mask.dtype == bool
            assert mask.shape == tensor.shape
            assert np.array_equal(mask, want)


@given(problem=problems(), amount=AMOUNTS, signed=st.booleans())
def test_the_cut_equals_the_oracle(problem, amount, signed):
    tensors, masks = problem
    got, expected = both(
        lambda: rank(tensors, L1Unstructured(amount, signed=signed), masks).cuts[0],
        lambda: oracle.cut(tensors, amount=amount, masks=masks, signed=signed),
    )
    if got is not None:
        assert (got.threshold, got.position, got.ties) == tuple(expected)


@given(problem=problems(mixed=False), sparsity=st.floats(0, 1))
def test_sparsity_equals_the_oracle(problem, sparsity):
    tensors, masks = problem
    got, expected = both(
        lambda: multiprune.global_unstructured(tensors, sparsity=sparsity, masks=masks),
        lambda: oracle.global_unstructured(tensors, sparsity=sparsity, masks=masks),
    )
    if got is not None:
        assert all(map(np.array_equal, got.masks, expected))


@given(problem=problems(), amount=AMOUNTS, seed=st.integers(0, 2**64 - 1))
def test_random_masks_equal_the_oracle(problem, amount, seed):
    tensors, masks = problem
    got, expected = both(
        lambda: multiprune.global_unstructured(
            tensors, multiprune.RandomUnstructured, amount=amount, masks=masks, seed=seed
        ),
        lambda: oracle.random_unstructured(
            [t.shape for t in tensors], seed=seed, amount=amount, masks=masks
        ),
    )
    if got is not None:
        assert all(map(np.array_equal, got.masks, expected))


@given(problem=problems([*FLOATS[::2], "float32", *INTEGERS], mixed=False), data=st.data())
def test_the_strictest_namespace_equals_the_oracle(problem, data):
    tensors, masks = problem
    if any(t.dtype.name not in ("float32", "float64", *INTEGERS) for t in tensors):
        return
    amount, signed = data.draw(AMOUNTS), data.draw(st.booleans())
    seed = data.draw(st.one_of(st.none(), st.integers(0, 2**64 - 1)))
    method = L1Unstructured if seed is None else RandomUnstructured
    options = {"signed": signed} if seed is None else {"seed": seed}
    with array_api_strict.ArrayAPIStrictFlags(
        boolean_indexing=False, data_dependent_shapes=False, enabled_extensions=()
    ):
        strict = [array_api_strict.asarray(np.array(t)) for t in tensors]
        prior = [None if m is None else array_api_strict.asarray(m) for m in masks]
        got, expected = both(
            lambda: multiprune.global_unstructured(
                strict, method, amount=amount, masks=prior, **options
            ),
            lambda: (
                oracle.global_unstructured(tensors, amount=amount, masks=masks, signed=signed)
                if seed is None
                else oracle.random_unstructured(
                    [t.shape for t in tensors], seed=seed, amount=amount, masks=masks
                )
            ),
        )
    if got is not None:
        for mask, want in zip(got.masks, expected, strict=True):
            assert type(mask).__module__.startswith("array_api_strict")
            assert np.array_equal(np.asarray(mask), want)


@given(problem=problems(), amount=AMOUNTS, power=st.sampled_from([20, 31, 40]))
def test_counts_do_not_overflow(problem, amount, power):
    """Each process stands for a million: the same cut comes out for a million times the count."""
    tensors, masks = problem
    method = L1Unstructured(amount)
    try:
        ranked = rank(tensors, method, masks)
    except MultipruneError:
        return
    (plain,) = ranked.cuts
    (scaled,) = find_cuts(
        ranked.engine,
        lambda live: Bounds.exactly([plain.count << power]),
        total=lambda rows: [[int(c) << power for c in row] for row in rows],
    )
    assert (scaled.threshold, scaled.position) == (plain.threshold, plain.position)
    assert scaled.live == plain.live << power


@pytest.mark.parametrize("name", ALL)
def test_every_block_size_gives_the_same_masks(name, monkeypatch):
    from multiprune_numpy import backend
    from strategies import dtype

    rng = np.random.default_rng(1)
    bits = rng.integers(0, 256, (40, 30 * dtype(name).itemsize), dtype=np.uint8)
    tensors = [bits.view(dtype(name)), bits.view(dtype(name)).T, bits.view(dtype(name))[:5]]
    expected = oracle.global_unstructured(tensors, amount=0.7)
    for block in (1, 7, 64, 1000, 1 << 20):
        for workers in (1, 3):
            monkeypatch.setattr(type(backend), "block_size", block)
            monkeypatch.setattr(type(backend), "workers", workers)
            masks = multiprune.global_unstructured(tensors, amount=0.7).masks
            assert all(map(np.array_equal, masks, expected))
