"""Pools, bounds and allocations on sharded models: the masks of one process, or an error."""

from __future__ import annotations

from dataclasses import replace

import nets
import pytest
import torch
from multiprune_torch import prune
from multiprune_torch.errors import LayoutError

import multiprune

ACROSS = [
    {"scope": "tensor", "amount": 0.4},
    {"sparsity": 0.7, "keep_at_least": 0.25, "prune_at_least": {"0.*": 0.4}},
    {"amount": 60, "prune_at_most": {"2.weight": 50}},
    {"sparsity": 0.6, "allocation": "erk"},
    {"scope": {"[03].weight": "outer", "2.*": "inner"}, "amount": 0.5},
]
WITHIN = [
    {"scope": "row", "amount": 0.5},
    {"scope": "row", "sparsity": 0.7},
    {"scope": (1, 2), "exclude": "3.*"},
]


def comparable(report):
    """Without the way, and NaNs: what is pruned in place is zero, and counted as such."""
    tensors = [replace(tensor, non_finite=0) for tensor in report.tensors]
    return replace(report, way="", tensors=tensors)


def agree(cut, kind, question):
    """Prune twice, the second time on top of the first."""
    dense, model = nets.net(kind), cut(nets.net(kind))
    for _ in range(2):
        expected = prune.prune_model(dense, **question)
        found = prune.prune_model(model, **question)
        nets.check_masks(model, {n: m == 1 for n, m in nets.masks(dense).items()})
        assert comparable(found) == comparable(expected), (question, kind)


def case_pools_of_whole_tensors_are_those_of_one_process():
    for cut in nets.CUTS:
        for question in ACROSS:
            for kind in ("normal", "ties"):
                agree(cut, kind, question)


def case_rows_and_groups_that_are_whole_are_those_of_one_process():
    for cut in (nets.fsdp, nets.hsdp):
        for question in WITHIN:
            for kind in ("normal", "special"):
                agree(cut, kind, question)


def case_rows_that_are_cut_are_refused_and_nothing_changes():
    for cut in (nets.loose, nets.fsdp_and_tp):
        for question in WITHIN:
            model = cut(nets.net())
            before = {n: nets.gathered(w) for n, w in nets.weights(model).items()}
            with pytest.raises(LayoutError) as caught:
                prune.prune_model(model, **question)
            assert isinstance(caught.value, multiprune.errors.MultipruneError)
            assert "SHARD-08" in str(caught.value)
            assert "weight" in str(caught.value)
            assert not nets.masks(model)
            for name, weight in nets.weights(model).items():
                assert torch.equal(nets.gathered(weight), before[name])


def case_bounds_that_cannot_be_met_are_refused_on_all():
    for cut in nets.CUTS:
        model = cut(nets.net())
        with pytest.raises(multiprune.errors.BoundsError) as caught:
            prune.prune_model(model, sparsity=0.9, keep_at_least={"0.weight": 0.5})
        assert "0.weight" in str(caught.value)
        assert not nets.masks(model)
