"""Models that hold a module twice, compute weights of parts, or have no values."""

from __future__ import annotations

import threading

import pytest
import torch
from multiprune_torch import SharedParameterWarning, prune
from multiprune_torch.errors import MaskTypeError, UnprunableError
from safetensors.torch import load_file, save_model
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils import prune as stock

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*weight_norm.*is deprecated:FutureWarning", "ignore:.*torch.jit:DeprecationWarning"
)
X = torch.ones(2, 4)


class Twice(nn.Module):
    """One module under two names."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Embedding(6, 4)
        self.encoder = nn.Module()
        self.encoder.embedding = self.shared
        self.head = nn.Linear(4, 4)


@pytest.mark.parametrize("dropped", ["shared.", "encoder.", "none of them"])
def test_a_state_names_a_module_by_any_of_its_names(dropped):
    model, fresh = Twice(), Twice()
    prune.prune_model(model, sparsity=0.5)
    state = {k: v for k, v in model.state_dict().items() if not k.startswith(dropped)}
    prune.load_state_dict(fresh, state)
    assert torch.equal(fresh.shared.weight, model.shared.weight)
    assert torch.equal(fresh.head.weight, model.head.weight)
    assert not isinstance(prune_hook(fresh.shared), stock.PruningContainer)


def prune_hook(module):
    return next(iter(module._forward_pre_hooks.values()))


def test_a_state_that_safetensors_saved_of_such_a_model(tmp_path):
    model, fresh = Twice(), Twice()
    prune.prune_model(model, sparsity=0.5)
    save_model(model, str(tmp_path / "twice.safetensors"))
    prune.load_state_dict(fresh, load_file(tmp_path / "twice.safetensors"))
    assert torch.equal(fresh.shared.weight, model.shared.weight)


@pytest.mark.parametrize("pattern", ["shared.*", "encoder.*"])
def test_any_name_of_a_module_includes_and_excludes_it(pattern):
    model = Twice()
    report = prune.prune_model(model, amount=0.5, exclude=pattern)
    assert [row.name for row in report.tensors] == ["head.weight"]
    model = Twice()
    report = prune.prune_model(model, amount=0.5, include=pattern)
    assert len(report.tensors) == 1
    assert prune.is_pruned(model.shared)


class LowRank(nn.Module):
    """A parametrization with weights of its own."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Parameter(torch.ones(4, 2)), nn.Linear(2, 4)

    def forward(self, weight):
        return weight + self.two(self.one)


def low_rank(layer):
    parametrize.register_parametrization(layer, "weight", LowRank())
    return layer


@pytest.mark.parametrize(
    "wrap",
    [
        low_rank,
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
    ],
)
def test_what_a_weight_is_computed_of_is_not_selected(wrap):
    model = nn.Sequential(wrap(nn.Linear(4, 4)), nn.Linear(4, 4))
    assert [row.name for row in prune.prune_model(model, sparsity=0.5).tensors] == ["1.weight"]


def test_two_names_in_one_module_are_told():
    module = nn.Module()
    module.a = module.b = nn.Parameter(torch.randn(4, 4))
    with pytest.warns(SharedParameterWarning, match="shared with 'b' of Module"):
        prune.global_unstructured([(module, "a")], prune.L1Unstructured, amount=8)


@pytest.mark.parametrize("is_pruned", [False, True])
def test_modules_read_older_states_by_themselves(is_pruned):
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    if is_pruned:
        prune.l1_unstructured(model[0], "weight", 4)
    older = {k: v for k, v in model.state_dict().items() if "num_batches" not in k}
    fresh = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    prune.load_state_dict(fresh, older)
    assert torch.equal(fresh[0].weight, model[0].weight)


def test_a_state_of_the_older_weight_norm():
    older, fresh = (
        nn.utils.weight_norm(nn.Linear(4, 4)),
        parametrizations.weight_norm(nn.Linear(4, 4)),
    )
    prune.load_state_dict(fresh, older.state_dict())
    assert torch.allclose(fresh.weight, older.weight)


def test_what_such_a_module_refuses_leaves_the_values_as_they_were():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = {k: v + 1 for k, v in before.items() if k != "1.running_mean"}
    with pytest.raises(RuntimeError, match="running_mean"):
        prune.load_state_dict(model, state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


USES = {
    "remove": lambda m: prune.remove(m, "weight")(X),
    "stock's remove": lambda m: stock.remove(m, "weight")(X),
    "remove_all": lambda m: prune.remove_all(m) and m(X),
    "freeze": lambda m: prune.freeze(m) and m(X),
    "apply_mask": lambda m: nn.functional.linear(X, prune_hook(m).apply_mask(m), m.bias),
    "vmap": lambda m: torch.func.vmap(m)(X),
    "functional_call": lambda m: torch.func.functional_call(m, dict(m.named_parameters()), (X,)),
    "make_fx": lambda m: make_fx(m)(X)(X),
    "trace": lambda m: torch.jit.trace(m, X)(X),
    "a later round": lambda m: prune.l1_unstructured(m, "weight", 0)(X),
    "a later structured round": lambda m: prune.ln_structured(m, "weight", 0, 2, 0)(X),
    "a later global round": lambda m: prune.prune_model(m, amount=0) and m(X),
}


@pytest.mark.parametrize("use", USES)
def test_a_mask_that_was_scaled_multiplies_wherever_it_is_read_first(use):
    layer = prune.identity(nn.Linear(4, 4), "weight")
    expected = nn.functional.linear(X, layer.weight_orig.detach() / 2, layer.bias)
    layer.weight_mask.mul_(0.5)
    torch.testing.assert_close(USES[use](layer), expected)


def test_sparse_gradients_under_transforms():
    layer, index = nn.Embedding(10, 4, sparse=True), torch.tensor([1])
    prune.l1_unstructured(layer, "weight", 20)

    def total(parameters):
        return torch.func.functional_call(layer, parameters, (index,)).sum()

    gradient = torch.func.grad(total)(dict(layer.named_parameters()))["weight_orig"]
    torch.jit.trace(layer, index)(index).sum().backward()
    for each in (gradient, layer.weight_orig.grad):
        assert each.is_sparse
        assert torch.equal(each.to_dense()[1], layer.weight_mask[1])


def test_a_generator_that_is_closed_elsewhere_leaves_nothing_cached():
    layer = prune.l1_unstructured(nn.Linear(4, 4), "weight", 4)

    def batches():
        with prune.cached():
            yield from [X] * 3

    with torch.no_grad():
        running = batches()
        next(running)
        before = layer(X)
        other = threading.Thread(target=running.close)
        other.start()
        other.join()
        layer.weight_orig.data.add_(1)
        assert not torch.equal(layer(X), before)


def test_fake_tensors_have_no_values_to_rank():
    with FakeTensorMode():
        model = nn.Linear(4, 3)
        for prunes in (
            lambda: prune.l1_unstructured(model, "weight", 3),
            lambda: prune.ln_structured(model, "weight", 1, 2, 0),
            lambda: prune.prune_model(model, sparsity=0.5),
        ):
            with pytest.raises(UnprunableError, match="fake tensor"):
                prunes()
        prune.identity(model, "weight")
        assert model(torch.ones(2, 4)).shape == (2, 3)


def test_a_mask_file_of_an_empty_parameter(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4))
    model.register_parameter("none", nn.Parameter(torch.empty(0, 3)))
    prune.prune_model(model, sparsity=0.5)
    prune.save_masks(model, tmp_path / "masks.safetensors")
    masks = prune.load_masks(tmp_path / "masks.safetensors")
    assert masks["none"].shape == (0, 3)
    prune.undo(model)
    prune.apply_masks(model, tmp_path / "masks.safetensors")
    assert prune.report(model).sparsity == 0.5


class Forgetful(prune.BasePruningMethod):
    """Its compute_mask returns nothing."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        default_mask.zero_()


def test_a_method_that_returns_no_mask_is_told():
    with pytest.raises(MaskTypeError, match="returned None for 'weight' of Linear"):
        Forgetful.apply(nn.Linear(2, 2), "weight")
