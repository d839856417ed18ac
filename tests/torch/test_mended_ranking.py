"""Faults of torch in what it ranks: each test shows the fault on torch, and that it is gone here.

``wrong`` says whether the library at hand is expected to be wrong, so each test can fail twice.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock

BOTH = pytest.mark.parametrize(
    ("p", "wrong"), [(stock, True), (prune, False)], ids=["torch", "ours"]
)


def layer_of(*values, kind=torch.float32):
    layer = nn.Module()
    data = torch.tensor(values).to(kind)
    layer.w = nn.Parameter(data, requires_grad=data.is_floating_point())
    return layer


def fails(call, *expected):
    """Whether a call is refused, with one of these errors."""
    try:
        call()
    except expected:
        return True
    return False


CHANGES = {
    "optimizer.step": lambda m: _step(m, torch.tensor([2.0, 0.0, -2.0])),
    "load_state_dict": lambda m: m.load_state_dict({**m.state_dict(), "w_orig": _reversed(m)}),
    "copy_": lambda m: m.w_orig.data.copy_(_reversed(m)),
    "a new tensor": lambda m: setattr(m.w_orig, "data", _reversed(m)),
    "half": lambda m: m.half() and m.w_orig.data.copy_(_reversed(m)),
}


def _reversed(module):
    return module.w_orig.detach().flip(0).clone()


def _step(module, gradient):
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    module.w_orig.grad = -gradient
    optimizer.step()


@BOTH
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("scope", ["local", "global"])
def test_the_current_weights_are_ranked(p, wrong, change, scope):
    """DEV-01: not those of the last forward."""
    layer = layer_of(1.0, 2.0, 3.0)
    p.identity(layer, "w")
    CHANGES[change](layer)
    assert layer.w_orig.tolist() == [3, 2, 1]
    if scope == "local":
        p.l1_unstructured(layer, "w", 1)
    else:
        p.global_unstructured([(layer, "w")], p.L1Unstructured, amount=1)
    assert layer.w_mask.tolist() == ([0, 1, 1] if wrong else [1, 1, 0])


@BOTH
def test_structured_methods_rank_the_current_weights(p, wrong):
    """DEV-01."""
    layer = nn.Linear(2, 2)
    layer.weight.data = torch.tensor([[1.0, 1.0], [2.0, 2.0]])
    p.identity(layer, "weight")
    layer.weight_orig.data = torch.tensor([[2.0, 2.0], [1.0, 1.0]])
    p.ln_structured(layer, "weight", 1, 2, 0)
    assert layer.weight_mask.tolist() == ([[0, 0], [1, 1]] if wrong else [[1, 1], [0, 0]])


@BOTH
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_random_entries_are_uniform_over_positions(p, wrong, kind):
    """DEV-05: chi-square over 16 equal stretches; its critical value at 1e-4 is 44.3."""
    torch.manual_seed(0)
    counts = torch.zeros(16)
    for _ in range(12):
        layer = nn.Linear(80, 800, dtype=kind)
        p.random_unstructured(layer, "weight", 20)
        counts += (layer.weight_mask == 0).view(16, -1).sum(1)
    assert counts.sum() == 240
    chi = float(((counts - 15) ** 2 / 15).sum())
    assert (chi > 44.3) is wrong


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float8_e5m2, torch.int8])
@pytest.mark.parametrize("seed", [None, 3])
def test_random_entries_are_uniform_in_every_dtype(kind, seed):
    """DEV-05, RAND-04."""
    torch.manual_seed(1)
    counts = torch.zeros(16)
    for i in range(20):
        layer = layer_of(*[1.0] * 1600, kind=kind)
        options = {} if seed is None else {"seed": seed + i}
        prune.random_unstructured(layer, "w", 80, **options)
        counts += (~layer.w_mask.bool()).view(16, -1).sum(1)
    assert counts.sum() == 1600
    assert float(((counts - 100) ** 2 / 100).sum()) < 44.3


def test_ties_fall_to_the_first_in_order():
    """DEV-06: torch's choice is an accident of its selection, so only ours is stated."""
    layers = [layer_of(*[1.0] * 100) for _ in range(4)]
    pairs = [(layer, "w") for layer in layers]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=0.3)
    assert [int((m.w_mask == 0).sum()) for m in layers] == [100, 20, 0, 0]
    assert layers[1].w_mask.argmax() == 20


@BOTH
def test_the_smallest_integer_has_the_largest_magnitude(p, wrong):
    """DEV-22."""
    layer = layer_of(-128, 5, 127, -3, kind=torch.int8)
    p.l1_unstructured(layer, "w", 2)
    assert layer.w_mask.tolist() == ([0, 1, 1, 0] if wrong else [1, 0, 1, 0])


@BOTH
@pytest.mark.parametrize("kind", [torch.int8, torch.int64, torch.uint8, torch.complex64])
def test_random_pruning_takes_every_dtype(p, wrong, kind):
    """DEV-21."""
    layer = layer_of(1, 2, 3, 4, kind=kind)
    assert fails(lambda: p.random_unstructured(layer, "w", 2), RuntimeError) is wrong


@BOTH
@pytest.mark.parametrize("kinds", [["float8_e4m3fn"], ["float8_e5m2", "float32"]])
def test_float8_is_ranked(p, wrong, kinds):
    """DEV-25."""
    layers = [layer_of(-0.5, 3, 1, kind=getattr(torch, kind)) for kind in kinds]
    pairs = [(layer, "w") for layer in layers]
    prunes = lambda: p.global_unstructured(pairs, p.L1Unstructured, amount=len(kinds))  # noqa: E731
    assert fails(prunes, RuntimeError) is wrong
    if not wrong:
        assert all(layer.w_mask.float().tolist() == [0, 1, 1] for layer in layers)


LAYOUTS = {
    "transposed": lambda w: w.t(),
    "channels_last": lambda w: w.view(2, 3, 2, 2).contiguous(memory_format=torch.channels_last),
}


@BOTH
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", ["l1", "random", "global"])
def test_every_layout_is_taken(p, wrong, layout, method):
    """DEV-27: the mask keeps the weight's layout."""
    layer = nn.Module()
    layer.w = nn.Parameter(LAYOUTS[layout](torch.arange(24.0).view(6, 4)))

    def act():
        if method == "global":
            p.global_unstructured([(layer, "w")], p.L1Unstructured, amount=5)
        else:
            getattr(p, {"l1": "l1_unstructured", "random": "random_unstructured"}[method])(
                layer, "w", 5
            )

    assert fails(act, RuntimeError) is wrong
    if not wrong:
        assert int((layer.w_mask == 0).sum()) == 5
        if layout == "channels_last":
            assert layer.w_mask.is_contiguous(memory_format=torch.channels_last)


@BOTH
def test_narrow_float_amounts_are_widened(p, wrong):
    """DEV-20: a product in float16 overflows."""
    layer = layer_of(*[1.0] * 70_001)
    half = np.float16(1.0)
    with np.errstate(over="ignore"):
        assert fails(lambda: p.l1_unstructured(layer, "w", half), OverflowError) is wrong


@BOTH
@pytest.mark.parametrize(
    "amount",
    [np.array(0.5), np.array(2), torch.tensor(0.5), torch.tensor(2), torch.tensor(0.5).bfloat16()],
)
def test_arrays_without_dimensions_are_amounts(p, wrong, amount):
    """DEV-18."""
    layer = layer_of(1.0, 2.0, 3.0, 4.0)
    assert fails(lambda: p.l1_unstructured(layer, "w", amount), TypeError) is wrong
    if not wrong:
        assert layer.w_mask.tolist() == [0, 0, 1, 1]


def test_random_channels_are_exactly_as_many_as_asked_for(monkeypatch):
    """DEV-38: torch compares with a threshold, so that equal draws take more."""
    kept = []
    for p in (stock, prune):
        layer = nn.Linear(2, 6)
        with monkeypatch.context() as patch:
            patch.setattr(torch, "rand", lambda *size, **_: torch.full(size, 0.5))
            p.random_structured(layer, "weight", 2, 0)
        kept.append(int(layer.weight_mask.sum()) // 2)
    assert kept[0] != 4
    assert kept[1] == 4
