"""What a pruned module looks like, and who can work on it, is as with torch.nn.utils.prune."""

from __future__ import annotations

import inspect

import pytest
import torch
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock

BOTH = pytest.mark.parametrize("p", [stock, prune], ids=["torch", "ours"])
PUBLIC = [n for n in vars(stock) if n[0] != "_" and inspect.getmodule(getattr(stock, n)) is stock]
HELPERS = [n for n in vars(stock) if n.startswith(("_validate", "_compute"))]


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


@pytest.mark.parametrize("name", [*PUBLIC, *HELPERS])
def test_every_name_has_torchs_parameters_first_and_in_order(name):
    theirs, ours = getattr(stock, name), getattr(prune, name)

    def names(function):
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        parameters = inspect.signature(function).parameters.values()
        return [p.name for p in parameters if p.kind not in kinds]

    assert names(ours)[: len(names(theirs))] == names(theirs)
    if isinstance(theirs, type):
        assert issubclass(ours, theirs)
        assert ours.__name__ == theirs.__name__
        assert getattr(ours, "PRUNING_TYPE", None) == getattr(theirs, "PRUNING_TYPE", None)
        for method in ("apply", "prune", "remove", "compute_mask", "apply_mask"):
            wanted = names(getattr(theirs, method))
            assert names(getattr(ours, method))[: len(wanted)] == wanted
        assert issubclass(ours, prune.BasePruningMethod)


def test_state_dicts_have_torchs_keys_order_dtypes_and_values():
    theirs, ours = rounds(net(), stock).state_dict(), rounds(net(), prune).state_dict()
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        assert ours[key].dtype == value.dtype
        assert torch.equal(ours[key], value)
    model = rounds(net(), prune)
    assert [n for n, _ in model.named_parameters()] == [
        n for n, _ in rounds(net(), stock).named_parameters()
    ]
    assert [n for n, _ in model.named_buffers()] == [
        n for n, _ in rounds(net(), stock).named_buffers()
    ]


def test_hooks_have_torchs_number_types_and_containers():
    shapes = []
    for p in (stock, prune):
        model = rounds(net(), p)
        assert not model._forward_pre_hooks
        shapes.append([])
        for module in (model[0], model[3]):
            hooks = module._forward_pre_hooks.values()
            for hook in sorted(hooks, key=lambda h: h._tensor_name):
                held = list(hook) if isinstance(hook, stock.PruningContainer) else [hook]
                assert all(isinstance(h, stock.BasePruningMethod) for h in [hook, *held])
                names = [(type(h).__name__, h._tensor_name) for h in [hook, *held]]
                shapes[-1].append(names)
    assert shapes[0] == shapes[1]
    container = shapes[1][-1]
    assert [name for name, _ in container] == [
        "PruningContainer",
        "CustomFromMask",
        "LnStructured",
        "L1Unstructured",
        "CustomFromMask",
    ]
    last = next(iter(model[0]._forward_pre_hooks.values()))
    assert len(last) == 2
    assert isinstance(last[1], prune.CustomFromMask)


@BOTH
def test_return_values(p):
    layer = nn.Linear(4, 5)
    assert p.global_unstructured([(layer, "bias")], p.L1Unstructured, amount=1) is None
    assert p.identity(layer, "weight") is layer
    assert p.random_unstructured(layer, "weight", 1) is layer
    assert p.l1_unstructured(layer, "weight", 1) is layer
    assert p.random_structured(layer, "weight", 1, 0) is layer
    assert p.ln_structured(layer, "weight", 1, 2, 0) is layer
    assert p.custom_from_mask(layer, "weight", torch.ones(5, 4)) is layer
    assert p.remove(layer, "weight") is layer
    first = p.L1Unstructured.apply(layer, "weight", 2)
    assert type(first) is p.L1Unstructured
    second = p.L1Unstructured.apply(layer, "weight", 2)
    assert type(second) is p.PruningContainer
    assert next(iter(second)) is first


@BOTH
def test_every_kind_of_iterable_of_pairs_is_taken(p):
    def kinds(model):
        listed = pairs(model)
        yield listed
        yield tuple(listed)
        yield dict.fromkeys(listed)
        yield {model[0]: "weight", model[3]: "weight"}.items()
        yield set(listed)
        yield [list(pair) for pair in listed]

    for i in range(6):
        model = net()
        p.global_unstructured(list(kinds(model))[i], p.L1Unstructured, amount=7)
        assert sum(int((b == 0).sum()) for b in model.buffers()) == 7


@BOTH
@pytest.mark.parametrize("amount", [0, 0.0, -0.0, 1e-12])
def test_an_amount_of_nothing_reparametrizes(p, amount):
    layer = p.l1_unstructured(nn.Linear(4, 5), "weight", amount)
    assert p.is_pruned(layer)
    assert layer.weight_mask.min() == 1


@BOTH
def test_empty_and_zero_dimensional_parameters_take_part(p):
    module = nn.Module()
    module.empty = nn.Parameter(torch.ones(0, 3))
    module.single = nn.Parameter(torch.tensor(-0.5))
    module.row = nn.Parameter(torch.tensor([1.0, 2.0]))
    listed = [(module, n) for n in ("empty", "single", "row")]
    p.global_unstructured(listed, p.L1Unstructured, amount=1)
    assert (module.empty_mask.shape, module.single_mask.item()) == ((0, 3), 0)
    assert module.row_mask.tolist() == [1, 1]


@BOTH
def test_a_nan_is_the_largest(p):
    module = nn.Module()
    module.w = nn.Parameter(torch.tensor([float("nan"), 3.0, float("inf"), -1.0]))
    p.l1_unstructured(module, "w", 3)
    assert module.w_mask.tolist() == [1, 0, 0, 0]


@BOTH
def test_after_removal_zeros_are_picked_again(p):
    layer = p.l1_unstructured(nn.Linear(10, 1), "weight", 0.5)
    p.remove(layer, "weight")
    p.l1_unstructured(layer, "weight", 0.5)
    assert int((layer.weight == 0).sum()) == 5


@BOTH
def test_identity_prunes_globally_with_masks_of_ones(p):
    model = net()
    p.global_unstructured(pairs(model), p.Identity)
    assert all(bool(mask.all()) for mask in model.buffers())
    assert isinstance(next(iter(model[0]._forward_pre_hooks.values())), stock.CustomFromMask)


@BOTH
def test_scores_need_no_grad_and_may_be_halves_or_integers(p):
    for kind in (torch.float16, torch.int64, torch.float64):
        layer = nn.Linear(3, 2)
        scores = torch.tensor([[5, 1, 4], [2, 6, 3]]).to(kind)
        scores.requires_grad_(kind.is_floating_point)
        table = {(layer, "weight"): scores}
        p.global_unstructured(list(table), p.L1Unstructured, importance_scores=table, amount=2)
        assert layer.weight_mask.tolist() == [[1, 0, 1], [0, 1, 1]]
        assert layer.weight_mask.dtype == torch.float32
