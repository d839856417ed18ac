"""An error says what was given, the rule it breaks, where, and what to do; it changes nothing."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils import prune as stock
from torch_cases import unchanged

from multiprune.errors import MultipruneError


class Net(nn.Module):
    """'plain' is fine, 'bare' has no bias, 'normed' is parametrized; buffers, tensors, sparse."""

    def __init__(self):
        super().__init__()
        self.plain = nn.Linear(3, 5)
        self.bare = nn.Linear(3, 5, bias=False)
        self.normed = parametrizations.weight_norm(nn.Linear(3, 5))
        self.batch = nn.BatchNorm1d(5)
        self.taken = nn.Linear(3, 5)
        self.taken.weight_orig = nn.Parameter(torch.rand(2))
        self.masked = nn.Linear(3, 5)
        self.masked.weight_mask = "mine"
        self.lazy = nn.LazyLinear(5)
        self.pruned = prune.l1_unstructured(nn.Linear(3, 5), "weight", 5)
        self.odd = nn.Module()
        self.odd.tensor = torch.rand(3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sparse tensors are beta, some of them
            self.odd.sparse = nn.Parameter(torch.eye(3).to_sparse())
        self.odd.meta = nn.Parameter(torch.rand(3, device="meta"))
        self.odd.truth = nn.Parameter(torch.ones(3, dtype=torch.bool), requires_grad=False)


def on(path, name, **options):
    """Prune one parameter, then the same through a global call with a good one before it."""

    def local(net):
        module = net.get_submodule(path)
        prune.l1_unstructured(module, name, **{"amount": 1, **options})

    def globally(net):
        pairs = [(net.plain, "weight"), (net.get_submodule(path), name)]
        prune.global_unstructured(pairs, prune.L1Unstructured, **{"amount": 1, **options})

    return [local, globally]


def given(parameters, *args, **kwargs):
    kwargs = kwargs or {"amount": 1}
    return [
        lambda net: prune.global_unstructured(
            parameters(net), prune.L1Unstructured, *args, **kwargs
        )
    ]


def scored(scores, pairs=lambda net: [(net.plain, "weight")]):
    return [
        lambda net: prune.global_unstructured(
            pairs(net), prune.L1Unstructured, scores(net), amount=1
        )
    ]


def structured(name="weight", **options):
    return [lambda net: prune.ln_structured(net.pruned, name, **options)]


def method(kind, **options):
    return [lambda net: prune.global_unstructured([(net.plain, "weight")], kind, **options)]


PAIRS = "(module, name) pairs"
HOW = "for m in model.modules()"
CASES = {
    # 1.1: parameters
    "no pairs": (given(lambda net: []), ["no parameters", "ERR-03", "iterator used up"]),
    "a used-up iterator": (given(lambda net: iter(())), ["no parameters", "ERR-03"]),
    "a bare pair": (given(lambda net: (net.plain, "weight")), ["a Linear", PAIRS, "ERR-05", HOW]),
    "a mapping": (given(lambda net: {net.plain: "weight"}), ["a dict", PAIRS, "ERR-05", HOW]),
    "parameters()": (
        given(lambda net: net.plain.parameters()),
        ["parameters[0]", "a Parameter of shape (5, 3)", PAIRS, "ERR-05", HOW],
    ),
    "parameters": (given(lambda net: net.plain.parameters), [PAIRS, "ERR-05", HOW]),
    "a module": (given(lambda net: net.plain), ["a Linear", PAIRS, "ERR-05", HOW]),
    "named_parameters()": (
        given(lambda net: net.plain.named_parameters()),
        ["parameters[0]", "'weight'", "a Parameter of shape (5, 3)", PAIRS, HOW],
    ),
    "no module in a pair": (
        given(lambda net: [(net.plain, "weight"), ("plain", "weight")]),
        ["parameters[1]", "('plain', 'weight')", PAIRS],
    ),
    "a name that is not text": (given(lambda net: [(net.plain, 0)]), ["0", PAIRS]),
    "a triple": (given(lambda net: [(net.plain, "weight", 1)]), ["parameters[0]", PAIRS]),
    "a missing name": (
        on("plain", "wieght"),
        ["Linear", "no parameter 'wieght'", "ERR-04", "['weight', 'bias']"],
    ),
    "a missing module": (on("", "plane.weight"), ["Net", "'plane'", "DEV-14", "named_parameters"]),
    "None": (on("bare", "bias"), ["'bias' of Linear is None", "ERR-04", "bias=False", "leave"]),
    "amount in third place": (
        [
            *given(lambda net: [(net.plain, "weight")], 0.2),
            lambda net: prune.global_unstructured(
                [(net.plain, "weight")], prune.L1Unstructured, 0.2
            ),
        ],
        ["importance_scores", "float", "SCORE-08", "amount=0.2"],
    ),
    # 1.2: amounts
    **{
        f"amount {amount!r}": (on("pruned", "weight", amount=amount), texts)
        for amount, texts in {
            True: ["amount=True", "bool", "AMT-09", "amount=0.8"],
            "0.5": ["amount='0.5'", "str", "AMT-09"],
            1j: ["amount=1j", "complex", "AMT-09"],
            float("nan"): ["amount=nan", "range", "AMT-10"],
            -1: ["amount=-1", "negative", "AMT-10"],
            1.5: ["amount=1.5", "range", "AMT-10", "pass an int"],
        }.items()
    },
    "no amount": (given(lambda net: [(net.plain, "weight")], seed=None), ["amount=None", "AMT-16"]),
    "both": (on("plain", "weight", amount=1, sparsity=0.5), ["amount=1", "0.5", "AMT-16"]),
    "too many": ([on("pruned", "weight", amount=11)[0]], ["amount=11", "10 entries", "AMT-11"]),
    "an integer sparsity": (
        on("plain", "weight", amount=None, sparsity=1),
        ["sparsity=1", "AMT-15", "1.0"],
    ),
    "a sparsity below": (
        [on("pruned", "weight", amount=None, sparsity=0.1)[0]],
        ["sparsity=0.1", "5 (0.3333) are pruned", "AMT-14"],
    ),
    # 1.3: dtypes and layouts
    "bool": (on("odd", "truth"), ["bool", "NUM-13", "importance_scores"]),
    "sparse": (on("odd", "sparse"), ["'sparse' of Module", "DEV-28", "to_dense()"]),
    "meta": (on("odd", "meta"), ["'meta' of Module", "meta device", "to_empty"]),
    # 1.4: importance scores
    "scores in a list": (scored(lambda net: [1]), ["must be of type dict", "list", "SCORE-08"]),
    "scores missing": (
        scored(lambda net: {}),
        ["none for 'weight' of Linear", "SCORE-03", "pass it as its score"],
    ),
    "scores by name": (
        scored(lambda net: {(net.plain, "weight"): torch.rand(5, 3), "plain.weight": 1}),
        ["'plain.weight'", "SCORE-03", PAIRS],
    ),
    "scores transposed": (
        scored(lambda net: {(net.plain, "weight"): torch.rand(3, 5)}),
        ["'weight' of Linear", "(3, 5) vs (5, 3)", "SCORE-02"],
    ),
    "scores None": (scored(lambda net: {(net.plain, "weight"): None}), ["none for", "SCORE-03"]),
    "scores of text": (
        scored(lambda net: {(net.plain, "weight"): "large"}),
        ["'weight' of Linear", "'large'", "DEV-34"],
    ),
    "scores of objects": (
        scored(lambda net: {(net.plain, "weight"): np.full((5, 3), None)}),
        ["'weight' of Linear", "DEV-34"],
    ),
    "scores of booleans": (
        scored(lambda net: {(net.plain, "weight"): torch.ones(5, 3) > 0}),
        ["bool", "NUM-13", "A mask is not a score"],
    ),
    "local scores": (
        [lambda net: prune.l1_unstructured(net.pruned, "weight", 1, torch.rand(3, 5))],
        ["'weight' of Linear", "(3, 5) vs (5, 3)", "SCORE-02"],
    ),
    # 1.5: methods
    "a structured method": (
        method(prune.RandomStructured, amount=1, dim=0),
        ['Only "unstructured"', "RandomStructured", "'structured'", "METH-02", "L1Unstructured"],
    ),
    "a function": (method(prune.l1_unstructured, amount=1), ["l1_unstructured", "METH-02"]),
    "a method's name": (method("l1", amount=1), ["'l1'", "METH-02"]),
    "no PRUNING_TYPE": (method(nn.Linear, in_features=1, out_features=1), ["Linear", "METH-02"]),
    "nuclear": (structured(amount=1, n="nuc", dim=0), ["'nuc'", "METH-11"]),
    "an unknown norm": (structured(amount=1, n="max", dim=0), ["'max'", "METH-11"]),
    "dim above": (structured(amount=1, n=2, dim=2), ["dim=2", "METH-08"]),
    "dim below": (structured(amount=1, n=2, dim=-3), ["dim=-3", "METH-08"]),
    "one dimension": (
        structured("bias", amount=1, n=2, dim=0),
        ["(5,)", "METH-09", "unstructured method"],
    ),
    "a mask of fractions": (
        [lambda net: prune.custom_from_mask(net.pruned, "weight", torch.full((5, 3), 0.5))],
        ["other than 0 and 1", "MASK-03"],
    ),
    "a mask transposed": (
        [lambda net: prune.custom_from_mask(net.pruned, "weight", torch.ones(3, 5))],
        ["(3, 5)", "(5, 3)", "MASK-04"],
    ),
    # 1.6: modules
    "a buffer": (on("batch", "running_mean"), ["'running_mean' of BatchNorm1d", "buffer"]),
    "a plain tensor": (on("odd", "tensor"), ["'tensor' of Module", "Tensor", "DEV-52"]),
    "a parametrized weight": (
        on("normed", "weight"),
        ["'weight' of ParametrizedLinear", "parametrized", "DEV-52", "parametrizations.weight"],
    ),
    "a lazy weight": (on("lazy", "weight"), ["'weight' of LazyLinear", "lazy", "forward first"]),
    "an original": (on("pruned", "weight_orig"), ["'weight_orig'", "ERR-06", "'weight'"]),
    "a taken original": (on("taken", "weight"), ["'weight_orig'", "ERR-06", "Rename"]),
    "a taken mask": (on("masked", "weight"), ["'weight_mask'", "ERR-06", "Rename"]),
    "removal": (
        [lambda net: prune.remove(net.plain, "weight"), lambda net: prune.remove(net, "pruned")],
        ["has to be pruned", "REP-07"],
    ),
    "assignment": (
        [lambda net: setattr(net.pruned, "weight", nn.Parameter(torch.rand(5, 3)))],
        ["Linear.weight", "pruned", "REP-0", "prune.remove"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_error_names_the_rule_and_the_remedy(case):
    calls, texts = CASES[case]
    for call in calls:
        net = Net()
        with unchanged(net), pytest.raises(Exception) as caught:  # noqa: PT011
            call(net)
        assert isinstance(caught.value, MultipruneError)
        for text in texts:
            assert text in str(caught.value), f"{text!r} is not in {str(caught.value)!r}"


@pytest.mark.parametrize("case", sorted(set(CASES) - {"removal"}))
def test_torch_says_less_or_nothing(case, monkeypatch):
    """The same calls with torch's own functions: the error is obscure, or there is none."""
    calls, texts = CASES[case]
    monkeypatch.setitem(globals(), "prune", stock)
    for call in calls:
        net, said = Net(), ""
        try:
            call(net)
        except Exception as error:
            said = str(error)
        assert not all(text in said for text in texts)
