"""Faults of torch in a call: half done, miscounted, misaligned. Each shown on torch, gone here."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock
from torch_cases import unchanged

LIBRARIES = [(stock, True), (prune, False)]
BOTH = pytest.mark.parametrize(("p", "wrong"), LIBRARIES, ids=["torch", "ours"])

FAULTS = {
    "amount": lambda p, m: p.l1_unstructured(m, "weight", -1),
    "count": lambda p, m: p.l1_unstructured(m, "weight", 21),
    "scores": lambda p, m: p.l1_unstructured(m, "weight", 1, torch.ones(4, 5)),
    "dim": lambda p, m: p.ln_structured(m, "weight", 1, 2, 7),
    "channels": lambda p, m: p.ln_structured(m, "weight", 6, 2, 0),
    "norm": lambda p, m: p.ln_structured(m, "weight", 1, "nuc", 0),
    "random": lambda p, m: p.random_unstructured(m, "weight", 21),
    "random channels": lambda p, m: p.random_structured(m, "weight", 6, 0),
    "mask": lambda p, m: p.custom_from_mask(m, "weight", torch.ones(4, 4)),
}


def fails(call, *expected):
    try:
        call()
    except expected:
        return True
    return False


def leaf(*values):
    layer = nn.Module()
    layer.w = nn.Parameter(torch.tensor(values))
    return layer


@BOTH
@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_in_a_second_call_leaves_the_first_pruning_alive(p, wrong, fault):
    """DEV-02, DEV-39: torch's hook is gone, and training no longer reaches the weight."""
    layer = p.l1_unstructured(nn.Linear(4, 5), "weight", 0.3)
    assert fails(lambda: FAULTS[fault](p, layer), Exception)
    assert p.is_pruned(layer) is not wrong
    with torch.no_grad():
        layer.weight_orig += 1
    layer(torch.ones(1, 4))
    assert torch.equal(layer.weight, layer.weight_orig * layer.weight_mask) is not wrong


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_an_error_leaves_nothing_changed(fault, rounds):
    """ERR-01, in every round."""
    layer = nn.Linear(4, 5)
    layer.register_forward_pre_hook(lambda module, inputs: None)
    for _ in range(rounds):
        prune.l1_unstructured(layer, "weight", 0.3)
    with unchanged(layer):
        assert fails(lambda: FAULTS[fault](prune, layer), Exception)


@BOTH
@pytest.mark.parametrize("rounds", [0, 1])
def test_a_model_is_pruned_whole_or_not_at_all(p, wrong, rounds):
    """DEV-03: the last parameter of the call is a buffer."""
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 4), nn.BatchNorm1d(4))
    pairs = [(model[0], "weight"), (model[1], "weight"), (model[2], "running_mean")]
    for _ in range(rounds):
        p.global_unstructured(pairs[:2], p.L1Unstructured, amount=0.5)
    before = [int((b == 0).sum()) for n, b in model.named_buffers() if n.endswith("mask")]
    prunes = lambda: p.global_unstructured(pairs, p.L1Unstructured, amount=0.5)  # noqa: E731
    assert fails(prunes, TypeError)
    after = [int((b == 0).sum()) for n, b in model.named_buffers() if n.endswith("mask")]
    assert (after != before) is wrong


@BOTH
def test_a_generator_of_pairs_is_taken(p, wrong):
    """DEV-08."""
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 4))
    pairs = ((m, "weight") for m in model)
    prunes = lambda: p.global_unstructured(pairs, p.L1Unstructured, amount=6)  # noqa: E731
    assert fails(prunes, ValueError) is wrong
    if not wrong:
        assert sum(int((b == 0).sum()) for b in model.buffers()) == 6


@BOTH
def test_a_pair_given_twice_is_pruned_once(p, wrong):
    """DEV-10."""
    layer = nn.Linear(4, 3)
    p.global_unstructured([(layer, "weight")] * 2, p.L1Unstructured, amount=6)
    assert int((layer.weight_mask == 0).sum()) == (3 if wrong else 6)
    (hook,) = layer._forward_pre_hooks.values()
    assert isinstance(hook, stock.PruningContainer) is wrong


def tied():
    model = nn.ModuleDict({n: nn.Linear(6, 4, bias=False) for n in "abc"})
    model["b"].weight = model["a"].weight
    model["c"].weight.data += 9
    return model


@BOTH
def test_a_tied_weight_has_one_mask_and_is_counted_once(p, wrong):
    """DEV-11."""
    model = tied()
    a, b = model["a"], model["b"]
    p.global_unstructured([(m, "weight") for m in model.values()], p.L1Unstructured, amount=5)
    count = int((a.weight_mask == 0).sum())
    assert torch.equal(a.weight_mask, b.weight_mask) is not wrong
    if not wrong:
        assert count == 5
        assert a.weight_orig is b.weight_orig
        prune.remove(a, "weight")
        assert int((b.weight == 0).sum()) == 5
        assert a.weight is b.weight_orig
        prune.remove(b, "weight")
        assert a.weight is b.weight
        assert int((a.weight == 0).sum()) == 5


@BOTH
@pytest.mark.parametrize("key", ["the other module", "dotted name", "parameter", "extra"])
def test_scores_of_unknown_or_missing_parameters_are_refused(p, wrong, key):
    """DEV-31, DEV-32: torch ranks the weight itself then, or drops the scores."""
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    ones = torch.ones(2, 2)
    scores = {
        "the other module": {(a, "weight"): ones},
        "dotted name": {(a, "weight"): ones, "b.weight": ones},
        "parameter": {(a, "weight"): ones, b.weight: ones},
        "extra": {(a, "weight"): ones, (b, "weight"): ones, (b, "bias"): ones[0]},
    }[key]
    pairs = [(a, "weight"), (b, "weight")]
    prunes = lambda: p.global_unstructured(pairs, p.L1Unstructured, scores, amount=1)  # noqa: E731
    assert fails(prunes, ValueError) is not wrong


@BOTH
@pytest.mark.parametrize("shapes", [[(3, 4), (3, 2)], [(12,), (3, 2)], [(3, 3), (3, 3)]])
def test_scores_of_other_shapes_are_refused(p, wrong, shapes):
    """DEV-33: torch compares the total, and ranks the wrong entries."""
    a, b = nn.Linear(3, 4), nn.Linear(2, 3)
    pairs = [(a, "weight"), (b, "weight")]
    scores = {pair: torch.ones(shape) for pair, shape in zip(pairs, shapes, strict=True)}
    prunes = lambda: p.global_unstructured(pairs, p.L1Unstructured, scores, amount=1)  # noqa: E731
    assert fails(prunes, ValueError) is not wrong


@BOTH
@pytest.mark.parametrize("kind", [list, np.array])
def test_scores_may_be_arrays_of_any_kind(p, wrong, kind):
    """DEV-34."""
    layer = leaf(1.0, 2.0, 3.0)
    scores = {(layer, "w"): kind([3.0, 1.0, 2.0])}
    prunes = lambda: p.global_unstructured(list(scores), p.L1Unstructured, scores, amount=1)  # noqa: E731
    assert fails(prunes, AttributeError) is wrong
    if not wrong:
        assert layer.w_mask.tolist() == [1, 0, 1]


@BOTH
def test_scores_do_not_decide_the_dtype_of_a_mask(p, wrong):
    """DEV-36."""
    layer = nn.Linear(4, 5).half()
    double, single = torch.rand(5, 4).double(), torch.rand(5, 4)
    p.ln_structured(layer, "weight", 1, 2, 0, importance_scores=double)
    assert (layer.weight_mask.dtype == torch.float64) is wrong
    p.l1_unstructured(layer, "weight", 1, importance_scores=single)
    assert (layer.weight_mask.dtype == torch.float16) is not wrong


@BOTH
def test_a_mask_of_other_values_is_refused(p, wrong):
    """DEV-41: torch scales the weights by it."""
    layer = leaf(1.0, 2.0, 3.0)
    mask = torch.tensor([0.5, 0.0, 2.0])
    assert fails(lambda: p.custom_from_mask(layer, "w", mask), ValueError) is not wrong


@BOTH
def test_a_mask_is_copied(p, wrong):
    """DEV-41: torch's hook keeps the caller's tensor, and uses it again in a later round."""
    layer = leaf(1.0, 2.0, 3.0)
    mask = torch.tensor([1.0, 1.0, 0.0])
    p.custom_from_mask(layer, "w", mask)
    (hook,) = layer._forward_pre_hooks.values()
    assert (getattr(hook, "mask", None) is mask) is wrong
    mask.zero_()
    assert layer.w_mask.tolist() == [1, 1, 0]


def test_no_call_warns():
    model = tied()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prune.global_unstructured(
            [(m, "weight") for m in model.values()], prune.L1Unstructured, amount=5
        )
