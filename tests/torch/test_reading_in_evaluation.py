"""A value that is read again in evaluation is nobody's to spoil: not a writer's, not a mode's."""

from __future__ import annotations

import pytest
import torch
from multiprune_torch import prune
from torch import nn

MODES = {
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
    "grad": torch.enable_grad,
}


def layer():
    torch.manual_seed(0)
    return prune.l1_unstructured(nn.Linear(3, 2), "weight", 2).eval()


def product(module):
    return torch.where(module.weight_mask == 1, module.weight_orig, 0)


@pytest.mark.parametrize("write", [lambda w: w.mul_(10), nn.init.ones_, lambda w: w[0].zero_()])
@pytest.mark.parametrize("mode", MODES)
def test_a_write_to_the_value_is_lost_at_the_next_reading(mode, write):
    """As in torch, where the next forward computes it anew (REP-04)."""
    module = layer()
    with MODES[mode]():
        assert torch.equal(module.weight, product(module))
        write(module.weight.detach() if mode == "grad" else module.weight)
        assert torch.equal(module.weight, product(module))
        assert torch.equal(module(torch.eye(3)), product(module).t() + module.bias)


@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("then", MODES)
def test_what_one_mode_has_read_serves_the_others(first, then):
    """A tensor made under inference_mode may not be kept for readers outside it."""
    module = layer()
    with MODES[first]():
        module(torch.ones(1, 3))
    with MODES[then]():
        weight = module.weight
    if then != "inference":
        assert not weight.is_inference()
        x = torch.ones(1, 3, requires_grad=True)
        nn.functional.linear(x, weight).sum().backward()
        assert torch.equal(x.grad[0], product(module).sum(0))


@pytest.mark.parametrize("mode", ["no_grad", "inference"])
def test_the_value_is_the_same_tensor_until_something_changes(mode):
    """DEV-55."""
    module = layer()
    with MODES[mode]():
        first = module.weight
        assert module.weight is first
    with torch.no_grad():
        module.weight_orig.add_(1)
    with MODES[mode]():
        assert module.weight is not first
        assert torch.equal(module.weight, product(module))
