"""Users' own pruning methods, on torch's base class or ours, do what they do with torch."""

from __future__ import annotations

import pytest
import torch
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock

from multiprune.errors import MaskShapeError, PruningTypeError

BASES = pytest.mark.parametrize("base", [stock.BasePruningMethod, prune.BasePruningMethod])


def methods(base):
    class Threshold(base):
        """Kept above a threshold; the mask is boolean."""

        PRUNING_TYPE = "unstructured"

        def __init__(self, threshold):
            self.threshold = threshold

        def compute_mask(self, t, default_mask):
            return t.abs() > self.threshold

    class EveryNth(base):
        """Prunes every n-th entry of what is left; has an extra keyword."""

        PRUNING_TYPE = "unstructured"

        def __init__(self, n, *, offset=0, seed=None):
            self.n, self.offset, self.seed = n, offset, seed

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[self.offset :: self.n] = 0
            return mask

        @classmethod
        def apply(cls, module, name, n, offset=0):
            return super().apply(module, name, n, offset=offset)

    class Softener(base):
        """Its mask halves weights."""

        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            return default_mask * 0.5

    class Rows(base):
        """Prunes the first rows of what is left."""

        PRUNING_TYPE = "structured"
        dim = 0

        def __init__(self, amount):
            self.amount = amount

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask[: self.amount] = 0
            return mask

    class Whole(base):
        """Sees everything, what is pruned included."""

        PRUNING_TYPE = "global"

        def compute_mask(self, t, default_mask):
            return (t != t.max()).to(default_mask.dtype) * default_mask

    return {m.__name__: m for m in (Threshold, EveryNth, Softener, Rows, Whole)}


def net():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4))


def compare(theirs, ours):
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key
        assert ours.state_dict()[key].dtype == (torch.float32 if "mask" in key else value.dtype)
    x = torch.ones(2, 6)
    assert torch.allclose(ours(x), theirs(x))


@BASES
@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [("Threshold", (0.2,), {}), ("EveryNth", (3,), {"offset": 1})],
)
def test_own_unstructured_methods_prune_globally_and_again(base, name, arguments, options):
    method, models = methods(base)[name], [net(), net()]
    names = {"Threshold": ["threshold"], "EveryNth": ["n"]}.get(name, [])
    options = {**dict(zip(names, arguments, strict=True)), **options}
    for p, model in zip((stock, prune), models, strict=True):
        pairs = [(m, "weight") for m in model]
        p.global_unstructured(pairs, method, **options)
        p.l1_unstructured(model[0], "weight", 2)
        p.global_unstructured(pairs, method, **options)
    compare(*models)


@BASES
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("EveryNth", (3,)), ("Rows", (2,)), ("Whole", ())],
)
def test_own_methods_prune_one_parameter_on_top_of_others(base, name, arguments):
    models = [net(), net()]
    for p, model in zip((stock, prune), models, strict=True):
        # A method stands on one base; torch's side of the comparison uses torch's.
        method = methods(base if p is prune else stock.BasePruningMethod)[name]
        p.ln_structured(model[0], "weight", 1, 2, 0)
        hook = method.apply(model[0], "weight", *arguments)
        assert isinstance(hook, stock.PruningContainer)
        p.l1_unstructured(model[0], "weight", 2)
        method.apply(model[1], "weight", *arguments)
    compare(*models)


@BASES
def test_an_own_mask_of_other_values_scales_as_in_torch(base):
    models = [net(), net()]
    for p, model in zip((stock, prune), models, strict=True):
        method = methods(base if p is prune else stock.BasePruningMethod)["Softener"]
        p.l1_unstructured(model[0], "weight", 5)
        p.global_unstructured([(m, "weight") for m in model], method)
        model(torch.ones(1, 6)).sum().backward()
    compare(*models)
    theirs, ours = models
    assert torch.equal(ours[0].weight_orig.grad, theirs[0].weight_orig.grad)
    for p, model in zip((stock, prune), models, strict=True):
        p.remove(model[0], "weight")
    assert torch.equal(ours[0].weight, theirs[0].weight)


@BASES
def test_own_methods_get_scores_and_only_live_entries(base):
    seen = []

    class Recorder(base):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            seen.append((t.tolist(), default_mask.tolist()))
            return torch.ones_like(default_mask)

    layer = nn.Linear(3, 1)
    prune.custom_from_mask(layer, "weight", torch.tensor([[1, 0, 1]]))
    scores = {(layer, "weight"): torch.tensor([[7.0, 8.0, 9.0]])}
    prune.global_unstructured([(layer, "weight")], Recorder, scores)
    assert seen == [([7, 9], [1, 1])]
    assert layer.weight_mask.tolist() == [[1, 0, 1]]


def test_keywords_of_ours_go_to_a_method_that_has_them():
    method = methods(prune.BasePruningMethod)["EveryNth"]
    layer = nn.Linear(6, 1)
    kinds = []

    class Typed(method):
        def __init__(self, n, mask_dtype=None):
            super().__init__(n)
            kinds.append(mask_dtype)

    prune.global_unstructured([(layer, "weight")], Typed, n=2, mask_dtype=torch.bool)
    prune.global_unstructured([(layer, "bias")], method, n=2, seed=3, mask_dtype=torch.bool)
    assert kinds == [torch.bool]
    assert layer.weight_mask.dtype == torch.float32
    assert layer.bias_mask.dtype == torch.bool


@BASES
def test_an_own_method_that_fails_or_misfits_changes_nothing(base):
    class Broken(base):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            raise ZeroDivisionError

    class Misfit(base):
        PRUNING_TYPE = "global"

        def compute_mask(self, t, default_mask):
            return default_mask[:1]

    model = net()
    prune.l1_unstructured(model[0], "weight", 5)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    pairs = [(m, "weight") for m in model]
    with pytest.raises(ZeroDivisionError):
        prune.global_unstructured(pairs, Broken)
    with pytest.raises(PruningTypeError, match="METH-02"):
        prune.global_unstructured(pairs, Misfit)
    if base is prune.BasePruningMethod:
        with pytest.raises(ZeroDivisionError):
            Broken.apply(model[0], "weight")
        with pytest.raises(MaskShapeError, match="MASK-04"):
            Misfit.apply(model[1], "weight")
    assert {k: v.tolist() for k, v in model.state_dict().items()} == {
        k: v.tolist() for k, v in before.items()
    }
    assert prune.is_pruned(model[0])


def test_a_subclass_of_a_method_of_ours_may_choose_by_itself():
    class KeepFirst(prune.L1Unstructured):
        def compute_mask(self, t, default_mask):
            mask = super().compute_mask(t, default_mask)
            mask.view(-1)[0] = 1
            return mask

    layer = nn.Linear(4, 1)
    layer.weight.data = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    KeepFirst.apply(layer, "weight", 2)
    assert layer.weight_mask.tolist() == [[1, 0, 1, 1]]
