"""Modules, state_dicts and optimizers go back and forth between torch's pruning and ours."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock

BOTH = pytest.mark.parametrize("p", [stock, prune], ids=["torch", "ours"])


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5))


def pairs(model):
    return [(model[0], "weight"), (model[3], "bias"), (model[3], "weight")]


def rounds(model, p):
    """Some pruning of every kind."""
    p.global_unstructured(pairs(model), p.L1Unstructured, amount=0.3)
    p.ln_structured(model[3], "weight", 1, 2, 0)
    p.l1_unstructured(model[3], "weight", 2)
    p.global_unstructured(pairs(model), p.L1Unstructured, amount=4)
    p.identity(model[0], "bias")
    return model


@pytest.mark.parametrize(("first", "then"), [(stock, prune), (prune, stock)])
def test_each_loads_the_state_that_the_other_saved(first, then):
    source, target = rounds(net(), first), rounds(net(), then)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter += 1
    target.load_state_dict(source.state_dict())
    x = torch.ones(2, 1, 3, 3)
    assert torch.equal(target(x), source(x))
    assert torch.equal(target[3].weight, source[3].weight)


@pytest.mark.parametrize(("first", "then"), [(stock, prune), (prune, stock)])
def test_each_knows_and_removes_what_the_other_pruned(first, then):
    model = rounds(net(), first)
    expected = {n: p.detach().clone() for n, p in rounds(net(), stock)[3].named_parameters()}
    assert then.is_pruned(model)
    original = model[3].weight_orig
    then.remove(model[3], "weight")
    assert model[3].weight is original
    assert torch.equal(
        model[3].weight, expected["weight_orig"] * rounds(net(), stock)[3].weight_mask
    )
    then.remove(model[3], "bias")
    assert not then.is_pruned(model[3])
    assert sorted(model[3].state_dict()) == ["bias", "weight"]
    assert "weight" not in model[3].__dict__
    model(torch.ones(2, 1, 3, 3)).sum().backward()
    assert model[3].weight.grad is not None


def test_what_torch_pruned_is_pruned_further_and_then_follows_its_original():
    theirs = stock.l1_unstructured(nn.Linear(6, 5), "weight", 0.5)
    ours = deepcopy_of_pruned(theirs)
    stock.l1_unstructured(theirs, "weight", 0.5)
    prune.l1_unstructured(ours, "weight", 0.5)
    assert torch.equal(ours.weight_mask, theirs.weight_mask)
    with torch.no_grad():
        ours.weight_orig += 1
    assert torch.equal(ours.weight, ours.weight_orig * ours.weight_mask)


def deepcopy_of_pruned(layer):
    with torch.no_grad():
        layer(torch.ones(1, layer.in_features))  # else torch's module cannot be copied
    return deepcopy(layer)


def test_parameters_stay_the_same_objects_for_optimizers():
    layer = nn.Linear(6, 5)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    weight, bias = layer.weight, layer.bias
    prune.global_unstructured([(layer, "weight")], prune.L1Unstructured, amount=0.5)
    assert layer.weight_orig is weight
    layer(torch.ones(1, 6)).square().sum().backward()
    gone = layer.weight_mask == 0
    assert torch.all(weight.grad[gone] == 0)
    assert torch.all(weight.grad[~gone] != 0)
    before = weight.detach().clone()
    optimizer.step()
    assert torch.equal(weight[gone], before[gone])
    assert not torch.equal(weight[~gone], before[~gone])
    assert torch.equal(layer.weight, torch.where(gone, 0, weight))
    grad = weight.grad
    prune.remove(layer, "weight")
    assert layer.weight is weight
    assert layer.bias is bias
    assert weight.grad is grad


@BOTH
def test_frozen_parameters_stay_frozen(p):
    layer = nn.Linear(6, 5).requires_grad_(False)
    p.l1_unstructured(layer, "weight", 0.5)
    assert not layer.weight.requires_grad
    assert not p.remove(layer, "weight").weight.requires_grad


STEPS = st.tuples(st.booleans(), st.sampled_from(["l1", "global", "ln", "random", "remove"]))


@given(steps=st.lists(STEPS, max_size=7), forwards=st.booleans())
def test_a_module_pruned_by_both_in_turn_is_as_one_pruned_by_torch_alone(steps, forwards):
    """Each takes over what the other has pruned, masks, hooks and containers."""
    torch.manual_seed(1)
    alone = nn.Linear(6, 5)
    mixed = deepcopy(alone)
    for ours, step in steps:
        before = torch.get_rng_state()
        for layer, p in ((alone, stock), (mixed, prune if ours else stock)):
            torch.set_rng_state(before)
            if step == "remove":
                if p.is_pruned(layer):
                    p.remove(layer, "weight")
                    layer.weight.data += torch.linspace(0.01, 0.02, 30).view(5, 6)  # no ties
            elif step == "global":
                p.global_unstructured([(layer, "weight")], p.L1Unstructured, amount=0.2)
            elif step == "l1":
                p.l1_unstructured(layer, "weight", 0.2)
            elif step == "ln":
                p.ln_structured(layer, "weight", 0.2, 2, 0)
            else:
                p.random_unstructured(layer, "weight", 0.2)
            if forwards:
                layer(torch.ones(1, 6)).sum().backward()
        assert mixed.state_dict().keys() == alone.state_dict().keys()
        for key, value in alone.state_dict().items():
            assert torch.equal(mixed.state_dict()[key], value)
        assert torch.equal(mixed.weight, alone.weight)
        hooks = [
            [type(h).__name__ for h in layer._forward_pre_hooks.values()]
            for layer in (alone, mixed)
        ]
        assert hooks[0] == hooks[1]
    with torch.no_grad():
        for layer in (alone, mixed):
            next(p for n, p in layer.named_parameters() if n.startswith("weight")).mul_(2)
    x = torch.ones(1, 6)
    assert torch.equal(mixed(x), alone(x))
