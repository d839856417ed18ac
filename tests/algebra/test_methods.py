"""Methods by themselves: structured, random, custom, identity, and the gate of global ranking."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiprune_conformance import oracle

import multiprune as mp
from multiprune.draws import draws
from multiprune.errors import (
    DimError,
    MaskError,
    MaskShapeError,
    NormError,
    SeedError,
    StructureError,
)

RNG = np.random.default_rng(0)
TENSOR = RNG.standard_normal((5, 4, 3))
PRIOR = RNG.random((5, 4, 3)) < 0.4
PRIOR[2], PRIOR[1, 0] = False, True


@given(seed=st.integers(0, 2**64 - 1), start=st.integers(0, 2**40), n=st.integers(0, 70))
def test_draws_equal_the_oracle_at_any_place(seed, start, n):
    positions = np.arange(start, start + n, dtype=np.uint64)
    assert np.array_equal(draws(seed, start, start + n, xp=np), oracle.philox(seed, positions))


@pytest.mark.parametrize("n", [1, 2, 3.5, 0, float("inf"), -float("inf"), "fro", "nuc"])
@pytest.mark.parametrize("dim", [0, 1, 2, -1])
@pytest.mark.parametrize("mask", [None, PRIOR], ids=["fresh", "again"])
@pytest.mark.parametrize("xp", [np, array_api_strict], ids=lambda xp: xp.__name__)
def test_ln_structured_removes_the_channels_of_smallest_norm(n, dim, mask, xp):
    ranked = TENSOR if mask is None else np.where(mask, TENSOR, 0)
    others = tuple(d for d in range(3) if d != dim % 3)
    if n == "nuc":
        norms = np.linalg.norm(np.moveaxis(ranked, dim, 0), "nuc", axis=(1, 2))
    elif n == "fro":
        norms = np.sqrt((ranked**2).sum(axis=others))
    else:
        norms = np.linalg.vector_norm(ranked, axis=others, ord=n)
    expected = oracle.structured(
        norms, np.ones_like(TENSOR, dtype=bool) if mask is None else mask, dim % 3, amount=0.5
    )
    got = mp.mask_of(
        xp.asarray(TENSOR),
        mp.LnStructured(0.5, n=n, dim=dim),
        None if mask is None else xp.asarray(mask),
    )
    assert np.array_equal(np.asarray(got), expected)


@given(seed=st.integers(0, 2**64 - 1), dim=st.integers(-3, 2), amount=st.floats(0, 1))
def test_random_structured_equals_the_oracle(seed, dim, amount):
    got = mp.mask_of(TENSOR, mp.RandomStructured(amount, dim, seed=seed), PRIOR)
    assert np.array_equal(got, oracle.random_structured(PRIOR, dim % 3, seed=seed, amount=amount))


def test_a_channel_that_is_gone_is_not_counted():
    got = mp.mask_of(TENSOR, mp.LnStructured(4, dim=0), PRIOR)
    assert not got.any()
    with pytest.raises(ValueError, match="amount=5 is more than the 4"):
        mp.mask_of(TENSOR, mp.LnStructured(5, dim=0), PRIOR)


def test_identity_keeps_and_custom_multiplies():
    assert np.array_equal(mp.mask_of(TENSOR, mp.Identity(), PRIOR), PRIOR)
    custom = RNG.random(TENSOR.shape) < 0.5
    got = mp.mask_of(TENSOR, mp.CustomFromMask(custom.astype(np.float32)), PRIOR)
    assert np.array_equal(got, custom & PRIOR)


@pytest.mark.parametrize(
    "method",
    [mp.LnStructured, mp.RandomStructured, mp.CustomFromMask, mp.PruningMethod, "l1", print],
)
def test_global_ranking_takes_unstructured_methods_only(method):
    with pytest.raises(TypeError, match='Only "unstructured" PRUNING_TYPE supported'):
        mp.global_unstructured([TENSOR], method, amount=1)


@pytest.mark.parametrize(
    ("error", "tensor", "method"),
    [
        (StructureError, np.ones(3), mp.LnStructured(1)),
        (StructureError, np.ones(()), mp.RandomStructured(1, seed=0)),
        (DimError, TENSOR, mp.LnStructured(1, dim=3)),
        (DimError, TENSOR, mp.LnStructured(1, dim=-4)),
        (NormError, np.ones((2, 2)), mp.LnStructured(1, n="nuc")),
        (NormError, TENSOR, mp.LnStructured(1, n="l2")),
        (NormError, TENSOR, mp.LnStructured(1, n=float("nan"))),
        (MaskShapeError, TENSOR, mp.CustomFromMask(np.ones((5, 4)))),
        (MaskError, TENSOR, mp.CustomFromMask(np.full((5, 4, 3), 0.5))),
    ],
)
def test_what_does_not_fit_is_refused_with_its_rule(error, tensor, method):
    with pytest.raises(error, match=r"Rule: .*\[[A-Z]+-\d\d\]"):
        mp.mask_of(tensor, method)


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5, True, "1", None])
def test_a_seed_is_an_unsigned_integer_of_64_bits(seed):
    with pytest.raises(SeedError, match=r"Rule: a seed is an int from 0 to 2\*\*64 - 1"):
        mp.global_unstructured([TENSOR], mp.RandomUnstructured, amount=1, seed=seed)
