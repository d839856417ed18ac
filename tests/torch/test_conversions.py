"""Scripted modules in a model, and what is converted, tied or copied out after pruning."""

import copy
import pickle
import warnings

import pytest
import torch
from multiprune_torch import prune
from multiprune_torch.errors import UnprunableError, WriteError
from torch import nn
from torch.nn.utils import parametrizations

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.ao.quantization:DeprecationWarning"
)

SCRIPTED = {
    "scripted": lambda: torch.jit.script(nn.Linear(4, 4)),
    "traced": lambda: torch.jit.trace(nn.Linear(4, 4), torch.ones(1, 4)),
    "deep in it": lambda: nn.Sequential(torch.jit.script(nn.Sequential(nn.Linear(4, 4)))),
}


@pytest.fixture(params=SCRIPTED)
def model(request):
    return nn.Sequential(nn.Linear(4, 4), SCRIPTED[request.param]())


def test_a_scripted_module_is_left_out_where_it_is_excluded(model):
    report = prune.prune_model(model, sparsity=0.5, exclude="1.*")
    assert [row.name for row in report.tensors] == ["0.weight"]
    assert report.sparsity == 0.5
    prune.prune_model(model, sparsity=0.75, where=lambda name, p: name == "0.weight")
    assert prune.report(model).sparsity == 0.75
    assert prune.remove_all(model) == ["0.weight"]


def test_a_scripted_module_that_is_selected_is_refused_by_name(model):
    with pytest.raises(UnprunableError, match=r"1\..*weight.*ScriptModule.*exclude"):
        prune.prune_model(model, sparsity=0.5)
    assert not prune.is_pruned(model)
    assert "weight" in model[0]._parameters


def test_every_verb_takes_a_model_with_a_scripted_module(model, tmp_path):
    prune.prune_model(model, sparsity=0.5, exclude="1.*")
    state = copy.deepcopy(model.state_dict())
    prune.save_masks(model, tmp_path / "masks.safetensors")
    assert prune.undo(model) == ["0.weight"]
    prune.apply_masks(model, tmp_path / "masks.safetensors")
    prune.load_state_dict(model, state)
    prune.refresh_model(model)
    assert prune.report(model).sparsity == 0.5
    frozen = prune.freeze(model)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert (model[0].weight == 0).sum() == 8
    frozen.release()


def test_one_parameter_of_a_scripted_module():
    with pytest.raises(UnprunableError, match=r"torch\.jit\.script"):
        prune.l1_unstructured(torch.jit.script(nn.Linear(4, 4)), "weight", 3)


def prepare_qat(layer):
    from torch.ao.quantization import get_default_qat_qconfig, prepare_qat

    model = nn.Sequential(layer).train()
    model.qconfig = get_default_qat_qconfig("x86")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the qconfig
        prepare_qat(model)


def tie(layer):
    nn.Linear(4, 4).weight = layer.weight


def register(layer):
    nn.Module().register_parameter("weight", layer.weight)


def tie_to_it(layer):
    layer.weight = nn.Linear(4, 4).weight


def quantize(layer):
    layer.weight = nn.Parameter(layer.weight.detach().to(torch.int8), requires_grad=False)


CONVERSIONS = [
    prepare_qat,
    tie,
    register,
    tie_to_it,
    quantize,
    parametrizations.weight_norm,
    parametrizations.spectral_norm,
]


@pytest.mark.parametrize("convert", CONVERSIONS)
def test_a_conversion_fails_by_an_error_that_names_pruning(convert):
    layer = prune.l1_unstructured(nn.Linear(4, 4), "weight", 5)
    with pytest.raises(WriteError, match=r"weight.*pruned.*prune\.remove"):
        convert(layer)
    prune.remove(layer, "weight")
    convert(layer)


@pytest.mark.parametrize("value", [lambda w: w, lambda w: w.detach(), lambda w: w.data])
def test_a_parameter_is_made_of_a_pruned_value(value):
    layer = prune.l1_unstructured(nn.Linear(4, 4), "weight", 5)
    parameter = nn.Parameter(value(layer.weight))
    assert type(parameter) is nn.Parameter
    assert parameter.is_leaf
    assert parameter.requires_grad
    assert torch.equal(parameter, layer.weight)
    other = nn.Linear(4, 4)
    other.weight = parameter
    parameter.data = torch.ones(4, 4)
    assert (layer.weight == 0).sum() == 5
    for again in (copy.deepcopy(other), pickle.loads(pickle.dumps(other))):
        assert type(again.weight) is nn.Parameter
        assert again.weight.all()


def test_a_buffer_is_made_of_a_pruned_value():
    layer = prune.l1_unstructured(nn.Linear(4, 4), "weight", 5)
    other = nn.Module()
    other.kept = nn.Buffer(layer.weight.detach())
    assert "kept" in other._buffers
    other.kept.data = torch.ones(4, 4)
    assert (layer.weight == 0).sum() == 5


class Quantized(torch.Tensor):
    """A stand-in for what torchao puts in a weight's place; it knows no operation."""

    def __new__(cls, codes):
        return torch.Tensor._make_wrapper_subclass(cls, codes.shape, dtype=torch.float32)

    def __init__(self, codes):
        self.codes = codes

    def __tensor_flatten__(self):
        return ["codes"], None

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.detach.default:
            return cls(args[0].codes)
        raise NotImplementedError(func)


@pytest.mark.parametrize(
    "prunes",
    [
        lambda m: prune.l1_unstructured(m[1], "weight", 3),
        lambda m: prune.prune_model(m, sparsity=0.5),
        lambda m: prune.global_unstructured([(m[1], "weight")], prune.L1Unstructured, amount=3),
        prune.freeze,
    ],
)
def test_a_quantized_weight_is_refused_by_name(prunes):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = nn.Parameter(Quantized(torch.ones(4, 4, dtype=torch.int8)))
    with pytest.raises(UnprunableError, match=r"weight.*Quantized.*before quantization"):
        prunes(model)
    report = prune.prune_model(model, sparsity=0.5, exclude="1.*")
    assert [row.name for row in report.tensors] == ["0.weight"]


def test_the_type_of_a_pruned_value_is_a_tensors():
    layer = prune.l1_unstructured(nn.Linear(4, 4), "weight", 5)
    assert layer.weight.type() == torch.typename(layer.weight) == "torch.FloatTensor"
    assert layer.weight.type(torch.float64).dtype == torch.float64
