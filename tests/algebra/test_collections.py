"""What goes in and comes out of the functional entry point, and what it says."""

from __future__ import annotations

import json

import numpy as np
import pytest

import multiprune as mp
from multiprune.errors import BackendError, MultipruneError

A, B = np.array([4.0, 1.0]), np.array([[3.0, 2.0]])


def test_masks_have_the_structure_of_the_tensors():
    assert isinstance(mp.global_unstructured([A, B], amount=2).masks, list)
    assert isinstance(mp.global_unstructured((A, B), amount=2).masks, tuple)
    masks = mp.global_unstructured({"b": B, "a": A}, amount=2).masks
    assert list(masks) == ["b", "a"]
    assert masks["b"].shape == (1, 2)
    assert isinstance(mp.global_unstructured((t for t in (A, B)), amount=2).masks, list)


def test_tensors_with_names_stand_in_the_order_of_code_points():
    ones = np.ones(2)
    masks = mp.global_unstructured({"layer10": ones, "layer2": ones, "Z": ones}, amount=3).masks
    assert [int(masks[n].sum()) for n in ("Z", "layer10", "layer2")] == [0, 1, 2]


def test_tensors_in_a_list_stand_in_its_order():
    first, second = mp.global_unstructured([np.ones(2), np.ones(2)], amount=2).masks
    assert not first.any()
    assert second.all()


def test_scores_take_the_place_of_values():
    masks = mp.global_unstructured(
        {"a": A, "b": B}, importance_scores={"b": -B[:, ::-1], "a": A}, amount=2
    ).masks
    assert masks["a"].tolist() == [True, False]
    assert masks["b"].tolist() == [[False, True]]


def test_a_round_on_top_of_masks_counts_what_is_left():
    w = np.random.default_rng(0).standard_normal(100)
    masks, counts = None, []
    for _ in range(4):
        masks = mp.global_unstructured([w], amount=0.5, masks=masks).masks
        counts.append(100 - int(masks[0].sum()))
    assert counts == [50, 75, 87, 93]


def test_the_report_says_what_happened():
    names = {"dense": np.arange(1.0, 101), "small": np.full(100, 0.5)}
    report = mp.global_unstructured(names, amount=0.5).report
    assert report.collapsed == ["small"]
    assert (report.threshold, report.ties, report.tied_pruned) == (0.5, 100, 100)
    text = str(report)
    assert "100 of 200 entries pruned (50.00 %), threshold 0.5" in text
    assert "warning: 1 collapsed (99 % and more pruned): small" in text
    assert report.scalars()["sparsity/small"] == 1.0
    assert json.loads(report.to_json())["tensors"][0]["name"] == "dense"


def test_the_threshold_of_nothing_is_none():
    assert mp.global_unstructured([A], amount=0).report.threshold is None


@pytest.mark.parametrize(
    ("kind", "tensors", "options"),
    [
        ("parameters-empty", [], {}),
        ("parameters-empty", {}, {}),
        ("parameters-type", A, {}),
        ("parameters-type", 3, {}),
        ("parameters-type", "ab", {}),
        ("parameters-type", {1: A}, {}),
        ("scores-type", [A], {"importance_scores": {"0": A}}),
        ("scores-type", {"a": A}, {"importance_scores": [A]}),
        ("scores-keys", {"a": A}, {"importance_scores": {}}),
        ("scores-keys", {"a": A}, {"importance_scores": {"a": A, "b": B}}),
        ("scores-keys", [A, B], {"importance_scores": [A]}),
        ("scores-shape", [A], {"importance_scores": [B]}),
        ("mask-shape", [A], {"masks": [B > 0]}),
        ("mask-values", [A], {"masks": [A]}),
        ("scores-keys", [A], {"masks": [None, None]}),
        ("dtype", [np.array([True])], {}),
        ("dtype", [np.array([1 + 1j])], {"signed": True}),
        ("dtype", [np.array([1], "u2"), np.array([1], "i2")], {}),
    ],
)
def test_bad_input_is_refused_by_kind_and_says_the_rule(kind, tensors, options):
    with pytest.raises(MultipruneError, match=r"Rule: ") as caught:
        mp.global_unstructured(tensors, amount=1, **options)
    assert caught.value.kind == kind


def test_what_is_no_array_is_named():
    with pytest.raises(BackendError, match=r"builtins\.list is not an array"):
        mp.global_unstructured([[1.0, 2.0]], amount=1)


def test_arrays_of_two_frameworks_are_refused():
    import array_api_strict

    with pytest.raises(TypeError):
        mp.global_unstructured([array_api_strict.asarray(A), A], amount=1)
