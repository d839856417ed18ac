"""Verdicts on backends that are right, that choose other ties, and that are wrong."""

from __future__ import annotations

import json
import platform
import re
import sys
from dataclasses import replace

import multiprune_numpy
import numpy as np
import pytest

import multiprune
from multiprune import registry
from multiprune.errors import BackendError, MultipruneError, ParametersTypeError
from multiprune.verdict import (
    DIFFERENT,
    IDENTICAL,
    OUTSIDE_TIES,
    DifferentError,
    Outcome,
    Verification,
)

room = sys.modules[multiprune.verify.__module__]  # the function has the name of its module

LAYERS = {
    "b": np.array([[1.0, -2.0], [2.0, 0.5]], dtype=np.float32),
    "a": np.array([2.0, 3.0, np.nan], dtype=np.float32),
}


class Other:
    """A library that prunes by a rule of its own."""

    def __init__(self, rule):
        self.rule = rule

    def to_numpy(self, tensor):
        return np.asarray(tensor)

    def from_numpy(self, array):
        return array.copy()

    def global_masks(self, tensors, amount):
        flat = np.concatenate([np.abs(t.reshape(-1)) for t in tensors.values()])
        kept = self.rule(flat, amount).astype(np.float32)
        parts = np.split(kept, np.cumsum([t.size for t in tensors.values()])[:-1])
        pairs = zip(tensors.items(), parts, strict=True)
        return {name: part.reshape(tensor.shape) for (name, tensor), part in pairs}


def last_first(flat, amount):
    order = flat.size - 1 - np.argsort(flat[::-1], kind="stable")
    return ~np.isin(np.arange(flat.size), order[:amount])


def largest_first(flat, amount):
    return ~np.isin(np.arange(flat.size), np.argsort(-flat, kind="stable")[:amount])


@pytest.fixture
def backends(monkeypatch):
    numpy = multiprune_numpy.backend
    known = {"numpy": numpy, "ties": Other(last_first), "wrong": Other(largest_first)}
    known["bare"] = object()
    monkeypatch.setattr(room, "backend_named", known.__getitem__)
    return known


def test_the_same_masks_are_identical(backends):
    found = room.verify(LAYERS, amount=0.5, backends=["numpy", "numpy"])
    assert found.verdict == IDENTICAL
    assert {o.digest for o in found.outcomes} == {found.outcomes[0].digest}
    assert found.outcomes[0].count == 4
    assert found.outcomes[0].threshold == "0x40000000"
    assert found.outcomes[0].version == np.__version__
    found.assert_identical()


def test_other_ties_are_told_from_errors(backends):
    # Of 0.5, 1 and three times 2, three go: one of the 2s.
    found = room.verify(LAYERS, amount=3, backends=["numpy", "ties"])
    assert found.verdict == OUTSIDE_TIES
    assert found.outcomes[1].differing == 2
    assert found.outcomes[1].difference is None
    assert "identical outside the ties (2 bits)" in str(found)
    with pytest.raises(AssertionError, match="TIE-01"):
        found.assert_identical()


def test_the_first_difference_is_named(backends):
    found = room.verify(LAYERS, amount=3, backends=["numpy", "ties", "wrong"])
    assert found.verdict == DIFFERENT
    assert [o.verdict for o in found.outcomes] == [IDENTICAL, OUTSIDE_TIES, DIFFERENT]
    difference = found.outcomes[2].difference
    # By code points "a" comes before "b"; a[0] is a tie, and a[1] = 3 should have stayed.
    assert (difference.tensor, difference.index) == ("a", 1)
    assert difference.values == ("0x40400000", "0x40400000")
    assert difference.kept == (True, False)
    assert "a[1] = 0x40400000 and 0x40400000 is kept and pruned" in str(found)
    assert json.loads(found.to_json())["outcomes"][2]["difference"]["index"] == 1


def test_nothing_pruned_has_no_threshold(backends):
    found = room.verify(LAYERS, amount=0, backends=["numpy", "ties"])
    assert found.verdict == IDENTICAL
    assert [o.threshold for o in found.outcomes] == ["none", ""]


def test_a_mask_of_another_shape_is_refused(backends):
    backends["ties"].global_masks = lambda tensors, amount: dict.fromkeys(tensors, np.ones(9))
    with pytest.raises(MultipruneError, match="MASK-04"):
        room.verify(LAYERS, amount=1, backends=["numpy", "ties"])


@pytest.mark.parametrize(
    ("params", "names", "error", "says"),
    [
        (list(LAYERS.values()), ["numpy"], ParametersTypeError, "TIE-04"),
        (LAYERS, "numpy", ParametersTypeError, 'backends=["numpy", "jax"]'),
        (LAYERS, [], ParametersTypeError, "first of which"),
        (LAYERS, ["bare"], BackendError, "to_numpy"),
    ],
)
def test_bad_input(backends, params, names, error, says):
    with pytest.raises(error, match=re.escape(says)):
        room.verify(params, amount=1, backends=names)


def test_an_unknown_backend_is_refused():
    assert room.backend_named is registry.backend_named
    with pytest.raises(BackendError, match="abacus"):
        registry.backend_named("abacus")


def test_a_target_is_verified_as_an_amount_is(backends):
    found = room.verify(LAYERS, sparsity=3 / 7, backends=["numpy", "ties"])
    assert [o.count for o in found.outcomes] == [3, 3]
    assert found.size == 7
    assert all(0 <= o.seconds < 60 for o in found.outcomes)
    assert found.outcomes[1].version == "unknown"


def test_a_difference_far_from_the_start_is_named(backends, monkeypatch):
    """Masks are compared block by block."""

    def swaps(flat, amount):
        return ~np.isin(np.arange(flat.size), [0, 1, 7])

    monkeypatch.setattr(backends["numpy"], "block_size", 4)
    backends["wrong"] = Other(swaps)
    layers = {"w": np.arange(1.0, 11.0, dtype=np.float32).reshape(2, 5)}
    found = room.verify(layers, amount=3, backends=["numpy", "wrong"])
    difference = found.outcomes[1].difference
    assert (difference.tensor, difference.index, difference.kept) == ("w", 7, (True, False))
    assert found.outcomes[1].differing == 2


@pytest.mark.parametrize("lacking", ["to_numpy", "from_numpy"])
def test_a_backend_that_converts_one_way_only_is_refused(backends, lacking):
    class Half(Other):
        def __getattribute__(self, name):
            if name == lacking:
                raise AttributeError(name)
            return super().__getattribute__(name)

    backends["half"] = Half(last_first)
    with pytest.raises(BackendError, match="backend half does not convert"):
        room.verify(LAYERS, amount=1, backends=["half"])


def test_an_outcome_prints_and_goes_to_json():
    same = Outcome("numpy", "2.0", 1234, "0x3f", "0123456789abcdef", 0.0125, IDENTICAL)
    other = replace(same, backend="x", threshold="", verdict=OUTSIDE_TIES, differing=2000)
    assert (same.differing, same.difference) == (0, None)
    told = Verification([same, other], 5000)
    assert str(told).splitlines() == [
        "backend  version  pruned  threshold  masks         time     verdict",
        "numpy    2.0      1,234   0x3f       0123456789ab  12.5 ms  identical",
        "x        2.0      1,234   -          0123456789ab  12.5 ms  "
        "identical outside the ties (2,000 bits)",
    ]
    held = json.loads(told.to_json())
    assert held["platform"] == platform.platform()
    assert told.to_json().splitlines()[1].startswith('  "')
    assert held["size"] == 5000
    assert DifferentError.kind == "different"
