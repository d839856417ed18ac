"""Keys stand for scores: the threshold of a report is the score of the last entry that went."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from strategies import FLOAT8, INTEGERS, dtype

import multiprune as mp
from multiprune.keys import format_of, key_bits, order, score_of

NARROW = ["float16", "bfloat16", *FLOAT8, "int8", "int16", "uint8", "uint16"]


def words(name):
    """Every bit pattern of a narrow dtype, as its values."""
    return np.arange(1 << (8 * dtype(name).itemsize)).astype(f"u{dtype(name).itemsize}")


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("signed", [False, True])
def test_the_score_of_a_key_is_the_entry_that_has_it(name, signed):
    bits, fmt = words(name), format_of(name)
    keys = order(bits, fmt, signed=signed, xp=np)
    assert int(keys.max()).bit_length() <= key_bits(fmt, signed=signed)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        values = bits.view(dtype(name)).astype(np.float64)
    values = values if signed else np.abs(values)
    for key, value in zip(keys.tolist(), values.tolist(), strict=True):
        score = score_of(key, fmt, signed=signed)
        assert score == value or (math.isnan(score) and math.isnan(value))


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_the_score_of_a_wide_key_is_exact(name):
    fmt = format_of(name)
    specials = [0.0, 5e-324, 1.5, 2.0**-130, 3.25e10, math.inf, np.finfo(name).max]
    values = np.array([*specials, *(-x for x in specials)], dtype=name)
    for signed in (False, True):
        keys = order(values.view(f"u{values.itemsize}"), fmt, signed=signed, xp=np)
        for key, value in zip(keys.tolist(), values.tolist(), strict=True):
            assert score_of(key, fmt, signed=signed) == (value if signed else abs(value))


@pytest.mark.parametrize("name", INTEGERS)
def test_thresholds_of_integers_are_integers(name):
    values = np.array([9, 3, 5], dtype=name)
    assert mp.global_unstructured([values], amount=2).report.threshold == 5
    assert mp.global_unstructured([values], amount=2, signed=True).report.threshold == 5


def test_the_threshold_of_negative_scores_is_negative():
    report = mp.global_unstructured([np.array([-4.0, 1.0, -2.0])], amount=2, signed=True).report
    assert report.threshold == -2.0
    assert (
        mp.global_unstructured([np.array([-4, 1, -2])], amount=1, signed=True).report.threshold
        == -4
    )


def test_the_threshold_is_nan_where_nan_goes():
    values = np.array([math.nan, 1.0], dtype=ml_dtypes.bfloat16)
    assert math.isnan(mp.global_unstructured([values], amount=2).report.threshold)


def test_draws_have_no_threshold():
    done = mp.global_unstructured([np.ones(3)], mp.RandomUnstructured, amount=1, seed=0)
    assert done.report.threshold is None
    assert done.report.pruned == 1


def test_the_plain_path_has_the_same_report():
    xp = pytest.importorskip("array_api_strict")
    values = np.array([3.0, 1.0, 1.0, 2.0])
    plain = mp.global_unstructured([xp.asarray(values)], amount=2, signed=True).report
    assert plain == mp.global_unstructured([values], amount=2, signed=True).report
    assert (plain.threshold, plain.ties, plain.tied_pruned, plain.pruned) == (1.0, 2, 2, 2)
