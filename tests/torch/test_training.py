"""What holds in training and evaluation: values that are read again, and what is kept."""

from __future__ import annotations

import pytest
import torch
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock


def evaluated() -> tuple[nn.Linear, torch.Tensor]:
    torch.manual_seed(0)
    layer = nn.Linear(4, 4).eval()
    prune.l1_unstructured(layer, "weight", amount=0.5)
    return layer, torch.randn(3, 4)


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
    layer, x = evaluated()
    with torch.no_grad(), prune.cached():
        layer(x)
        before = layer.weight.clone()
        CHANGES[name](layer)
        assert not torch.equal(layer.weight.float(), before)
        if hasattr(layer, "weight_mask"):
            now = layer.weight_orig * layer.weight_mask
            assert torch.equal(layer.weight, now)
            assert torch.equal(layer(x), nn.functional.linear(x, now, layer.bias))


def test_a_change_of_dtype_is_seen_at_once():
    layer, x = evaluated()
    with torch.no_grad(), prune.cached():
        layer(x)
        assert layer.double().weight.dtype == layer(x.double()).dtype == torch.float64


def kept_for_backward(forward) -> dict[int, int]:
    """Return the bytes of each storage that a graph keeps, by its address."""
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        result = forward()
    return kept if result is not None else {}


def test_nothing_more_is_kept_for_backward_than_the_mask():
    layer = nn.Linear(64, 64, bias=False)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    assert list(kept_for_backward(lambda: layer.weight)) == [layer.weight_mask.data_ptr()]


@pytest.mark.parametrize("amount", [0.5, 1.0])
@pytest.mark.parametrize("layer", ["linear", "conv", "lstm", "embedding"])
def test_no_more_bytes_are_kept_for_backward_than_by_torch(layer, amount):
    kinds = {
        "linear": (lambda: nn.Linear(24, 16), torch.randn(3, 24, requires_grad=True)),
        "conv": (lambda: nn.Conv2d(3, 8, 3), torch.randn(1, 3, 9, 9, requires_grad=True)),
        "lstm": (lambda: nn.LSTM(5, 6), torch.randn(2, 1, 5, requires_grad=True)),
        "embedding": (lambda: nn.Embedding(9, 8), torch.arange(9)),
    }
    make, x = kinds[layer]
    sizes = []
    for p in (stock, prune):
        torch.manual_seed(0)
        module = make()
        name = "weight" if layer != "lstm" else "weight_hh_l0"
        for _ in range(2):
            p.l1_unstructured(module, name, amount=amount)

        def forward(module=module):
            out = module(x)
            return (out[0] if isinstance(out, tuple) else out).square().sum()

        sizes.append(sum(kept_for_backward(forward).values()))
    assert 0 < sizes[1] <= sizes[0]


def test_a_boolean_mask_keeps_a_byte_for_each_entry():
    layer = prune.identity(nn.Linear(24, 16), "weight", mask_dtype=torch.bool)
    assert sum(kept_for_backward(lambda: layer.weight).values()) == 24 * 16
