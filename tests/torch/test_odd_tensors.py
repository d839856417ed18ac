"""Parameters of rare dtypes, masks of other values than 0 and 1, inference mode, shallow copies."""

from __future__ import annotations

import copy

import pytest
import torch
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock

BOTH = pytest.mark.parametrize(
    ("p", "wrong"), [(stock, True), (prune, False)], ids=["torch", "ours"]
)
WHOLE = [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64]
EIGHTHS = [torch.float8_e4m3fn, torch.float8_e5m2]


def holder(values, kind=torch.float32):
    module = nn.Module()
    module.w = nn.Parameter(torch.as_tensor(values).to(kind), requires_grad=False)
    return module


def fails(call, *expected):
    try:
        call()
    except expected:
        return True
    return False


@BOTH
@pytest.mark.parametrize("kind", [*WHOLE, *EIGHTHS])
def test_channels_of_every_dtype_have_norms(p, wrong, kind):
    """DEV-61: torch takes no norms of integers and float8."""
    module = holder([[3, 4], [5, 1], [1, 1], [6, 0]], kind)
    assert fails(lambda: p.ln_structured(module, "w", 2, 2, 0), RuntimeError) is wrong
    if not wrong:
        kept = [[0, 0], [1, 1], [0, 0], [1, 1]]
        assert module.w_mask.float().tolist() == kept
        prune.ln_structured(module, "w", 1, 1, 1)  # 11 and 1 are left
        assert module.w.float().tolist() == [[0, 0], [5, 0], [0, 0], [6, 0]]


def test_norms_of_large_integers_are_not_rounded_together():
    """DEV-61: float32 takes 2**24 and 2**24 + 1 for one number."""
    module = holder([[2**24 + 1], [2**24]], torch.int32)
    prune.ln_structured(module, "w", 1, 1, 0)
    assert module.w_mask.tolist() == [[1], [0]]


def test_booleans_have_no_norms_and_can_be_masked():
    module = holder([[True, False], [True, True]], torch.bool)
    with pytest.raises(TypeError, match="'w' of Module: dtype bool"):
        prune.ln_structured(module, "w", 1, 2, 0)
    prune.custom_from_mask(module, "w", torch.tensor([[0, 1], [1, 1]]))
    assert module.w.dtype == torch.bool
    assert module.w.tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize("kind", [*WHOLE, *EIGHTHS, torch.bfloat16, torch.complex64])
@pytest.mark.parametrize("values", [2.0, [3.0, 2.0]])
def test_every_method_every_verb_takes_every_dtype(kind, values):
    """DEV-21, DEV-24, DEV-25; a scalar, too."""
    size = torch.as_tensor(values).numel()
    for method in ("l1_unstructured", "random_unstructured", "custom_from_mask", "identity"):
        module = holder(values, kind)
        argument = {"custom_from_mask": [torch.zeros(module.w.shape)], "identity": []}
        getattr(prune, method)(module, "w", *argument.get(method, [size]))
        pruned = 0 if method == "identity" else size
        report = prune.report(module)
        assert (report.pruned, report.tensors[0].non_finite) == (pruned, 0)
        assert module.w.dtype == kind
        assert int((module.w.to(torch.complex64) == 0).sum()) == pruned
        clone = holder(values, kind)
        prune.load_state_dict(clone, module.state_dict())
        frozen = prune.freeze(clone)
        assert clone.w.dtype == kind
        assert not prune.is_pruned(clone)
        frozen.release()
        prune.undo(module)
        assert torch.equal(module.w.to(torch.complex64), holder(values, kind).w.to(torch.complex64))


def softened(p, layer):
    class Softener(p.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[:3] = torch.tensor([0.5, 2.0, -1.0])
            return mask

    Softener.apply(layer, "weight")
    return layer


def test_other_values_of_a_users_mask_stay_in_later_rounds():
    """DEV-59: as in torch such entries are neither counted nor ranked, and go on multiplying."""
    models = []
    for p in (stock, prune):
        torch.manual_seed(1)
        layer = softened(p, nn.Linear(4, 5))
        p.l1_unstructured(layer, "weight", 4)
        p.random_unstructured(layer, "weight", 2)
        p.custom_from_mask(layer, "weight", torch.arange(20).view(5, 4) % 7 > 0)
        p.ln_structured(layer, "weight", 1, 2, 0)
        layer(torch.ones(1, 4))
        models.append(layer)
    theirs, ours = models
    assert torch.equal(ours.weight_mask, theirs.weight_mask)
    assert torch.equal(ours.weight, theirs.weight)
    kept = ours.weight_mask == 1
    before = ours.weight_mask.clone()
    prune.global_unstructured([(ours, "weight")], prune.L1Unstructured, amount=3)
    assert torch.equal(ours.weight_mask[~kept], before[~kept])
    assert int((ours.weight_mask == 1).sum()) == int(kept.sum()) - 3


@pytest.mark.parametrize("how", ["load_state_dict", "prune.load_state_dict", "assign", "by hand"])
@pytest.mark.parametrize("grown", [1, 2])
def test_a_loaded_mask_of_other_values_multiplies(how, grown):
    """DEV-59: torch scales by whatever its mask holds; a mask of 0 and 1 chooses again."""
    source = softened(stock, nn.Linear(4, 5))
    state = {k: v.detach().clone() for k, v in source.state_dict().items()}
    layer = nn.Linear(4, 5).eval()
    if how != "prune.load_state_dict":
        for _ in range(grown):
            prune.identity(layer, "weight")
    for values in (state, prune.identity(nn.Linear(4, 5), "weight").state_dict(), state):
        with torch.no_grad():
            layer(torch.ones(1, 4))  # what is read now may not be read again
            if how == "by hand":
                for key, value in layer.state_dict().items():
                    value.copy_(values[key])
                prune.refresh_model(layer)
            elif how == "prune.load_state_dict":
                prune.load_state_dict(layer, values)
            else:
                layer.load_state_dict(values, assign=how == "assign")
            expected = values["weight_orig"] * values["weight_mask"]
            assert torch.equal(layer.weight, expected)
        assert torch.equal(copy.deepcopy(layer).weight, expected)
        assert torch.equal(layer.weight, expected)
    prune.remove(layer, "weight")
    assert torch.equal(layer.weight, expected)
    assert not layer._load_state_dict_post_hooks


VERBS = {
    "l1": lambda m: prune.l1_unstructured(m[0], "weight", 3),
    "channels": lambda m: prune.ln_structured(m[0], "weight", 1, 2, 0),
    "random channels": lambda m: prune.random_structured(m[0], "weight", 1, 0),
    "mask": lambda m: prune.custom_from_mask(m[0], "weight", torch.ones(5, 4)),
    "identity": lambda m: prune.identity(m[0], "weight"),
    "model": lambda m: prune.prune_model(m, amount=3),
    "remove": lambda m: (prune.prune_model(m, amount=3), prune.remove(m[0], "weight")),
    "remove_all": lambda m: (prune.prune_model(m, amount=3), prune.remove_all(m)),
    "undo": lambda m: (prune.prune_model(m, amount=3), prune.undo(m)),
    "freeze": lambda m: (prune.prune_model(m, amount=3), prune.freeze(m)),
}


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_pruned_in_inference_mode_trains_afterwards(verb):
    """DEV-60."""
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2))
    optimizer = torch.optim.Adam(model.parameters())
    with torch.inference_mode():
        VERBS[verb](model)
        model(torch.ones(1, 4))
    zeros = model[0].weight == 0
    for _ in range(2):
        x = torch.ones(1, 4, requires_grad=True)  # so that weights are saved for its gradient
        model(x).square().sum().backward()
        optimizer.step()
    assert (not zeros.any()) is (verb in ("identity", "mask", "undo"))
    if not verb.startswith("remove"):
        assert bool((model[0].weight[zeros] == 0).all())
    model.load_state_dict(copy.deepcopy(model).state_dict())


def test_torch_cannot_train_what_it_pruned_in_inference_mode():
    """DEV-60."""
    layer = nn.Linear(4, 5)
    with torch.inference_mode():
        stock.l1_unstructured(layer, "weight", 3)
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved"):
        layer(torch.ones(1, 4))


@pytest.mark.parametrize("p", [stock, prune], ids=["torch", "ours"])
def test_a_shallow_copy_with_parameters_of_its_own_uses_them(p):
    layer = p.l1_unstructured(nn.Linear(4, 5), "weight", 3)
    twin = copy.copy(layer)
    twin._parameters = {n: nn.Parameter(q.detach() * 2) for n, q in layer._parameters.items()}
    out = twin(torch.ones(1, 4))
    assert torch.equal(out, 2 * layer(torch.ones(1, 4)))
    assert torch.equal(twin.weight, 2 * layer.weight)
    assert torch.equal(copy.copy(layer)(torch.ones(1, 4)), layer(torch.ones(1, 4)))
    assert copy.copy(layer)._buffers is layer._buffers
