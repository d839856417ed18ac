"""Faults of torch in a pruned module: stale, lost, uncopyable. Each shown on torch, gone here."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock

LIBRARIES = [(stock, True), (prune, False)]
BOTH = pytest.mark.parametrize(("p", "wrong"), LIBRARIES, ids=["torch", "ours"])
X = torch.ones(1, 4)


def pruned(p, layer=None):
    torch.manual_seed(0)
    return p.l1_unstructured(layer or nn.Linear(4, 5), "weight", 0.5)


def fails(call, *expected):
    try:
        call()
    except expected:
        return True
    return False


def product(layer):
    return torch.where(layer.weight_mask == 1, layer.weight_orig, 0)


@BOTH
def test_whatever_was_pruned_reads_plus_zero(p, wrong):
    """DEV-29, DEV-30: 0 * nan is nan, 0 * -1 is -0."""
    module = nn.Module()
    module.w = nn.Parameter(torch.tensor([1.0, float("nan"), -3.0, float("inf")]))
    p.l1_unstructured(module, "w", 1.0)
    assert not module.w_mask.any()
    assert (not torch.equal(module.w, torch.zeros(4))) is wrong
    assert bool(module.w.signbit().any()) is wrong
    p.remove(module, "w")
    assert bool(module.w.isnan().any()) is wrong


@BOTH
def test_a_pruned_nan_gives_no_nan_gradient(p, wrong):
    """DEV-29: the other entries keep training."""
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[float("nan"), 1.0]])
    p.custom_from_mask(layer, "weight", torch.tensor([[0.0, 1.0]]))
    out = layer(torch.ones(1, 2))
    out.square().sum().backward()
    assert bool(out.isnan()) is wrong
    assert bool(layer.weight_orig.grad.isnan().any()) is wrong


@BOTH
def test_complex_parameters_have_real_masks(p, wrong):
    """DEV-24."""
    module = nn.Module()
    module.w = nn.Parameter(torch.tensor([1 + 1j, 3j, 0.5]))
    p.l1_unstructured(module, "w", 1)
    assert module.w_mask.is_complex() is wrong
    assert module.w.tolist() == [1 + 1j, 3j, 0]


@BOTH
def test_hooks_keep_their_order(p, wrong):
    """DEV-40."""
    layer, seen = nn.Linear(4, 5), []
    layer.register_forward_pre_hook(lambda module, inputs: seen.append("first"))
    p.l1_unstructured(layer, "weight", 1)
    layer.register_forward_pre_hook(lambda module, inputs: seen.append("last"))
    p.l1_unstructured(layer, "weight", 1)
    hooks = list(layer._forward_pre_hooks.values())
    assert isinstance(hooks[2 if wrong else 1], stock.PruningContainer)


@BOTH
def test_containers_are_made_from_methods(p, wrong):
    """DEV-44: as its documentation says, and as an empty one grows."""

    def methods():
        first, second = p.L1Unstructured(1), p.L1Unstructured(2)
        first._tensor_name = second._tensor_name = "weight"
        return [first, second]

    assert fails(lambda: p.PruningContainer(methods()), AttributeError) is wrong
    grow = lambda: p.PruningContainer().add_pruning_method(methods()[0])  # noqa: E731
    assert fails(grow, AttributeError) is wrong
    if not wrong:
        assert len(p.PruningContainer(iter(methods()))) == 2


@BOTH
def test_removal_restores_the_order_of_parameters(p, wrong):
    """DEV-45: so an optimizer's state from before loads onto the right ones."""
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 4))
    before = [n for n, _ in model.named_parameters()]
    pairs = [(model[1], "weight"), (model[0], "bias"), (model[0], "weight"), (model[1], "bias")]
    p.global_unstructured(pairs[:3], p.L1Unstructured, amount=3)
    for pair in pairs[:3]:
        p.remove(*pair)
    assert ([n for n, _ in model.named_parameters()] != before) is wrong


@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=12))
def test_removal_in_any_order_restores_the_order_of_parameters(steps):
    """DEV-45."""
    module = nn.ParameterDict({n: torch.ones(2) for n in "abcd"})
    pruned_names = set()
    for removes, i in [*steps, *((True, i) for i in (2, 0, 3, 1))]:
        name = "abcd"[i]
        if not removes:
            prune.l1_unstructured(module, name, 0)
            pruned_names.add(name)
        elif name in pruned_names:
            prune.remove(module, name)
            pruned_names.remove(name)
        left = [n for n in module._parameters if not n.endswith("_orig")]
        assert left == sorted(left)
    assert list(module._parameters) == list("abcd")


@BOTH
def test_nothing_of_the_users_is_overwritten(p, wrong):
    """DEV-46."""
    layer = nn.Linear(4, 5)
    layer.weight_orig = nn.Parameter(torch.full((5, 4), 7.0))
    assert fails(lambda: p.l1_unstructured(layer, "weight", 1), ValueError) is not wrong
    assert bool((layer.weight_orig == 7).all()) is not wrong


@BOTH
def test_the_original_of_a_pruned_parameter_is_not_pruned(p, wrong):
    """DEV-47."""
    layer = pruned(p)
    assert fails(lambda: p.l1_unstructured(layer, "weight_orig", 1), ValueError) is not wrong


@BOTH
@pytest.mark.parametrize("when", ["at once", "after a forward", "after a step"])
def test_a_pruned_module_is_copied_at_any_time(p, wrong, when):
    """DEV-49."""
    layer = pruned(p)
    if when != "at once":
        layer(X).square().sum().backward()
    if when == "after a step":
        torch.optim.Adam(layer.parameters()).step()
    assert fails(lambda: deepcopy(layer), RuntimeError) is wrong
    if not wrong:
        copy = deepcopy(layer)
        assert torch.equal(copy.weight, layer.weight)
        assert copy.weight_orig is not layer.weight_orig
        copy.weight_orig.data += 1
        assert torch.equal(copy.weight, product(copy))
        assert torch.equal(layer.weight, product(layer))
        assert prune.is_pruned(prune.l1_unstructured(copy, "weight", 2))
        assert int((layer.weight_mask == 0).sum()) == 10


@BOTH
def test_a_loaded_state_is_seen_at_once(p, wrong):
    """DEV-50."""
    layer = pruned(p)
    other = {k: v + 1 if k.endswith("orig") else v for k, v in layer.state_dict().items()}
    layer.load_state_dict(other)
    assert torch.equal(layer.weight, product(layer)) is not wrong


@BOTH
@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_a_change_of_dtype_reaches_all_of_a_pruning(p, wrong, kind):
    """DEV-51."""
    layer = pruned(p).to(kind)
    assert layer.weight_mask.dtype == kind
    assert (layer.weight.dtype == kind) is not wrong
    (hook,) = layer._forward_pre_hooks.values()
    assert not [v for v in vars(hook).values() if isinstance(v, torch.Tensor)]


@BOTH
def test_a_weight_used_without_calling_its_module_is_current(p, wrong):
    """DEV-53: torch's is stale, and its second backward fails."""
    layer = pruned(p)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        F.linear(X, layer.weight, layer.bias).square().sum().backward()
        optimizer.step()

    step()
    assert torch.equal(layer.weight, product(layer)) is not wrong
    assert fails(step, RuntimeError) is wrong


@BOTH
def test_a_parameter_list_follows_its_originals(p, wrong):
    """DEV-53: a list has no forward, so torch's hook never runs."""
    weights = nn.ParameterList([torch.tensor([1.0, 2.0, 3.0])])
    p.l1_unstructured(weights, "0", 1)
    with torch.no_grad():
        getattr(weights, "0_orig").mul_(10)
    assert weights[0].tolist() == ([0, 2, 3] if wrong else [0, 20, 30])


@BOTH
def test_functional_calls_leave_the_module_untouched(p, wrong):
    """DEV-56."""
    layer = pruned(p)
    expected = layer.weight.detach().clone()
    other = {"weight_orig": layer.weight_orig.detach() + 1}
    out = torch.func.functional_call(layer, other, (X,))
    assert torch.allclose(out, F.linear(X, other["weight_orig"] * layer.weight_mask, layer.bias))
    assert torch.equal(layer.weight, expected) is not wrong


@BOTH
def test_function_transforms_leave_no_dead_tensors(p, wrong):
    """DEV-56."""
    layer = pruned(p)

    def loss(parameters, x):
        return torch.func.functional_call(layer, parameters, (x,)).square().sum()

    parameters = {n: q.detach() for n, q in layer.named_parameters()}
    grads = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, torch.rand(3, 1, 4))
    assert torch.all(grads["weight_orig"][:, layer.weight_mask == 0] == 0)
    assert torch._C._functorch.is_functorch_wrapped_tensor(layer.weight) is wrong


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8])
def test_a_mask_can_be_held_in_one_byte(kind):
    """DEV-58: torch's has the parameter's dtype; it stays so over rounds, and learns the same."""
    layer = prune.l1_unstructured(nn.Linear(4, 5), "weight", 0.3, mask_dtype=kind)
    prune.l1_unstructured(layer, "weight", 0.3)
    prune.ln_structured(layer, "weight", 1, 2, 0)
    prune.global_unstructured([(layer, "weight")], prune.L1Unstructured, amount=2)
    assert layer.weight_mask.dtype == kind
    assert torch.equal(layer.weight, product(layer))
    layer(X).sum().backward()
    assert torch.equal(layer.weight_orig.grad, layer.weight_mask.float())
    stock.remove(layer, "weight")
