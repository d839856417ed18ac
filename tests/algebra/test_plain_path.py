"""The plain path compares scores instead of reading bits, and must come to the same masks."""

from __future__ import annotations

import math

import array_api_strict as xp
import numpy as np
import pytest
from multiprune_conformance import oracle
from strategies import INTEGERS

import multiprune as mp
from multiprune.comparing import compared
from multiprune.keys import format_of
from multiprune.order import Order

INF, NAN = math.inf, math.nan
REALS = [0.0, -0.0, 1.5, -1.5, 2.0, -2.0, 1e-30, -1e-30, INF, -INF, NAN, 3.0, 1.5, NAN]
MODULI = [3 + 4j, 5j, -5, 1, 0.25j, 0, complex(INF, 1), complex(NAN, 0), 3 - 4j, 8]


def values(name):
    """The ends of a dtype's range, ties, and what lies beside zero."""
    if name.startswith("complex"):
        return np.array(MODULI, dtype=name)
    if name.startswith("float"):
        tiny = np.finfo(name).smallest_subnormal
        return np.array([*REALS, np.finfo(name).max, tiny, -tiny], dtype=name)
    low, high = int(np.iinfo(name).min), int(np.iinfo(name).max)
    return np.array([low, high, 0, 1, 5, 5, high - 1, low + 1, high, 2, low], dtype=name)


def same(tensors, masks=None, **options):
    """The masks of the plain path, of the NumPy backend and of the oracle are one."""
    held = [xp.asarray(tensor) for tensor in tensors]
    prior = None if masks is None else [None if m is None else xp.asarray(m) for m in masks]
    plain = mp.global_unstructured(held, masks=prior, **options)
    expected = oracle.global_unstructured(tensors, masks=masks, **options)
    for mask, want in zip(plain.masks, expected, strict=True):
        assert mask.dtype == xp.bool
        assert np.array_equal(np.asarray(mask), want)
    report = mp.global_unstructured(tensors, masks=masks, **options).report
    assert str(plain.report) == str(report)
    assert plain.report.tensors == report.tensors


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", [*INTEGERS, "float32", "float64"])
def test_every_count_of_every_dtype(name, signed):
    held = values(name)
    for amount in range(held.size + 1):
        same([held], amount=amount, signed=signed)


@pytest.mark.parametrize("name", ["complex64", "complex128"])
def test_complex_numbers_rank_by_their_modulus(name):
    held = values(name)
    for amount in range(held.size + 1):
        same([held], amount=amount)
        got = mp.global_unstructured([held], amount=amount).masks[0]
        assert np.array_equal(got, oracle.global_unstructured([held], amount=amount)[0])


@pytest.mark.parametrize("signed", [False, True])
def test_tensors_of_several_dtypes_and_prior_masks(signed):
    held = [values("float32"), values("int16").reshape(1, -1), np.asarray(2.5), np.zeros((0, 3))]
    masks = [np.arange(held[0].size) % 3 > 0, None, np.asarray(1.0), None]
    for amount in (0, 5, 0.4, 0.9, 1.0):
        same(held, masks, amount=amount, signed=signed)
    same(held, masks, sparsity=0.75, signed=signed)


def test_draws_are_those_of_every_backend():
    shapes = [(9,), (2, 3), ()]
    held = [xp.zeros(shape) for shape in shapes]
    for amount in (0, 1, 7, 0.5, 1.0):
        done = mp.global_unstructured(held, mp.RandomUnstructured, amount=amount, seed=9)
        expected = oracle.random_unstructured(shapes, amount=amount, seed=9)
        for mask, want in zip(done.masks, expected, strict=True):
            assert np.array_equal(np.asarray(mask), want)


@pytest.mark.parametrize("name", ["int8", "uint8", "float32"])
@pytest.mark.parametrize("signed", [False, True])
def test_a_score_is_under_a_key_where_its_own_key_is_lower(name, signed):
    fmt, held = format_of(name), values(name)
    keys = oracle.keys(held, signed=signed)
    under = compared(xp.asarray(held), Order(fmt, signed), None, list, xp=xp).under
    top = 1 << fmt.bits
    for key in sorted({-1, 0, 1, top, top + 1, *(int(k) + d for k in keys for d in (-1, 0, 1))}):
        want = [int(k) < key for k in keys]
        assert np.asarray(under(key)).tolist() == want, key
