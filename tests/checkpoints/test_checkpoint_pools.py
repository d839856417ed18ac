"""Files are pruned in pools, within bounds and by allocations, as arrays are."""

from __future__ import annotations

import json

import numpy as np
import pytest
from checkpoint_files import write
from multiprune_checkpoints import open_checkpoint, prune_checkpoint
from multiprune_conformance import oracle
from safetensors.numpy import load_file

from multiprune.errors import AmountTypeError, BoundsError, ScopeError

QUESTIONS = [
    {"amount": 0.5, "scope": "tensor"},
    {"sparsity": 0.7, "scope": "row"},
    {"amount": 0.5, "scope": "row", "dim": -1},
    {"scope": (2, 4)},
    {"scope": (1, 4), "dim": 0},
    {"scope": (3, 12), "dim": 1},
    {"amount": 0.6, "scope": {"a": "one", "[b-d]": "two"}},
    {"sparsity": 0.8, "keep_at_least": 0.15},
    {"amount": 900, "keep_at_least": {"a": 700}, "prune_at_least": {"d": 0.5}},
    {"amount": 0.7, "allocation": "erk"},
    {"amount": 0.7, "allocation": {"a": 1, "*": 2.5, "b": 2.5}},
]


def tensors():
    rng = np.random.default_rng(3)
    shapes = {"a": (24, 60), "b": (4, 12, 3), "c": (0, 12), "d": (64, 12)}
    scale = {"a": 1, "b": 4, "c": 1, "d": 0.1}
    return {
        n: (rng.integers(-40, 40, s) * scale[n]).astype("f2" if n == "b" else "f4")
        for n, s in shapes.items()
    }


@pytest.mark.parametrize("block", [64, 1 << 20])
@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_pools_of_a_file_equal_the_oracle(question, block, tmp_path, monkeypatch):
    from multiprune_checkpoints.output import copy

    monkeypatch.setattr(copy, "_BLOCK", block)
    held = tensors()
    source = write(tmp_path / "in.safetensors", held)
    out, masks = tmp_path / "out.safetensors", tmp_path / "masks.safetensors"
    done = prune_checkpoint(source, out, save_masks=masks, **question)
    expected = oracle.pruned(list(held.values()), names=list(held), **question)
    written = load_file(out)
    for (name, tensor), want, row in zip(held.items(), expected, done.report.tensors, strict=True):
        assert np.array_equal(written[name], np.where(want, tensor, 0).astype(tensor.dtype))
        assert (row.name, row.pruned) == (name, int((~want).sum()))
    with open_checkpoint(out) as pruned:
        metadata = pruned.files[0].layout.header.metadata
    if "keep_at_least" in question:
        told = json.loads(metadata["multiprune.keep_at_least"])
        assert told == question["keep_at_least"]


def test_a_second_round_keeps_within_the_bounds(tmp_path):
    held = tensors()
    source, masks = write(tmp_path / "in.safetensors", held), tmp_path / "masks.safetensors"
    prune_checkpoint(source, tmp_path / "one.safetensors", sparsity=0.5, save_masks=masks)
    bounds = {"sparsity": 0.85, "keep_at_least": 0.1}
    prune_checkpoint(source, tmp_path / "two.safetensors", masks=masks, **bounds)
    first = oracle.pruned(list(held.values()), sparsity=0.5)
    second = oracle.pruned(list(held.values()), masks=first, **bounds)
    written = load_file(tmp_path / "two.safetensors")
    for (name, tensor), want in zip(held.items(), second, strict=True):
        assert np.array_equal(written[name], np.where(want, tensor, 0).astype(tensor.dtype))


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ({"scope": (2, 4), "amount": 0.5}, AmountTypeError),
        ({"scope": (2, 5)}, ScopeError),
        ({"sparsity": 0.9, "keep_at_least": 0.5}, BoundsError),
        ({"amount": 0.5, "keep_at_least": {"z*": 1}}, BoundsError),
    ],
)
def test_what_cannot_be_met_leaves_nothing_behind(question, error, tmp_path):
    source = write(tmp_path / "in.safetensors", tensors())
    with pytest.raises(error):
        prune_checkpoint(source, tmp_path / "out.safetensors", **question)
    assert [path.name for path in tmp_path.iterdir()] == ["in.safetensors"]
