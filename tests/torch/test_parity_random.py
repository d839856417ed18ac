"""Under ``torch.manual_seed`` random masks are stock torch's, and so is the stream that is left."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from multiprune_torch import prune
from multiprune_torch.backend import TorchBackend
from multiprune_torch.ranking.stream import Stream
from torch import nn
from torch.nn.utils import prune as stock

SEEDS = st.integers(0, 2**63 - 1)
AMOUNTS = st.lists(st.floats(0, 1) | st.integers(0, 3), min_size=1, max_size=3)
KINDS = st.sampled_from([torch.float32, torch.float64])


def twins(kind, *shapes):
    theirs = nn.Module()
    for i, shape in enumerate(shapes):
        theirs.register_parameter(f"p{i}", nn.Parameter(torch.ones(shape, dtype=kind)))
    return theirs, deepcopy(theirs)


def same(theirs, ours, draw):
    """Draw with both from one state of the generator; compare, and say whether neither refused."""
    states, refusals = [], []
    before = torch.get_rng_state()
    for module, p in ((theirs, stock), (ours, prune)):
        torch.set_rng_state(before)
        try:
            draw(module, p)
        except ValueError as error:
            refusals.append(str(error))
        states.append(torch.get_rng_state())
    assert torch.equal(*states)
    assert len(refusals) in (0, 2), refusals
    for name, mask in theirs.named_buffers():
        assert torch.equal(getattr(ours, name), mask)
    return not refusals


@given(kind=KINDS, seed=SEEDS, amounts=AMOUNTS, size=st.integers(1, 5))
def test_random_unstructured_draws_torchs_mask_in_every_round(kind, seed, amounts, size):
    theirs, ours = twins(kind, (7, 4 * size))
    torch.manual_seed(seed)
    for amount in amounts:  # torch's module is past use after a refusal
        if not same(theirs, ours, lambda m, p, a=amount: p.random_unstructured(m, "p0", a)):
            break


@settings(max_examples=60)
@given(kind=KINDS, seed=SEEDS, amounts=AMOUNTS, block_size=st.sampled_from([1, 5, 16, 1 << 20]))
def test_global_random_draws_torchs_masks_in_every_round(kind, seed, amounts, block_size):
    theirs, ours = twins(kind, (3, 4), (5,), (), (0, 2), (2, 3, 4))
    torch.manual_seed(seed)

    def draw(module, p, amount):
        pairs = [(module, f"p{i}") for i in range(5)]
        p.global_unstructured(pairs, p.RandomUnstructured, amount=amount)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TorchBackend, "block_size", block_size)
        for amount in amounts:
            if not same(theirs, ours, lambda m, p, a=amount: draw(m, p, a)):
                break


@given(kind=KINDS, seed=SEEDS, dim=st.integers(-3, 2), amounts=AMOUNTS)
def test_random_structured_draws_torchs_channels_in_every_round(kind, seed, dim, amounts):
    theirs, ours = twins(kind, (9, 8, 10))
    torch.manual_seed(seed)
    for amount in amounts:
        if not same(theirs, ours, lambda m, p, a=amount: p.random_structured(m, "p0", a, dim)):
            break


@given(seed=SEEDS, amount=st.floats(0, 1))
def test_mixed_float_dtypes_draw_in_their_common_dtype(seed, amount):
    theirs, ours = twins(torch.float32, (30,), (20,))
    for module in (theirs, ours):
        module.p1.data = module.p1.data.half()
    torch.manual_seed(seed)

    def draw(module, p):
        pairs = [(module, "p0"), (module, "p1")]
        p.global_unstructured(pairs, p.RandomUnstructured, amount=amount)

    same(theirs, ours, draw)


def test_random_after_magnitude_draws_only_for_live_entries():
    theirs, ours = twins(torch.float32, (40,))
    for module in (theirs, ours):
        module.p0.data = torch.arange(40.0)
    for module, p in ((theirs, stock), (ours, prune)):
        p.l1_unstructured(module, "p0", 0.5)
    torch.manual_seed(3)
    same(theirs, ours, lambda m, p: p.random_unstructured(m, "p0", 0.5))
    assert int(ours.p0_mask.sum()) == 10


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_bare_random_method_draws_torchs_mask(kind):
    t = torch.ones(6, 7, dtype=kind)
    masks = []
    for p in (stock, prune):
        torch.manual_seed(8)
        masks.append(p.RandomUnstructured(0.4).compute_mask(t, torch.ones_like(t)))
        masks.append(p.RandomStructured(2, 1).compute_mask(t, torch.ones_like(t)))
        masks.append(torch.rand(4))
    for theirs, ours in zip(masks[:3], masks[3:], strict=True):
        assert torch.equal(theirs, ours)


def test_a_seed_of_ones_own_leaves_torchs_generator_alone():
    layer = nn.Linear(5, 6)
    before = torch.get_rng_state()
    prune.random_unstructured(layer, "weight", 0.5, seed=1)
    prune.random_structured(layer, "weight", 1, 0, seed=1)
    prune.global_unstructured([(layer, "weight")], prune.RandomUnstructured, amount=1, seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_error_leaves_torchs_generator_alone():
    layer = nn.Linear(5, 6)
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="31"):
        prune.random_unstructured(layer, "weight", 31)
    with pytest.raises(ValueError, match="7"):
        prune.random_structured(layer, "weight", 7, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_equal_draws_are_decided_by_a_second_draw_and_never_by_position(monkeypatch):
    """RAND-05, DEV-05: float32 has only 2**24 draws, so a large model has many equal ones."""
    monkeypatch.setattr(Stream, "_draw", lambda self, n: np.zeros(n, dtype=np.uint64))
    masks = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        layer = prune.random_unstructured(nn.Linear(40, 25), "weight", 100)
        masks.append(layer.weight_mask == 0)
        assert int(masks[-1].sum()) == 100
        assert 25 < int(masks[-1].view(2, -1)[0].sum()) < 75
    assert not torch.equal(*masks)
