"""Masks and reports that are written beside a checkpoint lie on nothing that is read or written."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from checkpoint_files import random_array, read, write, write_shards
from multiprune_checkpoints import OutputError, prune_checkpoint


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A file, a folder of shards, a link to each, and the outputs of earlier runs."""
    write(tmp_path / "in.safetensors", {"a": random_array((4, 4))})
    write(tmp_path / "scores.safetensors", {"a": random_array((4, 4), seed=1)})
    write_shards(tmp_path / "model", [{"a": random_array((4, 4))}, {"b": random_array((4, 4))}])
    (tmp_path / "link.safetensors").symlink_to("in.safetensors")
    (tmp_path / "shard").symlink_to("model/model-00002-of-00002.safetensors")
    shutil.copytree(tmp_path / "model", tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    return tmp_path


WRONG = {
    "input": ("in.safetensors", "x.safetensors", "in.safetensors", "is an input"),
    "link to it": ("in.safetensors", "x.safetensors", "link.safetensors", "is an input"),
    "another way to it": ("in.safetensors", "x.safetensors", "model/../in.safetensors", "input"),
    "named by a link": ("link.safetensors", "x.safetensors", "in.safetensors", "is an input"),
    "index": ("model", "out", "model/model.safetensors.index.json", "is an input"),
    "shard": ("model", "out", "model/model-00001-of-00002.safetensors", "is an input"),
    "link to a shard": ("model", "out", "shard", "is an input"),
    "output": ("in.safetensors", "x.safetensors", "model/../x.safetensors", "is the output"),
    "output in a folder": ("in.safetensors", "out", "out/in.safetensors", "is the output"),
    "in the output folder": ("model", "out", "out/m.safetensors", "in the output folder"),
    "in a new one": ("model", "new", "new/m.safetensors", "in the output folder"),
    "nowhere": ("model", "new", "x/m.safetensors", "is to lie in x, which is no folder"),
    "the name of a new one": ("model", "new", "new", "is the output"),
    "a folder": ("model", "new", "out", "is a folder"),
    "in place": ("in.safetensors", None, "in.safetensors", "is an input"),
}


@pytest.mark.parametrize("case", WRONG)
def test_masks_lie_on_nothing_else(case, places):
    source, target, path, message = WRONG[case]
    before = contents(places)
    with pytest.raises(OutputError, match=message):
        prune_checkpoint(source, target, in_place=not target, amount=0.5, save_masks=path)
    assert contents(places) == before


@pytest.mark.parametrize("case", WRONG)
def test_reports_lie_on_nothing_else(case, places):
    pytest.importorskip("cyclopts")
    source, target, path, message = WRONG[case]
    before = contents(places)
    where = ["-o", target] if target else ["--in-place"]
    words = ["prune", source, *where, "--amount", "0.5", "--report", path]
    done = subprocess.run(
        [sys.executable, "-m", "multiprune_checkpoints", *words],
        capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 2
    assert message in done.stderr
    assert contents(places) == before


def test_masks_and_report_are_two_files_and_neither_lies_on_scores(places):
    pytest.importorskip("cyclopts")
    before = contents(places)
    for more in (
        ["--report", "m.safetensors", "--save-masks", "m.safetensors"],
        ["--report", "scores.safetensors", "--importance-scores", "scores.safetensors"],
        ["--save-masks", "scores.safetensors", "--importance-scores", "scores.safetensors"],
    ):
        words = ["prune", "in.safetensors", "-o", "x.safetensors", "--amount", "0.5", *more]
        command = [sys.executable, "-m", "multiprune_checkpoints", *words]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, "is an input, or named twice" in done.stderr) == (2, True)
        assert contents(places) == before


def test_masks_lie_beside_an_output_in_a_folder_that_is_there(places):
    for _ in range(2):
        prune_checkpoint("in.safetensors", "out", amount=0.5, save_masks="out/masks.safetensors")
    assert {"in.safetensors", "masks.safetensors"} < {p.name for p in (places / "out").iterdir()}
    assert (read(places / "out" / "in.safetensors")["a"] == 0).sum() == 8


def test_masks_of_a_round_may_replace_those_of_the_one_before(places):
    for _ in range(2):
        masks = "m.safetensors"
        done = prune_checkpoint(
            "in.safetensors", in_place=True, amount=0.5, save_masks=masks,
            masks=masks if os.path.exists(masks) else None,
        )  # fmt: skip
    assert done.report.pruned == 12


@pytest.mark.parametrize("name", ["x.npz", "x.pt", "x"])
def test_an_output_that_is_named_as_another_format_is_refused(name, places):
    before = contents(places)
    with pytest.raises(OutputError, match=r"has its input's format.*\*.safetensors"):
        prune_checkpoint("in.safetensors", name, amount=0.5)
    assert contents(places) == before


def test_the_names_of_one_format_may_differ(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.from_numpy(np.ones((4, 4), "f4"))}, tmp_path / "in.pt")
    assert prune_checkpoint(tmp_path / "in.pt", tmp_path / "o.bin", amount=4).report.pruned == 4
