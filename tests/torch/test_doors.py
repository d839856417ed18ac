"""Doors of the torch backend: bad input by name, exported errors, masks read and applied."""

from __future__ import annotations

import multiprune_torch
import numpy as np
import pytest
import torch
from multiprune_torch import prune
from torch import nn

import multiprune
from multiprune import errors


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4))


KEPT = torch.rand(6, 8, generator=torch.Generator().manual_seed(1)) > 0.5

CASES = {
    "where": (lambda m: prune.select(m, where="a"), errors.ParametersTypeError, "where='a'"),
    "types": (lambda m: prune.select(m, types="Linear"), errors.ParametersTypeError, "types='Lin"),
    "an instance for a type": (
        lambda m: prune.prune_model(m, amount=1, types=m[0]),
        errors.ParametersTypeError,
        "types=Linear",
    ),
    "include": (
        lambda m: prune.prune_model(m, amount=1, include=3),
        errors.ParametersTypeError,
        "include=3",
    ),
    "exclude": (
        lambda m: prune.prune_model(m, amount=1, exclude=[nn.Linear]),
        errors.ParametersTypeError,
        "exclude=",
    ),
    "name for a method": (
        lambda m: prune.prune_model(m, "Random", amount=1),
        errors.PruningTypeError,
        "'Random'",
    ),
    "list of masks": (
        lambda m: prune.apply_masks(m, [KEPT]),
        multiprune_torch.MaskTypeError,
        "masks is a list",
    ),
    "outcome for masks": (
        lambda m: prune.apply_masks(m, {0: KEPT}),
        errors.MaskError,
        "not given by name",
    ),
    "list for a mask": (
        lambda m: prune.apply_masks(m, {"0.weight": "no mask"}),
        multiprune_torch.MaskTypeError,
        "mask is",
    ),
    "values": (
        lambda m: prune.apply_masks(m, {"0.weight": torch.full((6, 8), 2.0)}),
        errors.MaskError,
        "other values in 0.weight",
    ),
    "shape": (
        lambda m: prune.apply_masks(m, {"0.weight": KEPT, "2.weight": KEPT}),
        errors.MaskError,
        "shape",
    ),
    "no such layer": (
        lambda m: prune.apply_masks(m, {"0.weight": KEPT, "5.weight": KEPT}),
        errors.MaskError,
        "5.weight",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_names_its_parameter_and_changes_nothing(case):
    call, error, words = CASES[case]
    net = model()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(error, match=words) as caught:
        call(net)
    assert isinstance(caught.value, multiprune.MultipruneError)
    assert "Rule: " in str(caught.value)
    after = net.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_masks_are_read_and_applied_by_two_verbs(tmp_path):
    one, other, third = model(), model(), model()
    prune.prune_model(one, amount=0.6)
    prune.save_masks(one, tmp_path / "masks")
    masks = prune.load_masks(tmp_path / "masks")
    assert list(masks) == ["0.weight", "2.weight"]
    assert all(mask.dtype == torch.bool for mask in masks.values())
    assert torch.equal(masks["0.weight"], one[0].weight_mask == 1)
    assert prune.apply_masks(other, tmp_path / "masks") == list(masks)
    assert prune.apply_masks(third, masks) == list(masks)
    for net in (other, third):
        assert torch.equal(net[2].weight, one[2].weight)
        assert torch.equal(net[2].weight_mask, one[2].weight_mask)
    prune.apply_masks(third, {"0.weight": KEPT.numpy().astype(np.uint8)})  # on top
    assert torch.equal(third[0].weight_mask == 1, masks["0.weight"] & KEPT)


def test_old_names_go_on_with_a_warning(tmp_path):
    one, other = model(), model()
    with pytest.warns(DeprecationWarning, match="pruning_method= is called method= now"):
        prune.prune_model(one, pruning_method=prune.L1Unstructured, amount=0.6)
    prune.save_masks(one, tmp_path / "masks")
    with pytest.warns(DeprecationWarning, match="is called apply_masks") as told:
        assert prune.load_masks(other, tmp_path / "masks") == ["0.weight", "2.weight"]
    assert told[0].filename == __file__
    assert torch.equal(other[0].weight, one[0].weight)
    with pytest.raises(TypeError, match=r"apply_masks\(model, path\)"):
        prune.load_masks(tmp_path / "masks", one)


@pytest.mark.parametrize("package", ["multiprune", "multiprune_torch", "multiprune_jax"])
def test_every_error_is_exported_where_it_is_raised(package):
    module = pytest.importorskip(package)
    for name in (*errors.__all__, "MaskFileError"):
        assert name in module.__all__
        assert issubclass(getattr(module, name), multiprune.MultipruneError)
    if package == "multiprune_torch":
        for name in ("LayoutError", "RandomSeedWarning", "SharedParameterWarning", "UndoError"):
            assert name in module.__all__
            assert issubclass(getattr(module, name), Exception)


def test_a_method_of_the_users_takes_options_of_its_own():
    class Rows(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def __init__(self, scope, dim=None, amount=3):
            self.asked = scope, dim, amount

        def compute_mask(self, t, default_mask):
            assert self.asked == ("mine", 1, 3)
            mask = default_mask.clone()
            mask.view(-1)[:2] = 0
            return mask

    net = model()
    prune.global_unstructured([(net[0], "weight")], Rows, scope="mine", dim=1)
    assert int((net[0].weight_mask == 0).sum()) == 2
