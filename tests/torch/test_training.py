"""What holds in training and evaluation: frozen zeros, and values that are read again."""

from __future__ import annotations

import numpy as np
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


def evaluated() -> tuple[nn.Linear, torch.Tensor]:
    torch.manual_seed(0)
    layer = nn.Linear(4, 4).eval()
    prune.l1_unstructured(layer, "weight", amount=0.5)
    return layer, torch.randn(3, 4)


def test_in_evaluation_the_value_is_read_again_and_in_training_never():
    layer, _ = evaluated()
    with torch.no_grad():
        assert layer.weight is layer.weight
        layer.train()
        assert layer.weight is not layer.weight
    layer.eval()
    assert layer.weight is not layer.weight  # gradients want a graph of their own


CHANGES = {
    "in place": lambda m: m.weight_orig.add_(1),
    "optimizer": lambda m: (setattr(m.weight_orig, "grad", torch.ones(4, 4)),
                            torch.optim.SGD([m.weight_orig], 0.1).step()),
    "mask": lambda m: m.weight_mask.zero_(),
    "new data": lambda m: setattr(m.weight_orig, "data", torch.ones(4, 4)),
    "load": lambda m: m.load_state_dict(
        {k: v + (k == "weight_orig") for k, v in m.state_dict().items()}
    ),
    "round": lambda m: prune.l1_unstructured(m, "weight", amount=0.5),
    "undo": prune.undo,
    "new mask": lambda m: m.register_buffer("weight_mask", torch.zeros(4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_that_torch_counts_is_seen_at_once(name):
    layer, _ = evaluated()
    with torch.no_grad():
        before = layer.weight.clone()
        CHANGES[name](layer)
        assert not torch.equal(layer.weight.float(), before)
        if hasattr(layer, "weight_mask"):
            assert torch.equal(layer.weight, layer.weight_orig * layer.weight_mask)


def test_a_change_of_dtype_is_seen_at_once():
    layer, x = evaluated()
    with torch.no_grad():
        layer(x)
        assert layer.double().weight.dtype == layer(x.double()).dtype == torch.float64


@pytest.mark.parametrize("see", [nn.Module.eval, nn.Module.train, prune.refresh_model])
def test_writes_that_torch_cannot_see_are_seen_after_a_word(see):
    layer, x = evaluated()
    with torch.no_grad():
        layer(x)
        layer.weight_orig.data.add_(1)
        layer.weight_orig.detach().numpy()[0] = np.float32(7)
        see(layer)
        assert torch.equal(layer.weight, layer.weight_orig * layer.weight_mask)


def test_nothing_more_is_kept_for_backward_than_the_mask():
    layer = nn.Linear(64, 64, bias=False)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        layer.weight.sum()
    assert [t.data_ptr() for t in kept] == [layer.weight_mask.data_ptr()]
