"""Reports as values: what loggers and files get, and what they hold when nothing is known."""

from __future__ import annotations

import json

import numpy as np

import multiprune as mp
from multiprune import Report, TensorReport


def test_a_report_of_nothing_known():
    report = Report([TensorReport("w", (2,), 2, 1)])
    assert (report.threshold, report.ties, report.tied_pruned, report.method) == (None, 0, 0, "")
    assert report.scalars() == {"sparsity": 0.5, "sparsity/w": 0.5, "ties": 0.0}


def test_scalars_are_named_for_loggers():
    layers = {"b": np.array([1.0, 1.0, 4.0, 5.0]), "a": np.array([3.0, 1.0])}
    report = mp.global_unstructured(layers, amount=2).report
    assert report.scalars() == {
        "sparsity": 2 / 6,
        "sparsity/a": 0.5,
        "sparsity/b": 0.25,
        "ties": 3.0,
        "threshold": 1.0,
    }


def test_json_holds_everything():
    report = mp.global_unstructured([np.array([3.0, 1.0])], amount=1).report
    held = json.loads(report.to_json())
    assert (held["size"], held["pruned"], held["threshold"]) == (2, 1, 1.0)
    assert (held["ties"], held["tied_pruned"], held["method"]) == (1, 1, "L1Unstructured")
    assert {"name": "0", "shape": [2], "size": 2, "pruned": 1}.items() <= held["tensors"][0].items()
    assert report.to_json().splitlines()[1].startswith('  "')


def test_frobenius_is_the_euclidean_norm():
    rows = np.array([[3.0, 4.0], [0.0, 4.7]])  # 5 and 4.7; by cubes it is 4.5 and 4.7
    kept = mp.mask_of(rows, mp.LnStructured(1, n="fro", dim=0))
    assert kept[:, 0].tolist() == [True, False]


def test_what_is_not_told_of_a_tensor():
    told = TensorReport("w", (2,), 2, 1)
    assert (told.non_finite, told.sparsity, told.note) == (0, 0.5, "")
    empty = TensorReport("e", (0,), 0, 0)
    assert (empty.sparsity, empty.note) == (0.0, "")
    assert Report([empty]).sparsity == 0.0
    assert (Report([]).way, Report([]).sparsity) == ("", 0.0)


def test_a_tensor_collapses_at_ninety_nine_in_a_hundred():
    notes = {pruned: TensorReport("w", (200,), 200, pruned).note for pruned in (197, 198, 200)}
    assert notes == {197: "", 198: "collapsed", 200: "collapsed"}
    assert TensorReport("w", (9,), 9, 1, 1234).note == "1,234 not finite"
    assert TensorReport("w", (9,), 9, 9, 3).note == "collapsed, 3 not finite"
    assert Report([TensorReport("w", (200,), 200, 198)]).collapsed == ["w"]


def test_a_report_prints_as_it_always_has():
    report = Report(
        [TensorReport("layer", (4, 5), 20, 16), TensorReport("x", (), 1, 1, 1)],
        0.25, 3, 2, "L1Unstructured", "in place",
    )  # fmt: skip
    assert str(report).splitlines() == [
        "L1Unstructured, in place: 17 of 21 entries pruned (80.95 %), threshold 0.25, "
        "2 of 3 tied there pruned",
        "tensor  shape   entries    pruned",
        "layer   4x5          20   80.00 %  ################....",
        "x       scalar        1  100.00 %  ####################  collapsed, 1 not finite",
        "warning: 1 collapsed (99 % and more pruned): x",
    ]
