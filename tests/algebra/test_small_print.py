"""What is easily lost: defaults, copies, names in reports, and dtypes that meet seldom."""

from __future__ import annotations

import math

import numpy as np
import pytest

import multiprune as mp
from multiprune import mask_file
from multiprune.keys import format_of, key_bits, promote, score_of

ROWS = np.array([[3.0, 4.0], [0.0, 4.7], [9.0, 9.0]])


def test_a_report_names_its_method():
    assert mp.global_unstructured([ROWS], amount=1).report.method == "L1Unstructured"


def test_a_mask_of_channels_is_an_array_of_its_own():
    kept = mp.mask_of(ROWS, mp.LnStructured(1, dim=0))
    kept[2, 0] = False
    assert kept.tolist() == [[True, True], [False, False], [False, True]]


def test_mask_of_ranks_scores_where_they_are_given():
    kept = mp.mask_of(ROWS, mp.L1Unstructured(2), importance_scores=-ROWS[::-1])
    assert kept.tolist() == [[True, True], [False, True], [False, True]]
    by_channel = mp.mask_of(ROWS, mp.LnStructured(1, dim=0), importance_scores=ROWS[::-1].copy())
    assert by_channel[:, 0].tolist() == [True, False, True]


def test_a_custom_mask_stands_alone_or_joins_a_prior_one():
    given, prior = np.array([1.0, 0.0, 1.0]), np.array([1, 1, 0])
    assert mp.mask_of(np.ones(3), mp.CustomFromMask(given)).tolist() == [True, False, True]
    joined = mp.mask_of(np.ones(3), mp.CustomFromMask(given), prior)
    assert joined.tolist() == [True, False, False]


def test_identity_keeps_complex_tensors_whole():
    assert mp.global_unstructured([np.array([1j, 0])], mp.Identity).masks[0].all()


def test_keys_are_as_wide_as_they_must_be():
    wide = {
        "float32": (31, 32), "bfloat16": (15, 16), "float64": (63, 64), "float8_e5m2": (7, 8),
        "float8_e4m3fnuz": (8, 9), "int8": (8, 8), "uint16": (16, 16),
    }  # fmt: skip
    for name, expected in wide.items():
        found = tuple(key_bits(format_of(name), signed=signed) for signed in (False, True))
        assert found == expected


def test_scores_of_keys_are_magnitudes_by_default():
    fmt = format_of("float32")
    assert score_of(0x3F80_0000, fmt) == 1.0
    assert math.copysign(1.0, score_of(0, fmt)) == 1.0


@pytest.mark.parametrize(
    ("names", "common"),
    [
        (["float8_e5m2", "complex64"], "complex64"),
        (["float8_e5m2", "float16"], "float16"),
        (["complex64", "float64"], "complex128"),
        (["complex64", "complex128"], "complex128"),
        (["float64", "complex128", "int8"], "complex128"),
        (["int64", "complex64"], "complex64"),
    ],
)
def test_dtypes_that_meet_seldom(names, common):
    assert promote(names).name == promote(names[::-1]).name == common
    assert promote(names).real.name == common.replace("complex128", "float64").replace(
        "complex64", "float32"
    )


def test_mask_files_say_what_they_are():
    _, metadata = mask_file.encode({"w": ((2,), b"\x01\x00")})
    assert set(metadata) == {"format", "version", "shapes", "sha256"}
    assert (metadata["format"], metadata["version"]) == ("multiprune-masks", "1")
    assert metadata["shapes"] == '{"w": [2]}'


def test_amounts_that_have_a_shape_and_no_dtype_are_refused():
    class Odd:
        shape = ()

    with pytest.raises(mp.MultipruneError, match="AMT-09"):
        mp.L1Unstructured(Odd())


def test_unseeded_draws_are_left_to_the_backend():
    assert mp.RandomUnstructured(1, seed=None).seed is None
