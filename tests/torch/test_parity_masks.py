"""Masks are stock torch's wherever torch defines them: no tie at the cut, one device."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock

KINDS = st.sampled_from(
    [
        ["float32", "float32", "float32"],
        ["float32", "float16", "float32"],
        ["bfloat16", "float32", "float32"],
        ["float64", "float32", "float64"],
        ["int32", "float32", "int32"],
        ["float16", "bfloat16", "bfloat16"],
        ["float64", "float64", "int8"],
        ["complex64", "complex64", "complex64"],
    ]
)
SHAPES = [(3, 4), (2, 3, 5), (40,)]
FRACTIONS = st.floats(0, 1) | st.sampled_from([0, 1, 0.0, 0.5, 1.0]) | st.integers(0, 12)


class Layers(nn.Module):
    """Parameters of several shapes and dtypes; all magnitudes are distinct, signs are random."""

    def __init__(self, kinds, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        sizes = [torch.Size(s).numel() for s in SHAPES]
        values = 1.0 + torch.randperm(sum(sizes), generator=generator)
        values *= torch.randint(2, values.shape, generator=generator) * 2 - 1
        for name, part, shape, kind in zip("abc", values.split(sizes), SHAPES, kinds, strict=True):
            data = part.view(shape).to(getattr(torch, kind))
            learns = data.is_floating_point() or data.is_complex()
            self.register_parameter(name, nn.Parameter(data, requires_grad=learns))

    @property
    def pairs(self):
        return [(self, name) for name in "abc"]


def twins(kinds, seed):
    theirs = Layers(kinds, seed)
    return theirs, deepcopy(theirs)


def same_masks(theirs, ours):
    for name in "abc":
        expected = getattr(theirs, name + "_mask")
        mask = getattr(ours, name + "_mask")
        assert mask.dtype == (expected.real if expected.is_complex() else expected).dtype
        assert torch.equal(mask.bool(), expected.bool())
        assert torch.equal(getattr(ours, name), getattr(theirs, name))


@given(kinds=KINDS, seed=st.integers(0, 999), amounts=st.lists(FRACTIONS, min_size=1, max_size=4))
def test_global_l1_prunes_what_torch_prunes_over_rounds(kinds, seed, amounts):
    theirs, ours = twins(kinds, seed)
    for amount in amounts:
        live = sum(int(getattr(ours, n).count_nonzero()) for n in "abc")
        if isinstance(amount, int):
            amount = min(amount, live)
        stock.global_unstructured(theirs.pairs, stock.L1Unstructured, amount=amount)
        prune.global_unstructured(ours.pairs, prune.L1Unstructured, amount=amount)
        same_masks(theirs, ours)


@given(kinds=KINDS, seed=st.integers(0, 999), amounts=st.lists(st.floats(0, 1), max_size=4))
def test_local_l1_prunes_what_torch_prunes_over_rounds(kinds, seed, amounts):
    theirs, ours = twins(kinds, seed)
    for amount in [0.3, *amounts]:
        for name in "abc":
            stock.l1_unstructured(theirs, name, amount)
            prune.l1_unstructured(ours, name, amount)
    same_masks(theirs, ours)


@given(seed=st.integers(0, 999), amounts=st.lists(FRACTIONS, min_size=1, max_size=3))
def test_scores_are_ranked_as_torch_ranks_them(seed, amounts):
    kinds = ["float32", "float16", "float32"]
    theirs, ours = twins(kinds, seed)
    scores = Layers(["float64", "float32", "int64"], seed + 1)
    values = {n: p.detach() for n, p in scores.named_parameters()}
    for amount in amounts:
        live = sum(int(getattr(ours, n).count_nonzero()) for n in "abc")
        if isinstance(amount, int):
            amount = min(amount, live)
        for module, library in ((theirs, stock), (ours, prune)):
            library.global_unstructured(
                module.pairs,
                library.L1Unstructured,
                importance_scores={(module, n): v for n, v in values.items()},
                amount=amount,
            )
        same_masks(theirs, ours)


@given(seed=st.integers(0, 999), amount=st.floats(0, 1))
def test_local_scores_are_ranked_as_torch_ranks_them(seed, amount):
    theirs, ours = twins(["float32"] * 3, seed)
    scores = {n: p.detach() for n, p in Layers(["float32"] * 3, seed + 1).named_parameters()}
    for name in "abc":
        stock.l1_unstructured(theirs, name, amount, importance_scores=scores[name])
        prune.l1_unstructured(ours, name, amount, importance_scores=scores[name])
    same_masks(theirs, ours)


@pytest.mark.parametrize("n", [1, 2, float("inf"), -float("inf"), 0, "fro", 3.5])
@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("scored", [False, True])
def test_ln_structured_prunes_the_channels_that_torch_prunes(n, dim, scored):
    generator = torch.Generator().manual_seed(5)
    theirs, scores = nn.Conv1d(6, 5, 7), torch.randn(5, 6, 7, generator=generator)
    if n == 0:  # it counts entries that are not zero: as many as the channel's index, shuffled
        order = torch.randperm(scores.shape[dim], generator=generator)
        channels = scores.movedim(dim, 0)
        for i, channel in zip(order.tolist(), channels, strict=True):
            flat = channel.reshape(-1)
            flat[: 3 * i] = 0
            channel.copy_(flat.view(channel.shape))
    theirs.weight.data = torch.randn(5, 6, 7, generator=generator) if scored else scores.clone()
    ours = deepcopy(theirs)
    for amount in (1, 0.5, 0.0, 0.25):
        extra = {"importance_scores": scores} if scored else {}
        stock.ln_structured(theirs, "weight", amount, n, dim, **extra)
        prune.ln_structured(ours, "weight", amount, n, dim, **extra)
        assert torch.equal(ours.weight_mask, theirs.weight_mask)
        assert torch.equal(ours.weight, theirs.weight)


def test_the_nuclear_norm_prunes_what_torch_prunes_where_two_dimensions_remain():
    torch.manual_seed(0)
    theirs = nn.Conv1d(4, 5, 3)
    ours = deepcopy(theirs)
    for dim in (0, 1, 2):
        stock.ln_structured(theirs, "weight", 1, "nuc", dim)
        prune.ln_structured(ours, "weight", 1, "nuc", dim)
        assert torch.equal(ours.weight_mask, theirs.weight_mask)


@given(seed=st.integers(0, 999), order=st.lists(st.sampled_from("lgsm"), min_size=1, max_size=5))
def test_methods_compose_as_in_torch(seed, order):
    generator = torch.Generator().manual_seed(seed)
    theirs = nn.Linear(9, 8)
    theirs.weight.data = torch.randn(8, 9, generator=generator)
    ours = deepcopy(theirs)
    mask = (torch.rand(8, 9, generator=generator) > 0.2).float()
    for step in order:
        for module, p in ((theirs, stock), (ours, prune)):
            if step == "l":
                p.l1_unstructured(module, "weight", 0.2)
            elif step == "g":
                p.global_unstructured([(module, "weight")], p.L1Unstructured, amount=5)
            elif step == "s":
                p.ln_structured(module, "weight", 1, 2, 0)
            else:
                p.custom_from_mask(module, "weight", mask)
        assert torch.equal(ours.weight_mask, theirs.weight_mask)
    for module in (theirs, ours):  # the pre-hook, too
        module(torch.ones(1, 9))
    assert torch.equal(ours.weight, theirs.weight)


@pytest.mark.parametrize("p", [stock, prune])
def test_weights_that_are_zero_but_unmasked_count_and_go_first(p):
    layer = nn.Linear(100, 1)
    layer.weight.data[0, :60] = 0
    p.l1_unstructured(layer, "weight", 0.5)
    assert int((layer.weight_mask == 0).sum()) == 50
    assert int((layer.weight == 0).sum()) == 60


@pytest.mark.parametrize("p", [stock, prune])
def test_amounts_count_what_is_still_unpruned(p):
    layer, counts = nn.Linear(100, 1), []
    for amount in (0.5, 0.5, 0.5, 0.5, 3):
        p.l1_unstructured(layer, "weight", amount)
        counts.append(int((layer.weight_mask == 0).sum()))
    assert counts == [50, 75, 87, 93, 96]
    assert int(p.L1Unstructured(amount=2).prune(torch.ones(9), torch.zeros(9)).sum()) == 0
    prior = torch.tensor([0.0, 1, 1, 1])  # compute_mask by itself counts all entries
    bare = p.L1Unstructured(amount=2).compute_mask(torch.tensor([1.0, 2, 3, 4]), prior)
    assert bare.tolist() == [0, 0, 1, 1]
