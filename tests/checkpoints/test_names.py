"""The public names: all of them there, old ones with a warning, patterns as a string or several."""

from __future__ import annotations

import multiprune_checkpoints
import multiprune_numpy
import numpy as np
import pytest
from multiprune_checkpoints import (
    chart_checkpoint,
    inspect_checkpoint,
    load_weights,
    prune_checkpoint,
)
from safetensors.numpy import save_file

from multiprune import L1Unstructured, LnStructured, RandomUnstructured
from multiprune.errors import ParametersTypeError, PruningTypeError


def test_every_public_name_is_there_and_no_other():
    for name in multiprune_checkpoints.__all__:
        assert getattr(multiprune_checkpoints, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'compress'"):
        multiprune_checkpoints.compress  # noqa: B018


@pytest.mark.parametrize("name", sorted(multiprune_numpy._MOVED))
def test_a_name_that_has_moved_is_found_with_a_warning(name):
    new = multiprune_numpy._MOVED[name]
    with pytest.warns(DeprecationWarning, match=f"is multiprune_checkpoints.{new} now"):
        found = getattr(multiprune_numpy, name)
    assert found is getattr(multiprune_checkpoints, new)


@pytest.fixture
def model(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "model.safetensors"
    tensors = {n: rng.standard_normal((4, 4), np.float32) for n in ("head", "body", "d", "e")}
    save_file(tensors, path)
    return path


@pytest.mark.parametrize("exclude", ["head", ["head"], ("head",), iter(["head"])])
def test_a_pattern_is_a_string_or_several(model, tmp_path, exclude):
    """Read letter by letter, "head" would leave out d and e, and prune the head."""
    kept = {"body", "d", "e"}
    if isinstance(exclude, str | list):
        assert load_weights(model, exclude=exclude).keys() == kept
        assert load_weights(model, include=exclude).keys() == {"head"}
        rows = inspect_checkpoint(model, exclude=exclude).tensors
        assert {row.name for row in rows if row.selected} == kept
    done = prune_checkpoint(model, tmp_path / "pruned.safetensors", amount=0.5, exclude=exclude)
    assert {tensor.name for tensor in done.report.tensors} == kept


@pytest.mark.parametrize("patterns", [3, [3], None, b"head", {"head": 1}])
@pytest.mark.parametrize("parameter", ["include", "exclude"])
def test_other_patterns_are_refused_by_name(model, tmp_path, parameter, patterns):
    with pytest.raises(ParametersTypeError, match=rf"{parameter}=.*Rule: {parameter} is a shell"):
        prune_checkpoint(model, tmp_path / "out", amount=0.5, **{parameter: patterns})
    with pytest.raises(ParametersTypeError, match=parameter):
        load_weights(model, **{parameter: patterns})


@pytest.mark.parametrize("method", ["Random", "l2", LnStructured, L1Unstructured(0.5), 3, None, []])
def test_another_method_is_refused(model, tmp_path, method):
    """Once "Random" pruned by magnitude, and the report said Random."""
    with pytest.raises(PruningTypeError, match=r"method=.*METH-01.*importance_scores"):
        prune_checkpoint(model, tmp_path / "out", amount=0.5, method=method, seed=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("one", "other"), [("l1", L1Unstructured), ("random", RandomUnstructured)])
def test_a_method_goes_by_its_class_or_its_name(model, tmp_path, one, other):
    pruned = [
        prune_checkpoint(model, tmp_path / f"{i}.safetensors", amount=0.5, method=method, seed=1)
        for i, method in enumerate((one, other))
    ]
    assert (
        pruned[0].provenance["multiprune.masks.sha256"]
        == pruned[1].provenance["multiprune.masks.sha256"]
    )
    assert pruned[0].report.method == other.__name__


def test_scores_by_their_old_name(model, tmp_path):
    options = {"amount": 0.5, "dry_run": True}
    with pytest.warns(DeprecationWarning, match="scores= is called importance_scores= now"):
        old = prune_checkpoint(model, scores=model, **options)
    new = prune_checkpoint(model, importance_scores=model, **options)
    assert old.provenance == new.provenance


def test_a_name_with_the_characters_of_patterns_means_itself(tmp_path):
    arrays = {n: np.ones((2, 2), "f4") for n in ("layer[0].weight", "layer[1].weight", "b")}
    path = tmp_path / "in.safetensors"
    save_file(arrays, path)

    def ranked(**asked):
        done = prune_checkpoint(path, dry_run=True, amount=1, **asked)
        return [t.name for t in done.report.tensors]

    assert ranked(include=["layer[0].weight", "b"]) == ["b", "layer[0].weight"]
    assert ranked(exclude="layer[0].weight") == ["b", "layer[1].weight"]
    assert ranked(include="layer[[][0-9]].weight") == ["layer[0].weight", "layer[1].weight"]
    charts = chart_checkpoint(path, tensors=["layer[1].weight"])
    assert [m.name for m in charts.maps] == ["layer[1].weight"]
