"""Tied weights whose names were pruned apart: what any of them pruned stays pruned (DEV-11)."""

import pytest
import torch
from multiprune_torch import prune
from torch import nn


@pytest.fixture
def tied():
    one, two = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    two.weight = one.weight
    return one, two


@pytest.mark.parametrize("first", [0, 1])
def test_a_mask_of_one_name_is_the_prior_mask_of_both(tied, first):
    listed = tied if first == 0 else tied[::-1]
    prune.custom_from_mask(tied[0], "weight", 1 - torch.eye(4))
    with torch.no_grad():
        tied[0].weight_orig.copy_(torch.arange(16.0).reshape(4, 4) + 1)
        tied[0].weight_orig.fill_diagonal_(100)
    prune.global_unstructured([(m, "weight") for m in listed], prune.L1Unstructured, amount=2)
    for module in tied:
        assert torch.equal(module.weight_mask.diagonal(), torch.zeros(4))
        assert module.weight_mask.sum() == 16 - 4 - 2


def test_masks_of_both_names_are_joined(tied):
    prune.custom_from_mask(tied[0], "weight", 1 - torch.eye(4))
    prune.custom_from_mask(tied[1], "weight", 1 - torch.eye(4).flip(0))
    prune.global_unstructured([(m, "weight") for m in tied], prune.L1Unstructured, amount=0)
    for module in tied:
        assert module.weight_mask.sum() == 8


def test_a_name_that_is_not_listed_keeps_its_mask(tied):
    prune.custom_from_mask(tied[0], "weight", 1 - torch.eye(4))
    with pytest.warns(UserWarning, match="DEV-12"):
        prune.global_unstructured([(tied[1], "weight")], prune.L1Unstructured, amount=3)
    assert tied[0].weight_mask.sum() == 12
    assert tied[1].weight_mask.sum() == 13


def test_masks_of_other_values_are_no_product_of_masks(tied):
    """A mask of torch's own that scales keeps its values where it is the only one."""
    prune.custom_from_mask(tied[0], "weight", torch.ones(4, 4))
    state = tied[0].state_dict()
    state["weight_mask"] = torch.full((4, 4), 0.5)
    tied[0].load_state_dict(state)
    prune.global_unstructured([(m, "weight") for m in tied], prune.L1Unstructured, amount=0)
    assert torch.equal(tied[0].weight_mask, torch.full((4, 4), 0.5))
