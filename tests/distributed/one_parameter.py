"""Verbs that take one parameter, on sharded ones: all processes call them together."""

from __future__ import annotations

import nets
import pytest
import torch
from multiprune_conformance import oracle
from multiprune_torch import prune
from multiprune_torch.distributed.layout import local_part
from multiprune_torch.errors import LayoutError, MaskTypeError
from verbs import indices_of

from multiprune.errors import MaskError, MaskShapeError, PruningTypeError


def held(module, name="weight"):
    """The mask of one parameter, whole; None on ranks outside its mesh."""
    return nets.gathered(module._buffers[f"{name}_mask"])


def each_cut():
    for cut in nets.CUTS:
        for layer in (0, 2, 3):
            yield cut(nets.net())[layer], nets.net()[layer]


def agree(module, partner):
    ours = held(module)
    assert ours is None or torch.equal(ours == 1, partner.weight_mask == 1)


def case_by_magnitude_and_by_scores():
    for module, partner in each_cut():
        for one in (module, partner):
            assert prune.l1_unstructured(one, "weight", amount=0.3) is one
            prune.l1_unstructured(one, "weight", sparsity=0.6)
        agree(module, partner)
        stored = dict(module.named_parameters())
        parameter = stored.get("weight", stored.get("weight_orig"))
        scores = torch.ones_like(parameter.detach())  # all tie: positions decide
        prune.l1_unstructured(module, "weight", 5, scores)
        prune.l1_unstructured(partner, "weight", 5, torch.ones_like(partner.weight_orig))
        agree(module, partner)


def case_at_random():
    for module, partner in each_cut():
        prune.random_unstructured(module, "weight", amount=0.5, seed=11)
        (wanted,) = oracle.random_unstructured([partner.weight.shape], seed=11, amount=0.5)
        ours = held(module)
        assert ours is None or torch.equal(ours == 1, torch.from_numpy(wanted))


def case_at_random_by_the_seed_of_the_first_process():
    module = nets.fsdp(nets.net())[2]
    prune.random_unstructured(module, "weight", amount=0.5)
    assert int(held(module).sum()) == 35


def case_nothing():
    for module, _ in each_cut():
        prune.identity(module, "weight")
        ours = held(module)
        assert ours is None or bool((ours == 1).all())
        assert prune.is_pruned(module)


def case_by_a_mask():
    """One that is whole on every process, then one that is cut as the parameter is."""
    for module, partner in each_cut():
        whole = torch.ones(partner.weight.shape)
        whole[1], whole[:, 2] = 0, 0
        for one in (module, partner):
            prune.custom_from_mask(one, "weight", whole)
        agree(module, partner)
        whole[:, 1] = 0
        cut = torch.empty_like(module._buffers["weight_mask"])
        local = local_part(cut)
        local.copy_(whole[indices_of(cut)].reshape(local.shape))
        prune.custom_from_mask(module, "weight", cut, mask_dtype=torch.float32)
        prune.custom_from_mask(partner, "weight", whole)
        agree(module, partner)


def case_a_mask_that_does_not_fit():
    for cut in (nets.fsdp, nets.tensor_parallel):
        module = cut(nets.net())[0]
        for mask, kind in (
            (torch.ones(6, 10), MaskShapeError),
            ("all of them", MaskTypeError),
            (torch.ones(10, 6, device="meta"), MaskTypeError),
            (torch.full((10, 6), 0.5), MaskError),
            (nets.hsdp(nets.net())[0].weight.detach() == 0, LayoutError),
        ):
            with pytest.raises(kind):
                prune.custom_from_mask(module, "weight", mask)
        assert not prune.is_pruned(module)


def case_channels_are_refused():
    for cut in (nets.fsdp, nets.tensor_parallel):
        module = cut(nets.net())[0]
        for verb, options in (
            (prune.ln_structured, {"n": 2, "dim": 0}),
            (prune.random_structured, {"dim": 0}),
        ):
            with pytest.raises(PruningTypeError) as caught:
                verb(module, "weight", amount=0.5, **options)
            text = str(caught.value)
            assert "before sharding" in text
            assert "[SHARD-02]" in text
        assert not prune.is_pruned(module)


def case_values_that_are_kept_come_back():
    model = nets.fsdp(nets.net())
    prune.l1_unstructured(model[0], "weight", amount=0.5, keep_dense=True)
    assert not held(model[0]).all()
    prune.undo(model)
    assert torch.equal(nets.gathered(model[0].weight), nets.net()[0].weight)
