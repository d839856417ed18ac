"""What a pruning reports is what its output holds: empty tensors, and proofs on the way."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest
from checkpoint_files import encode, write
from multiprune_checkpoints import (
    OutputError,
    PrunedCheckpoint,
    chart_checkpoint,
    load_masks,
    load_weights,
    prune_checkpoint,
)
from multiprune_checkpoints.output import copy
from safetensors.numpy import load_file

RNG = np.random.default_rng(0)
FULL = {n: RNG.standard_normal((16, 8)).astype(np.float16) for n in ("h.weight", "m.weight")}
EMPTY = {n: np.zeros((0, 5), np.float16) for n in ("a.empty", "i.empty", "z.empty", "n.empty")}


def check(done, source, target, masks, tensors):
    kept = load_masks(masks)
    pruned = load_weights(target)
    assert done.report.sparsity == pytest.approx(0.8, abs=0.01)
    for name, values in tensors.items():
        assert np.array_equal(pruned[name], np.where(kept[name], values, 0))
    assert sum(int((array == 0).sum()) for array in pruned.values()) == done.report.pruned
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    assert set(done.inputs.values()) == {sha256}


@pytest.mark.parametrize("order", list(permutations([*list(FULL), "z.empty", "a.empty"])))
def test_empty_tensors_anywhere_do_not_hide_the_others(order, tmp_path):
    """One at the place of a weight had everything written again, dense."""
    tensors = {name: (FULL | EMPTY)[name] for name in order}
    source, target, masks = (tmp_path / n for n in ("in.safetensors", "out.safetensors", "m"))
    source.write_bytes(encode(tensors))
    done = prune_checkpoint(source, target, sparsity=0.8, save_masks=masks)
    check(done, source, target, masks, tensors)
    assert load_file(target).keys() == tensors.keys()


@pytest.mark.parametrize("kind", ["npz", "pt"])
def test_empty_tensors_of_other_formats(kind, tmp_path):
    tensors = {**EMPTY, **FULL}
    source, target, masks = tmp_path / f"in.{kind}", tmp_path / f"out.{kind}", tmp_path / "m"
    if kind == "npz":
        np.savez(source, **tensors)
    else:
        torch = pytest.importorskip("torch")
        torch.save({n: torch.from_numpy(array) for n, array in tensors.items()}, source)
    done = prune_checkpoint(source, target, sparsity=0.8, save_masks=masks)
    check(done, source, target, masks, tensors)


def test_empty_tensors_in_shards(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    parts = [{"h.weight": FULL["h.weight"], "z.empty": EMPTY["z.empty"]}]
    parts += [
        {"a.empty": EMPTY["a.empty"], "m.weight": FULL["m.weight"]},
        {"i.empty": EMPTY["i.empty"]},
    ]
    index = {}
    for i, part in enumerate(parts):
        (folder / f"{i}.safetensors").write_bytes(encode(part))
        index |= dict.fromkeys(part, f"{i}.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    done = prune_checkpoint(folder, tmp_path / "out", sparsity=0.8, save_masks=tmp_path / "m")
    pruned, kept = load_weights(tmp_path / "out"), load_masks(tmp_path / "m")
    for name, values in FULL.items():
        assert np.array_equal(pruned[name], np.where(kept[name], values, 0))
    assert done.report.pruned == sum(int((~mask).sum()) for mask in kept.values())


@pytest.mark.parametrize("fault", ["twice", "hole", "short", "masks"])
def test_a_wrong_writer_is_an_error_and_leaves_nothing(fault, tmp_path, monkeypatch):
    """The proofs see a writer that goes back, leaves something out, or miscounts."""
    source, target = write(tmp_path / "in.safetensors", FULL), tmp_path / "out.safetensors"
    blocks = copy._blocks

    def wrong(*arguments):
        steps = list(blocks(*arguments))
        last = steps[-1]
        return {"twice": [*steps, last], "hole": steps[1:], "short": steps[:-1]}[fault]

    if fault == "masks":
        plan = copy.FilePlan
        kept = plan.kept
        monkeypatch.setattr(plan, "kept", lambda *args: kept(*args) | True)
    else:
        monkeypatch.setattr(copy, "_blocks", wrong)
    with pytest.raises(OutputError, match=r"Rule: .*[Nn]othing was written"):
        prune_checkpoint(source, target, sparsity=0.8, save_masks=tmp_path / "m")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.safetensors"]


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_threshold_is_written_and_read_back(value, tmp_path):
    """JSON has no infinity: a report that held one was not read by the command that wrote it."""
    tensors = {"a": np.full((4, 4), value, np.float32)}
    source, report = write(tmp_path / "in.safetensors", tensors), tmp_path / "done.json"
    done = prune_checkpoint(source, tmp_path / "out.safetensors", amount=0.5, signed=True)
    report.write_text(done.to_json())
    strict = {"parse_constant": lambda name: pytest.fail(f"{name} is not JSON")}
    assert PrunedCheckpoint.from_dict(json.loads(report.read_text(), **strict)) == done
    json.loads(done.report.to_json(), **strict)
    pytest.importorskip("cyclopts")
    for command in (["report", str(report)], ["report", str(report), "--json"]):
        shown = subprocess.run(
            [sys.executable, "-m", "multiprune_checkpoints", *command],
            capture_output=True,
            text=True,
        )
        assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout, **strict)["sparsity"] == 0.5


@pytest.mark.parametrize("pattern", ["a b*", "a b.weight", '"quoted" *', "é *"])
def test_patterns_with_spaces_are_remembered(pattern, tmp_path):
    """Joined by spaces and split again, they meant other tensors."""
    names = ["a b.weight", '"quoted" weight', "é weight", "b.weight", "b*"]
    tensors = {name: RNG.standard_normal((8, 4)).astype(np.float32) for name in names}
    source, target = write(tmp_path / "in.safetensors", tensors), tmp_path / "out.safetensors"
    done = prune_checkpoint(source, target, amount=0.5, exclude=[pattern, "b.weight"])
    charts = chart_checkpoint(target)
    assert [t.name for t in charts.report.tensors] == [t.name for t in done.report.tensors]
    assert charts.report.size == done.report.size == 32 * 3
