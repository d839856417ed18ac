"""PyTorch's pruning tutorial, step by step, with LeNet: what it prints is what happens here.

Source: https://docs.pytorch.org/tutorials/intermediate/pruning_tutorial.html
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock

BOTH = pytest.mark.parametrize("p", [stock, prune], ids=["torch", "ours"])


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, int(x.nelement() / x.shape[0]))
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def net():
    torch.manual_seed(0)
    return LeNet()


def names(module):
    return [n for n, _ in module.named_parameters()], [n for n, _ in module.named_buffers()]


@BOTH
def test_one_module_is_pruned_iteratively_and_for_good(p):
    model = net()
    module = model.conv1
    torch.manual_seed(1)
    p.random_unstructured(module, name="weight", amount=0.3)
    assert names(module) == (["bias", "weight_orig"], ["weight_mask"])
    assert torch.equal(module.weight, module.weight_orig * module.weight_mask)
    assert len(module._forward_pre_hooks) == 1
    p.l1_unstructured(module, name="bias", amount=3)
    assert names(module) == (["weight_orig", "bias_orig"], ["weight_mask", "bias_mask"])
    assert int((module.bias == 0).sum()) == 3
    assert [h._tensor_name for h in module._forward_pre_hooks.values()] == ["weight", "bias"]
    p.ln_structured(module, name="weight", amount=0.5, n=2, dim=0)
    assert int((module.weight.flatten(1) == 0).all(1).sum()) == 3
    for hook in module._forward_pre_hooks.values():
        if hook._tensor_name == "weight":
            break
    assert [type(m).__name__ for m in hook] == ["RandomUnstructured", "LnStructured"]
    assert set(model.state_dict()) >= {"conv1.weight_orig", "conv1.weight_mask", "conv1.bias_orig"}
    x = torch.rand(2, 1, 32, 32)
    out = model(x)
    p.remove(module, "weight")
    p.remove(module, "bias")
    assert set(names(module)[0]) == {"weight", "bias"}
    assert names(module)[1] == []
    assert not module._forward_pre_hooks
    assert torch.equal(model(x), out)


def test_the_tutorials_local_masks_are_torchs():
    masks = []
    for p in (stock, prune):
        model = net()
        torch.manual_seed(1)
        p.random_unstructured(model.conv1, name="weight", amount=0.3)
        p.l1_unstructured(model.conv1, name="bias", amount=3)
        p.ln_structured(model.conv1, name="weight", amount=0.5, n=2, dim=0)
        masks.append(dict(model.named_buffers()))
    assert list(masks[0]) == list(masks[1])
    assert all(torch.equal(masks[0][n], masks[1][n]) for n in masks[0])


@BOTH
def test_several_parameters_are_pruned_by_type(p):
    model = net()
    for _, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            p.l1_unstructured(module, name="weight", amount=0.2)
        elif isinstance(module, nn.Linear):
            p.l1_unstructured(module, name="weight", amount=0.4)
    masks = dict(model.named_buffers())
    assert list(masks) == [f"{n}.weight_mask" for n in ("conv1", "conv2", "fc1", "fc2", "fc3")]
    for name, mask in masks.items():
        amount = 0.2 if name.startswith("conv") else 0.4
        assert int((mask == 0).sum()) == round(amount * mask.numel())


def test_global_pruning_prunes_a_fifth_as_torch_does():
    sparsities, masks = [], []
    for p in (stock, prune):
        model = net()
        layers = (model.conv1, model.conv2, model.fc1, model.fc2, model.fc3)
        pairs = tuple((layer, "weight") for layer in layers)
        p.global_unstructured(pairs, pruning_method=p.L1Unstructured, amount=0.2)
        zeros = [int(torch.sum(layer.weight == 0)) for layer in layers]
        assert sum(zeros) == round(0.2 * sum(layer.weight.nelement() for layer in layers))
        sparsities.append(zeros)
        masks.append([layer.weight_mask for layer in layers])
    assert sparsities[0] == sparsities[1]
    assert all(map(torch.equal, *masks))


def method_on(base):
    class FooBarPruningMethod(base):
        """Prune every other entry in a tensor."""

        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    return FooBarPruningMethod


@pytest.mark.parametrize("base", [stock.BasePruningMethod, prune.BasePruningMethod])
def test_an_own_method_prunes_every_other_entry(base):
    method = method_on(base)
    model = net()
    method.apply(model.fc3, "bias")  # as the tutorial's foobar_unstructured does
    assert model.fc3.bias_mask.tolist() == [0.0, 1.0] * 5
    prune.global_unstructured([(model.fc1, "bias"), (model.fc2, "bias")], method)
    assert model.fc1.bias_mask.tolist() == [0.0, 1.0] * 60


def test_the_same_without_lists_of_pairs():
    """What the tutorial does in its global part, by the verbs for whole models."""
    model, other = net(), net()
    report = prune.prune_model(model, amount=0.2)
    pairs = [(getattr(other, n), "weight") for n in ("conv1", "conv2", "fc1", "fc2", "fc3")]
    stock.global_unstructured(pairs, stock.L1Unstructured, amount=0.2)
    theirs, ours = dict(other.named_buffers()), dict(model.named_buffers())
    assert all(torch.equal(ours[n], theirs[n]) for n in theirs)
    assert report.pruned == sum(int((m == 0).sum()) for m in theirs.values())
    x = torch.rand(1, 1, 32, 32)
    out = model(x)
    prune.remove_all(model)
    assert torch.equal(model(x), out)
    assert names(model) == names(net())
