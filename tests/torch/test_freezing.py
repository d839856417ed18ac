"""Zeros that are frozen stay zero in training, whatever trains them, and no others."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from multiprune_torch import prune
from torch import nn

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5),
}


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 6)).pow(2).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_frozen_zeros_stay_zero_and_the_others_train(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 2))
    optimizer = OPTIMIZERS[name](model.parameters())
    train(model, optimizer)  # momentum from before would revive them
    prune.prune_model(model, amount=0.5)
    frozen = prune.freeze(model)
    zeros, before = model[0].weight == 0, model[0].weight.detach().clone()
    train(model, optimizer)
    assert bool((model[0].weight[zeros] == 0).all())
    assert bool((model[0].weight[~zeros] != before[~zeros]).any())
    assert bool((model[0].weight.grad[zeros] == 0).all())
    frozen.release()
    train(model, optimizer)
    assert bool((model[0].weight[zeros] != 0).any())


def test_clipping_sees_the_norm_of_what_trains():
    model = nn.Linear(6, 2)
    prune.prune_model(model, amount=0.5)
    prune.freeze(model)
    model(torch.ones(1, 6)).sum().backward()
    kept = model.weight != 0
    norm = nn.utils.clip_grad_norm_([model.weight], 1e9)
    assert float(norm) == pytest.approx(float(kept.sum()) ** 0.5)


def test_frozen_zeros_stay_under_scaled_gradients():
    model = nn.Linear(6, 2)
    prune.prune_model(model, amount=0.5)
    prune.freeze(model)
    optimizer, scaler = (
        torch.optim.SGD(model.parameters(), 0.1, momentum=0.9),
        torch.amp.GradScaler("cpu"),
    )
    for _ in range(2):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(torch.randn(4, 6)).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    assert int((model.weight == 0).sum()) == 6


def test_freezing_twice_holds_until_both_let_go():
    torch.manual_seed(0)
    model = nn.Linear(6, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    train(model, optimizer)
    prune.prune_model(model, amount=0.5)
    first, second = prune.freeze(model), prune.freeze(model)
    assert first.names == second.names == ["weight"]
    first.release()
    assert first.names == []
    train(model, optimizer)
    assert int((model.weight == 0).sum()) == 6
    second.release()
    train(model, optimizer)
    assert bool(model.weight.all())


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_a_copy_of_a_frozen_model_is_free(how):
    torch.manual_seed(0)
    model = nn.Linear(6, 2)
    prune.prune_model(model, amount=0.5)
    prune.freeze(model)
    twin = copy.deepcopy(model) if how == "deepcopy" else pickle.loads(pickle.dumps(model))
    train(twin, torch.optim.Adam(twin.parameters(), lr=0.1))
    assert bool(twin.weight.all())
    train(model, torch.optim.Adam(model.parameters(), lr=0.1))
    assert int((model.weight == 0).sum()) == 6


def test_what_is_not_trained_is_frozen_for_when_it_is():
    torch.manual_seed(0)
    model = nn.Linear(6, 2).requires_grad_(False)
    prune.prune_model(model, amount=0.5)
    prune.freeze(model)
    model.requires_grad_(True)
    train(model, torch.optim.AdamW(model.parameters(), lr=0.1))
    assert int((model.weight == 0).sum()) == 6


@pytest.mark.parametrize("scaled", [False, True])
def test_a_long_run_with_all_of_it_keeps_every_zero(scaled):
    """Momentum, weight decay, clipping by norm and value, and AMP, whatever the gradients."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.1)
    scaler = torch.amp.GradScaler("cpu", enabled=scaled, init_scale=4.0)
    frozen = None
    for step in range(30):
        if step == 10:
            prune.prune_model(model, sparsity=0.8)
            frozen = prune.freeze(model)
            zeros = {n: p == 0 for n, p in model.named_parameters() if p.dim() > 1}
        optimizer.zero_grad(set_to_none=bool(step % 2))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=scaled):
            loss = model(torch.randn(8, 6)).square().mean()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        nn.utils.clip_grad_value_(model.parameters(), 0.1)
        scaler.step(optimizer)
        scaler.update()
    assert frozen.names == list(zeros)
    for name, gone in zeros.items():
        assert torch.equal(model.get_parameter(name) == 0, gone)
