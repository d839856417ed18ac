"""Errors of calls that go astray: each names the parameter it concerns, the rule, the remedy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import parametrizations
from torch_cases import unchanged

from multiprune.errors import MultipruneError


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 5)
        diagonal = torch.arange(15).view(3, 5) % 3 > 0
        self.second = prune.custom_from_mask(nn.Linear(5, 3), "weight", diagonal)
        self.spectral = parametrizations.spectral_norm(nn.Linear(3, 3))
        self.odd = nn.Module()
        self.odd.truth = nn.Parameter(torch.ones(2, dtype=torch.bool), requires_grad=False)
        self.odd.bytes = nn.Parameter(torch.ones(2, dtype=torch.int8), requires_grad=False)
        eighths = torch.ones(2).to(torch.float8_e5m2)
        self.odd.eighths = nn.Parameter(eighths, requires_grad=False)


def pairs(net, *names):
    return [(net, name) for name in ("first.weight", *names)]


def globally(*names, **options):
    options = options or {"amount": 1}
    return lambda net: prune.global_unstructured(
        pairs(net, *names), prune.L1Unstructured, **options
    )


def scored(scores):
    return lambda net: prune.global_unstructured(
        pairs(net), prune.L1Unstructured, {(net, "first.weight"): scores}, amount=1
    )


def by(method, *args, **options):
    return lambda net: getattr(prune, method)(net.second, "weight", *args, **options)


def masked_by(mask):
    return lambda net: prune.custom_from_mask(net.second, "weight", mask)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # sparse tensors are beta
    SPARSE = torch.eye(3).to_sparse()

AT = "'weight' of Linear"
OURS = {
    # Which parameter: where it stands in a call, or its full name in a model.
    "boolean": (globally("odd.truth"), ["'truth' of Module (parameters[1])", "bool", "NUM-13"]),
    "boolean alone": (
        lambda net: prune.l1_unstructured(net.odd, "truth", 1),
        ["'truth' of Module: dtype bool", "NUM-13"],
    ),
    "mixed": (
        globally("odd.bytes", "odd.eighths"),
        ["int8 for 'bytes' of Module (parameters[1])", "float8_e5m2 for 'eighths' of", "TYPE-07"],
    ),
    "missing": (globally("second.wieght"), ["parameters[1]: Linear has no", "'wieght'", "ERR-04"]),
    "in a model": (
        lambda net: prune.prune_model(net, include="first*", amount=1, mask_dtype=3),
        [f"{AT} (first.weight)"],
    ),
    "parametrized": (
        lambda net: prune.prune_model(net, include="spectral.*", amount=1),
        ["nothing of Net is selected", "not the parts of parametrized weights", "ERR-03"],
    ),
    "scores in a model": (
        lambda net: prune.prune_model(
            net, importance_scores={"first.weight": torch.ones(3)}, include="first*", amount=1
        ),
        [f"{AT} (first.weight)", "(3,) vs (5, 4)", "SCORE-02"],
    ),
    "amount": (by("l1_unstructured", -1), [AT, "amount=-1", "AMT-10"]),
    "too many": (by("l1_unstructured", 11), [AT, "amount=11", "10 entries", "AMT-11"]),
    "too many channels": (
        by("ln_structured", 6, 2, 1),
        [AT, "amount=6", "5 channels of dim=1", "METH-06"],
    ),
    "nuclear": (by("ln_structured", 1, "nuc", 0), [AT, "'nuc'", "METH-11"]),
    "dim": (by("ln_structured", 1, 2, 7), [AT, "dim=7", "METH-08"]),
    "dim as text": (by("random_structured", 1, "0"), [AT, "dim='0'", "str", "METH-08", "dim=0"]),
    "no dim": (by("random_structured", 1, None), [AT, "dim=None", "METH-08"]),
    "one dimension": (
        lambda net: prune.ln_structured(net.second, "bias", 1, 2, 0),
        ["'bias' of Linear", "(3,)", "METH-09", "unstructured method"],
    ),
    "mask of fractions": (masked_by(torch.full((3, 5), 0.5)), [AT, "0 and 1", "MASK-03", "Scale"]),
    "mask transposed": (masked_by(torch.ones(5, 3)), [AT, "(5, 3)", "(3, 5)", "MASK-04"]),
    "mask of text": (masked_by("ones"), [AT, "'ones'", "MASK-03", "torch.ones_like"]),
    "no mask": (masked_by(None), [AT, "None", "MASK-03", "torch.ones_like"]),
    "mask on meta": (masked_by(torch.ones(3, 5, device="meta")), [AT, "values", "MASK-03"]),
    "sparse mask": (masked_by(SPARSE), [AT, "dense", "MASK-03"]),
    "seed": (by("random_unstructured", 1, seed=-1), [AT, "seed=-1", "RAND-02"]),
    "sparse scores": (scored(SPARSE), [AT, "sparse", "SCORE-08", "to_dense"]),
    "scores on meta": (scored(torch.ones(5, 4, device="meta")), [AT, "no values", "SCORE-08"]),
    **{
        f"mask_dtype {kind!r}": (
            by("l1_unstructured", 1, mask_dtype=kind),
            [AT, f"mask_dtype={kind!r}", "DEV-58", "torch.bool"],
        )
        for kind in ("bool", bool, 5, np.bool_, torch.complex64, torch.quint8)
    },
    # What was meant.
    "fraction for a method": (
        lambda net: prune.prune_model(net, 0.5),
        ["0.5", "METH-02", "amount=0.5"],
    ),
    "an instance": (
        lambda net: prune.global_unstructured(pairs(net), prune.L1Unstructured(0.5)),
        ["METH-02", "Pass the class L1Unstructured, and its arguments by name"],
    ),
    **{
        f"{verb} of a state_dict": (
            lambda net, verb=verb, options=options: getattr(prune, verb)(
                net.state_dict(), **options
            ),
            ["OrderedDict", "ERR-05", "Pass the model itself"],
        )
        for verb, options in {
            "prune_model": {"amount": 1},
            "select": {},
            "report": {},
            "remove_all": {},
            "undo": {},
            "freeze": {},
            "refresh_model": {},
            "load_state_dict": {"state_dict": {}},
        }.items()
    },
    "a path for a state": (
        lambda net: prune.load_state_dict(net, "model.pt"),
        ["'model.pt'", "DEV-50", "torch.load(path)"],
    ),
    "a checkpoint for a state": (
        lambda net: prune.load_state_dict(net, {"model": net.state_dict()}),
        ["unexpected ['model']", "DEV-50", "pass that part"],
    ),
    "a state of lists": (
        lambda net: prune.load_state_dict(net, {**net.state_dict(), "first.bias": [1.0] * 5}),
        ["no dense tensors ['first.bias ((1.0, 1.0, 1.0, 1.0, 1.0))']", "DEV-50"],
    ),
    "a state on meta": (
        lambda net: prune.load_state_dict(
            net, {k: v.to("meta") for k, v in net.state_dict().items()}
        ),
        ["no dense tensors ['first.bias (a Tensor of shape (5,))'", "DEV-50"],
    ),
    "a state of other modules": (
        lambda net: prune.load_state_dict(
            net, {"9.weight_orig": torch.ones(1), "9.weight_mask": torch.ones(1)}
        ),
        ["unexpected ['9.weight_mask', '9.weight_orig']", "DEV-50"],
    ),
    "a lazy model": (
        lambda net: prune.prune_model(nn.Sequential(nn.LazyLinear(3, bias=False)), amount=1),
        ["0.weight: 'weight' of LazyLinear", "lazy", "forward first"],
    ),
    "freezing a lazy model": (
        lambda net: prune.freeze(nn.Sequential(nn.LazyLinear(3, bias=False))),
        ["'weight' of LazyLinear", "lazy", "forward first"],
    ),
    "a parametrized weight": (
        lambda net: prune.l1_unstructured(net.spectral, "weight", 1),
        ["DEV-52", "Prune (module.parametrizations.weight, 'original')"],
    ),
    "a pruned weight normed": (
        lambda net: parametrizations.weight_norm(net.second),
        ["Linear.weight", "pruned", "prune.remove(module, 'weight')"],
    ),
    "a pruned weight deleted": (
        lambda net: delattr(net.second, "weight"),
        ["Linear.weight", "pruned", "prune.remove(module, 'weight')"],
    ),
    "removal of nothing": (
        lambda net: prune.remove([net.second], "weight"),
        ["a Linear", "(module, name) pairs", "ERR-05"],
    ),
}


@pytest.mark.parametrize("case", OURS)
def test_an_error_names_what_it_concerns_and_changes_nothing(case):
    call, texts = OURS[case]
    net = Net()
    with unchanged(net), pytest.raises(MultipruneError) as caught:
        call(net)
    for text in texts:
        assert text in str(caught.value), f"{text!r} is not in {str(caught.value)!r}"


def test_dotted_names_lead_to_modules_in_every_call():
    """DEV-14."""
    net = Net()
    prune.l1_unstructured(net, "first.weight", 3)
    scores = {(net, "first.bias"): torch.arange(5.0)}
    prune.global_unstructured(list(scores), prune.L1Unstructured, scores, amount=2)
    assert net.first.bias_mask.tolist() == [0, 0, 1, 1, 1]
    prune.remove(net, "first.weight")
    assert int((net.first.weight == 0).sum()) == 3
    with pytest.raises(AttributeError, match="'frist'"):
        prune.remove(net, "frist.weight")


def test_types_may_be_one_or_a_list():
    net = Net()
    for types in (nn.Linear, [nn.Linear], (nn.Linear, nn.Conv2d)):
        found = prune.select(net, types=types, exclude="spectral*")
        assert found == [(net.first, "weight"), (net.second, "weight")]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_pruned_module_is_scripted_after_removal():
    net = Net()
    with pytest.raises(MultipruneError, match=r"'weight' is pruned.*prune\.remove"):
        torch.jit.script(net.second)
    prune.remove(net.second, "weight")
    assert torch.equal(torch.jit.script(net.second)(torch.ones(5)), net.second(torch.ones(5)))
