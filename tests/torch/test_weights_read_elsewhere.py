"""Weights that are used without calling their module, or kept in lists, are always current.

Clause DEV-53. Each model trains as a plain one that multiplies by its masks itself.
"""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils import prune as stock

LIBRARIES = [(stock, True), (prune, False)]
BOTH = pytest.mark.parametrize(("p", "wrong"), LIBRARIES, ids=["torch", "ours"])


def reference(model, names, inputs, loss, steps=3):
    """Train a dense twin, its pruned names masked by hand, and return its parameters."""
    twin = {n.removesuffix("_orig"): p for n, p in model.state_dict().items() if "_mask" not in n}
    masks = {n: model.state_dict()[n + "_mask"] for n in names}
    plain = deepcopy(model)
    prune.undo(plain)
    leaves = {n: v.clone().requires_grad_() for n, v in twin.items()}
    optimizer = torch.optim.SGD(leaves.values(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        values = {
            n: torch.where(masks[n] == 1, v, 0) if n in masks else v for n, v in leaves.items()
        }
        loss(torch.func.functional_call(plain, values, inputs)).backward()
        optimizer.step()
    return {n: v.detach() for n, v in leaves.items()}


def train(model, inputs, loss, steps=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(*inputs)).backward()
        optimizer.step()
    return {n.removesuffix("_orig"): v.detach() for n, v in model.named_parameters()}


def check(model, names, inputs, loss):
    for name in names:
        path, _, leaf = name.rpartition(".")
        prune.l1_unstructured(model.get_submodule(path), leaf, 0.5)
    expected = reference(model, names, inputs, loss)
    trained = train(model, inputs, loss)
    for name, value in expected.items():
        assert torch.allclose(trained[name], value, atol=1e-6), name


def first(outputs):
    return (outputs[0] if isinstance(outputs, tuple) else outputs).square().sum()


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_networks_train_their_originals(kind):
    torch.manual_seed(0)
    model = kind(3, 4, num_layers=2, bidirectional=True)
    names = ["weight_ih_l0", "weight_hh_l1_reverse", "bias_hh_l0"]
    check(model, names, (torch.randn(5, 2, 3),), first)


def test_recurrent_networks_follow_copies_conversions_and_removal():
    torch.manual_seed(0)
    model, x = nn.LSTM(3, 4), torch.randn(5, 2, 3)
    prune.l1_unstructured(model, "weight_hh_l0", 0.5)
    prune.l1_unstructured(model, "weight_ih_l0", 0.5)
    for name, weight in zip(model._flat_weights_names, model._flat_weights, strict=True):
        assert torch.equal(weight, getattr(model, name))
    train(model, (x,), first)
    out = model(x)[0]
    copy = deepcopy(model)
    assert torch.equal(copy(x)[0], out)
    with torch.no_grad():
        copy.weight_hh_l0_orig.zero_()
    assert not torch.equal(copy(x)[0], out)
    assert torch.equal(model(x)[0], out)
    assert model.double()(x.double())[0].dtype == torch.float64
    assert torch.allclose(model(x.double())[0].float(), out, atol=1e-6)
    model.float()
    for name in ("weight_ih_l0", "weight_hh_l0"):
        prune.remove(model, name)
    assert model.all_weights[0][0] is model.weight_ih_l0
    assert torch.allclose(model(x)[0], out, atol=1e-6)
    before = model.weight_hh_l0.detach().clone()
    train(model, (x,), first)
    assert not torch.equal(model.weight_hh_l0, before)


def test_attention_projections_train_their_originals():
    torch.manual_seed(0)
    x = torch.randn(4, 2, 6)
    model = nn.MultiheadAttention(6, 2)
    check(model, ["in_proj_weight", "out_proj.weight"], (x, x, x), first)


@BOTH
def test_a_pruned_attention_projection_trains_twice(p, wrong):
    model, x = nn.MultiheadAttention(6, 2), torch.randn(4, 2, 6)
    p.l1_unstructured(model.out_proj, "weight", 0.5)
    try:
        train(model, (x, x, x), first)
    except RuntimeError as error:
        assert wrong, error  # noqa: PT017
    else:
        assert not wrong


@pytest.mark.parametrize("training", [True, False])
def test_encoder_layers_compute_with_pruned_weights(training):
    torch.manual_seed(0)
    model, x = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0), torch.randn(4, 2, 6)
    model.train(training)
    for module, name in [(model.linear1, "weight"), (model.self_attn.out_proj, "weight")]:
        prune.l1_unstructured(module, name, 0.5)
    dense = deepcopy(model)
    prune.remove_all(dense)
    for context in (torch.no_grad(), torch.enable_grad()):
        with context:
            assert torch.allclose(model(x), dense(x), atol=1e-6)


def test_parameter_lists_and_dicts_train_their_originals():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.listed = nn.ParameterList([torch.randn(4, 3), torch.randn(2, 4)])
            self.named = nn.ParameterDict({"scale": torch.randn(2)})

        def forward(self, x):
            return F.linear(F.linear(x, self.listed[0]), self.listed[1]) * self.named["scale"]

    torch.manual_seed(0)
    check(Model(), ["listed.0", "listed.1", "named.scale"], (torch.randn(5, 3),), first)


def test_a_list_of_pruned_parameters_keeps_its_length_and_order():
    listed = nn.ParameterList([torch.ones(2), torch.ones(3), torch.ones(4)])
    prune.l1_unstructured(listed, "1", 1)
    assert len(listed) == 3
    assert [p.numel() for p in listed] == [2, 3, 4]


def test_tied_layers_train_one_original():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, i):
            return self.head(self.embed(i))

    torch.manual_seed(0)
    model, i = Model(), torch.tensor([0, 3, 4])
    pairs = [(model.embed, "weight"), (model.head, "weight")]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=7)
    weight = model.embed.weight_orig.detach().clone().requires_grad_()
    value = torch.where(model.embed.weight_mask == 1, weight, 0)
    first(F.linear(F.embedding(i, value), value)).backward()
    first(model(i)).backward()
    assert torch.allclose(model.head.weight_orig.grad, weight.grad)
    assert len(list(model.parameters())) == 1


@BOTH
def test_an_old_weight_norm_is_current_in_whatever_order_hooks_run(p, wrong):
    with pytest.warns(FutureWarning, match="weight_norm"):
        layer = nn.utils.weight_norm(nn.Linear(3, 2, bias=False))
    p.l1_unstructured(layer, "weight_v", 2)
    x = torch.ones(1, 3)
    layer(x)
    with torch.no_grad():
        layer.weight_v_orig.copy_(torch.tensor([[3.0, 4.0, 1.0], [1.0, 1.0, 2.0]]))
    value = layer.weight_v_orig * layer.weight_v_mask
    norm = torch._weight_norm(value, layer.weight_g, 0)
    assert torch.allclose(layer(x), F.linear(x, norm)) is not wrong


def test_a_parametrizations_original_is_pruned():
    layer = parametrizations.orthogonal(nn.Linear(3, 3))
    plain = parametrizations.weight_norm(nn.Linear(3, 2))
    prune.l1_unstructured(plain.parametrizations.weight, "original1", 2)
    value = plain.parametrizations.weight.original1
    assert int((value == 0).sum()) == 2
    assert int((plain.weight == 0).sum()) == 2
    with pytest.raises(TypeError, match="parametrized"):
        prune.l1_unstructured(layer, "weight", 1)
