"""Where torch refuses ours refuses, with a class that an ``except`` written for torch catches."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock
from torch_cases import unchanged

from multiprune.errors import MultipruneError


class Layer(nn.Module):
    """Kinds of attributes: 'w' (5, 3), 'v' (15,), 'cube' (2, 3, 4), None, a buffer, a tensor."""

    def __init__(self):
        super().__init__()
        for name, shape in {"w": (5, 3), "v": (15,), "cube": (2, 3, 4)}.items():
            self.register_parameter(name, nn.Parameter(torch.rand(shape)))
        self.register_parameter("none", None)
        self.register_buffer("buffer", torch.rand(3))
        self.tensor = torch.rand(3)


def globally(*args, **kwargs):
    return lambda p, m: p.global_unstructured([(m, "w")], p.L1Unstructured, *args, **kwargs)


def pruning(parameters):
    return lambda p, m: p.global_unstructured(parameters(m), p.L1Unstructured, amount=1)


def by(method, **kwargs):
    return lambda p, m: p.global_unstructured([(m, "w")], method(p), **kwargs)


class Structured(stock.BasePruningMethod):
    PRUNING_TYPE = "structured"

    def compute_mask(self, t, default_mask):
        return default_mask


class Untyped(stock.BasePruningMethod):
    def compute_mask(self, t, default_mask):
        return default_mask


AMOUNTS = [-1, -0.1, 1.0001, 2.0, float("inf"), -float("inf"), float("nan"), 16, "1", None, [1], 1j]

REFUSED = {
    **{f"amount {a!r}": lambda p, m, a=a: p.l1_unstructured(m, "w", a) for a in AMOUNTS},
    **{f"global amount {a!r}": globally(amount=a) for a in AMOUNTS},
    **{f"channels {a!r}": lambda p, m, a=a: p.ln_structured(m, "w", a, 2, 1) for a in (4, -1, "1")},
    **{f"random {a!r}": lambda p, m, a=a: p.random_unstructured(m, "w", a) for a in (16, -1, 1.5)},
    **{f"dim {d}": lambda p, m, d=d: p.ln_structured(m, "w", 1, 2, d) for d in (2, 9, -3, -9)},
    **{f"random dim {d}": lambda p, m, d=d: p.random_structured(m, "w", 1, d) for d in (2, -3)},
    "bool amount": globally(amount=True),
    "amount missing": globally(),
    "amount twice": lambda p, m: p.l1_unstructured(m, "w", 1, amount=1),
    "unknown keyword": globally(amount=1, nonsense=3),
    "amount in third place": lambda p, m: p.global_unstructured([(m, "w")], p.L1Unstructured, 0.2),
    "nuclear norm of vectors": lambda p, m: p.ln_structured(m, "w", 1, "nuc", 0),
    "structured vector": lambda p, m: p.ln_structured(m, "v", 1, 2, 0),
    "random structured vector": lambda p, m: p.random_structured(m, "v", 1, 0),
    "no pairs": pruning(lambda m: []),
    "no pairs, tuple": pruning(lambda m: ()),
    "bare pair": pruning(lambda m: (m, "w")),
    "mapping by module": pruning(lambda m: {m: "w"}),
    "parameters()": pruning(lambda m: m.parameters()),
    "parameters": pruning(lambda m: m.parameters),
    "module": pruning(lambda m: m),
    "number": pruning(lambda m: 3),
    "named_parameters()": pruning(lambda m: m.named_parameters()),
    "missing name": pruning(lambda m: [(m, "nothing")]),
    "name no text": pruning(lambda m: [(m, 3)]),
    "no module": pruning(lambda m: [("m", "w")]),
    "None": pruning(lambda m: [(m, "none")]),
    "local None": lambda p, m: p.l1_unstructured(m, "none", 1),
    "local missing": lambda p, m: p.l1_unstructured(m, "nothing", 1),
    "buffer": lambda p, m: p.l1_unstructured(m, "buffer", 1),
    "plain tensor": lambda p, m: p.l1_unstructured(m, "tensor", 1),
    "structured type": by(lambda p: p.RandomStructured, amount=1, dim=0),
    "ln type": by(lambda p: p.LnStructured, amount=1, n=2, dim=0),
    "custom_from_mask type": by(lambda p: p.CustomFromMask, mask=torch.ones(5, 3)),
    "own structured type": by(lambda p: Structured),
    "type missing": by(lambda p: Untyped),
    "function": by(lambda p: p.l1_unstructured, amount=1),
    "text method": by(lambda p: "l1", amount=1),
    "instance": by(lambda p: p.L1Unstructured(1), amount=1),
    "abstract base": by(lambda p: p.BasePruningMethod),
    "Identity with amount": by(lambda p: p.Identity, amount=1),
    "scores a list": globally([torch.ones(5, 3)], amount=1),
    "scores of wrong total": lambda p, m: p.global_unstructured(
        [(m, "w")], p.L1Unstructured, {(m, "w"): torch.ones(5, 4)}, amount=1
    ),
    "local scores of wrong shape": lambda p, m: p.l1_unstructured(m, "w", 1, torch.ones(3, 5)),
    "remove unpruned": lambda p, m: p.remove(m, "w"),
    "remove from the parent": lambda p, m: p.remove(nn.Sequential(m), "w"),
    "container of text": lambda p, m: p.PruningContainer().add_pruning_method("w"),
}

ACCIDENTS = {"parameters()": TypeError, "no module": TypeError, "type missing": TypeError}
"""What torch stumbles over in unpacking or reading an attribute is a TypeError of ours."""


def both(case, module=Layer):
    """Return what torch raises and what ours raises; ours changes nothing."""
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - its class is what is compared
        REFUSED[case](stock, module())
    ours_module = module()
    with unchanged(ours_module), pytest.raises(Exception) as ours:  # noqa: PT011
        REFUSED[case](prune, ours_module)
    return theirs.value, ours.value


@pytest.mark.parametrize("case", REFUSED)
def test_what_torch_raises_catches_what_ours_raises(case):
    theirs, ours = both(case)
    expected = ACCIDENTS.get(case, type(theirs))
    assert isinstance(ours, expected), f"{theirs!r} != {ours!r}"


@pytest.mark.parametrize(
    "amount",
    [np.int64(3), np.uint8(3), np.float32(0.2), np.float64(0.2), Fraction(1, 5), 3, 0.2, 0, 1.0],
)
@pytest.mark.parametrize("p", [stock, prune], ids=["torch", "ours"])
def test_numbers_of_all_kinds_are_amounts(p, amount):
    layer = p.l1_unstructured(Layer(), "w", amount)
    expected = {0: 0, 1.0: 15}.get(amount, 3)
    assert int((layer.w_mask == 0).sum()) == expected


@pytest.mark.parametrize(
    ("n", "amount", "count"),
    [(n, 0.5, c) for n, c in [(1, 0), (3, 2), (5, 2), (7, 4), (9, 4), (11, 6), (15, 8)]]
    + [(10, a, c) for a, c in [(0.15, 2), (0.25, 2), (0.35, 4)]],
)
@pytest.mark.parametrize("p", [stock, prune], ids=["torch", "ours"])
def test_halves_are_rounded_to_even(p, n, amount, count):
    layer = p.l1_unstructured(nn.Linear(n, 1), "weight", amount)
    assert int((layer.weight_mask == 0).sum()) == count


@pytest.mark.parametrize("p", [stock, prune], ids=["torch", "ours"])
def test_a_fully_pruned_parameter_takes_any_fraction_and_no_count(p):
    layer = p.l1_unstructured(Layer(), "w", 1.0)
    p.global_unstructured([(layer, "w")], p.L1Unstructured, amount=0.7)
    assert not layer.w_mask.any()
    with pytest.raises(ValueError, match="0"):
        p.global_unstructured([(layer, "w")], p.L1Unstructured, amount=1)


def test_every_refusal_of_ours_can_be_caught_as_ours():
    builtin = {"amount twice", "unknown keyword", "Identity with amount", "abstract base"}
    for case in set(REFUSED) - builtin - {"container of text"}:
        _, ours = both(case)
        assert isinstance(ours, MultipruneError), f"{case}: {ours!r}"
