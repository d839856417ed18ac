"""Whole-model verbs: select, prune, report, remove, undo, load, and what they say."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from multiprune_torch import prune
from multiprune_torch.models.tied import SharedParameterWarning
from torch import nn
from torch.nn.utils import prune as stock

from multiprune.errors import ParametersError, ScoresError, SparsityError


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 8),
        nn.Linear(8, 2),
    )


def snapshot(model: nn.Module) -> dict[str, object]:
    return {
        "state": {k: v.clone() for k, v in model.state_dict().items()},
        "parameters": [n for n, _ in model.named_parameters()],
        "hooks": [len(m._forward_pre_hooks) for m in model.modules()],
    }


def same(a: dict[str, object], b: dict[str, object]) -> bool:
    states = a["state"], b["state"]
    return (
        a["parameters"] == b["parameters"]
        and a["hooks"] == b["hooks"]
        and list(states[0]) == list(states[1])
        and all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    )


def test_weights_of_two_and_more_dimensions_are_selected_by_name_order():
    model = net()
    assert prune.select(model) == [(model[0], "weight"), (model[4], "weight"), (model[5], "weight")]
    assert prune.select(model, types=nn.Linear, exclude="5.*") == [(model[4], "weight")]
    assert prune.select(model, include=["0.*", "5.weight"], where=lambda name, p: p.dim() == 4) == [
        (model[0], "weight")
    ]
    before = prune.select(model)
    prune.prune_model(model, amount=0.5)
    assert prune.select(model) == before


def test_a_model_is_pruned_by_one_call_as_by_pairs_in_the_order_of_names():
    one, other = net(), net()
    report = prune.prune_model(one, amount=0.7)
    pairs = [(other[i], "weight") for i in (0, 4, 5)]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=0.7)
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))
    weights = torch.cat([m.weight_orig.detach().reshape(-1) for m, _ in pairs])
    masks = torch.cat([m.weight_mask.reshape(-1) for m, _ in pairs])
    assert report.threshold == float(weights[masks == 0].abs().max())
    assert report.pruned == int((masks == 0).sum())


def test_a_rising_sparsity_ends_where_it_says_and_a_falling_one_is_refused():
    model = net()
    for target in (0.25, 0.5, 0.75):
        assert prune.prune_model(model, sparsity=target).sparsity == pytest.approx(
            target, abs=0.003
        )
    before = snapshot(model)
    with pytest.raises(SparsityError, match="pruned entries stay pruned"):
        prune.prune_model(model, sparsity=0.5)
    assert same(snapshot(model), before)


def test_the_report_names_collapse_and_values_that_are_not_finite():
    model = net()
    with torch.no_grad():
        model[5].weight.mul_(1e-6)
        model[4].weight[0, :3] = float("nan")
    report = prune.prune_model(model, amount=0.5)
    assert report.collapsed == ["5.weight"]
    assert "3 not finite" in str(report)
    assert [t.non_finite for t in report.tensors] == [0, 3, 0]


def test_remove_makes_all_of_it_permanent_and_undo_takes_all_of_it_back():
    model = net()
    dense = snapshot(model)
    prune.prune_model(model, amount=0.5)
    assert prune.undo(model) == ["0.weight", "4.weight", "5.weight"]
    assert same(snapshot(model), dense)
    prune.prune_model(model, amount=0.5)
    pruned = [model[i].weight.detach().clone() for i in (0, 4, 5)]
    prune.remove_all(model)
    assert [n for n, _ in model.named_parameters()] == dense["parameters"]
    assert all(torch.equal(model[i].weight, w) for i, w in zip((0, 4, 5), pruned, strict=True))
    assert prune.remove_all(model) == prune.undo(model) == []


def test_undo_gives_the_values_as_they_are_now():
    layer = nn.Linear(4, 4)
    prune.prune_model(layer, amount=0.5)
    with torch.no_grad():
        layer.weight_orig += 1
    now = layer.weight_orig.detach().clone()
    prune.undo(layer)
    assert torch.equal(layer.weight, now)


@pytest.mark.parametrize("by", [prune, stock], ids=["ours", "torch's"])
def test_a_state_loads_whatever_is_pruned_on_either_side(by):
    pruned = net()
    by.global_unstructured(
        [(pruned[0], "weight"), (pruned[5], "weight")], by.L1Unstructured, amount=0.5
    )
    other = net()
    prune.l1_unstructured(other[4], "weight", amount=0.5)
    for target in (net(), copy.deepcopy(net()), other):
        prune.load_state_dict(target, pruned.state_dict())
        assert sorted(target.state_dict()) == sorted(pruned.state_dict())
        x = torch.randn(2, 1, 4, 4)
        assert torch.equal(target.eval()(x), pruned.eval()(x))
        prune.load_state_dict(target, net().state_dict())
        assert not prune.is_pruned(target)


def test_a_state_that_does_not_fit_changes_nothing():
    pruned = net()
    prune.prune_model(pruned, amount=0.5)
    state = pruned.state_dict()
    state["4.bias"] = torch.zeros(3)
    target = net()
    before = snapshot(target)
    with pytest.raises(RuntimeError, match=r"of other shapes \['4.bias \(3,\) for \(8,\)'\]"):
        prune.load_state_dict(target, state)
    assert same(snapshot(target), before)


def test_scores_go_by_full_name():
    model = net()
    scores = {name: torch.rand_like(model[int(name[0])].weight) for name in
              ("0.weight", "4.weight", "5.weight")}  # fmt: skip
    prune.prune_model(model, importance_scores=scores, amount=0.5)
    kept = torch.cat([s[model[int(n[0])].weight_mask == 1] for n, s in scores.items()])
    gone = torch.cat([s[model[int(n[0])].weight_mask == 0] for n, s in scores.items()])
    assert gone.max() < kept.min()
    with pytest.raises(ScoresError, match=r"the keys \['9.weight'\], which are not selected"):
        prune.prune_model(model, importance_scores={"9.weight": scores["0.weight"]}, amount=1)


def test_nothing_selected_is_an_error_that_says_how_to_widen():
    with pytest.raises(ParametersError, match="where=lambda name, p: True takes all"):
        prune.prune_model(nn.BatchNorm1d(3), amount=1)


def test_a_partner_that_nobody_listed_is_named():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    told = "'weight' of Linear, which is not among"
    with pytest.warns(SharedParameterWarning, match=told) as caught:
        prune.global_unstructured([(model[0], "weight")], prune.L1Unstructured, amount=3)
    assert caught[0].filename == __file__  # the caller's line
    prune.undo(model)
    prune.prune_model(model, amount=3)
    assert model[0].weight_mask is model[1].weight_mask
    assert int((model[1].weight == 0).sum()) == 3


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "dtype",
    [
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
        torch.float8_e5m2,
        torch.complex64,
    ],
)
def test_what_is_not_finite_is_counted_wherever_it_stands(dtype, bad):
    layer = nn.Linear(7, 5, bias=False)
    for places in ([], [0], [34], [3, 4, 20]):
        values = torch.linspace(-1, 1, 35)
        values[places] = bad
        layer.weight = nn.Parameter(values.view(5, 7).to(dtype), requires_grad=False)
        prune.global_unstructured([(layer, "weight")], prune.L1Unstructured, amount=3)
        assert prune.report(layer).tensors[0].non_finite == len(places)
        prune.undo(layer)


class Tied(nn.Module):
    def __init__(self, *, names=2):
        super().__init__()
        self.embed, self.body = nn.Embedding(40, 8), nn.Linear(8, 8)
        self.heads = nn.ModuleList(nn.Linear(8, 40, bias=False) for _ in range(names - 1))
        for head in self.heads:
            head.weight = self.embed.weight


@pytest.mark.parametrize("names", [2, 3])
def test_a_tied_weight_counts_once_in_the_report(names):
    """Once per name, 0.5 asked and done was 0.39 reported."""
    torch.manual_seed(0)
    model = Tied(names=names)
    report = prune.prune_model(model, sparsity=0.5)
    assert report.sparsity == prune.report(model).sparsity == 0.5
    assert report.size == 40 * 8 + 8 * 8
    assert [t.name for t in report.tensors] == ["embed.weight", "body.weight"]
    copy = Tied(names=names)
    prune.load_state_dict(copy, model.state_dict())  # masks of their own, and equal
    assert prune.report(copy).sparsity == 0.5


def test_tied_modules_with_masks_of_their_own_have_a_row_each():
    model = Tied()
    prune.l1_unstructured(model.embed, "weight", amount=0.5)
    assert [t.name for t in prune.report(model).tensors] == ["embed.weight"]
    prune.random_unstructured(model.heads[0], "weight", amount=0.25, seed=0)
    assert [t.name for t in prune.report(model).tensors] == ["embed.weight", "heads.0.weight"]


@pytest.mark.parametrize(
    "wrap",
    [
        torch.nn.utils.parametrizations.weight_norm,
        torch.nn.utils.parametrizations.orthogonal,
        torch.nn.utils.parametrizations.spectral_norm,
        pytest.param(
            torch.nn.utils.weight_norm, marks=pytest.mark.filterwarnings("ignore::FutureWarning")
        ),
    ],
    ids=["weight_norm", "orthogonal", "spectral_norm", "old weight_norm"],
)
def test_parts_of_a_parametrized_weight_are_not_selected(wrap):
    """A pruned norm made NaN of the outputs; of an orthogonal weight nothing was pruned."""
    model = nn.Sequential(wrap(nn.Linear(8, 8)), nn.Linear(8, 4))
    assert prune.select(model) == [(model[1], "weight")]
    assert prune.select(model, where=lambda name, p: name != "1.bias" and p.dim() > 1) == [
        (model[1], "weight")
    ]
    report = prune.prune_model(model, sparsity=0.8)
    assert [t.name for t in report.tensors] == ["1.weight"]
    assert model(torch.randn(3, 8)).isfinite().all()
