"""Every option does what the library does, and every framework reads what the command wrote."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from checkpoint_files import random_array, read, write, write_shards
from multiprune_checkpoints import load_masks
from multiprune_conformance import oracle

pytest.importorskip("cyclopts")
pytest.importorskip("rich")

COMMAND = [sys.executable, "-m", "multiprune_checkpoints"]


def run(*arguments, code=0, **options):
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stderr if code == 2 else done.stdout


def bits(array):
    return array.view(f"u{array.itemsize}")


@pytest.fixture
def tensors():
    return {
        "h.0.w": random_array((9, 8), seed=1),
        "h.1.w": random_array((8, 9), seed=2),
        "h.1.b": random_array((30,), seed=3),
        "head.w": random_array((7, 7), seed=4),
    }


def expect(path, tensors, names, **how):
    """The file holds `tensors`, those of `names` pruned as the oracle does."""
    masks = oracle.global_unstructured([tensors[n] for n in names], **how)
    found = read(path)
    assert list(found) == list(tensors)
    for name, array in tensors.items():
        keep = dict(zip(names, masks, strict=True)).get(name, np.True_)
        np.testing.assert_array_equal(bits(found[name]), np.where(keep, bits(array), 0))


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["h.0.w", "h.1.w", "head.w"]),
        (["--include", "h.*"], ["h.0.w", "h.1.w"]),
        (["--include", "h.0*", "--include", "head.w"], ["h.0.w", "head.w"]),
        (["--exclude", "h.*.w", "--exclude", "nothing"], ["head.w"]),
        (["--include", "h.*", "--exclude", "*0.w"], ["h.1.w"]),
        (["--min-ndim", "1"], ["h.0.w", "h.1.b", "h.1.w", "head.w"]),
        (["--include", "h.[01].?", "--min-ndim", "0"], ["h.0.w", "h.1.b", "h.1.w"]),
    ],
)
def test_globs_and_dimensions_choose_what_is_pruned(options, names, tensors, tmp_path):
    source = write(tmp_path / "in.safetensors", tensors)
    run("prune", source, "-o", tmp_path / "out.safetensors", "--amount", "0.6", *options)
    expect(tmp_path / "out.safetensors", tensors, names, amount=0.6)
    found = json.loads(run("inspect", source, "--json", *options))
    assert [t["name"] for t in found["tensors"] if t["selected"]] == names


def test_scores_and_signs(tensors, tmp_path):
    names = ["h.0.w", "h.1.w", "head.w"]
    scores = {n: random_array(tensors[n].shape, "float16", 9) for n in names}
    source = write(tmp_path / "in.safetensors", tensors)
    ranked = write(tmp_path / "scores.safetensors", scores)
    out, rows = tmp_path / "out.safetensors", [scores[n] for n in names]
    for signed in (False, True):
        more = ["--signed"] * signed
        name = "--scores" if signed else "--importance-scores"
        run("prune", source, "-o", out, "--amount", "99", name, ranked, *more)
        masks = oracle.global_unstructured(rows, amount=99, signed=signed)
        for name, mask in zip(names, masks, strict=True):
            kept = np.where(mask, bits(tensors[name]), 0)
            np.testing.assert_array_equal(bits(read(out)[name]), kept)


def test_rounds_go_on_from_the_masks_of_the_one_before(tensors, tmp_path):
    names = ["h.0.w", "h.1.w", "head.w"]
    source = write(tmp_path / "in.safetensors", tensors)
    first, second, out = (tmp_path / f"{n}.safetensors" for n in ("first", "second", "out"))
    arguments = ["--method", "random", "--seed", "5", "--sparsity", "0.3", "--save-masks", first]
    run("prune", source, "-o", out, *arguments)
    prior = oracle.random_unstructured([tensors[n].shape for n in names], seed=5, amount=0.3)
    assert all((load_masks(first)[n] == m).all() for n, m in zip(names, prior, strict=True))
    arguments = ["--masks", first, "--amount", "0.5", "--save-masks", second]
    run("prune", source, "-o", out, *arguments)
    expect(out, tensors, names, amount=0.5, masks=prior)
    assert run("verify", out, "--masks", first, code=1).startswith("not verified")  # other digest
    assert run("verify", out, "--masks", second).startswith("verified: 3 masks")
    assert json.loads(run("verify", out, "--masks", second, "--json"))["violations"] == {}


def test_shards_in_place(tensors, tmp_path):
    names = ["h.0.w", "h.1.w", "head.w"]
    parts = [{n: tensors[n] for n in group} for group in (["head.w"], ["h.0.w", "h.1.w", "h.1.b"])]
    index = write_shards(tmp_path / "model", parts)
    others = {p.name: p.read_bytes() for p in index.parent.iterdir() if p.suffix == ".json"}
    run("prune", tmp_path / "model", "--in-place", "--amount", "0.5")
    expect(index, {n: t for part in parts for n, t in part.items()}, names, amount=0.5)
    assert {p.name: p.read_bytes() for p in index.parent.iterdir() if p.suffix == ".json"} == others
    assert len(list(index.parent.iterdir())) == 4
    assert json.loads(run("inspect", index, "--json"))["metadata"]["format"] == "pt"


def test_inspect_as_json_has_the_sweep_ties_and_oddities(tmp_path):
    values = np.array([[1, 2, np.inf, 0], [3, -0.0, np.nan, 4]], np.float16)
    header_first = write(tmp_path / "m.safetensors", {"w": values, "n": np.arange(3)}, who="me")
    found = json.loads(run("inspect", header_first, "--at", "0.25", "--at", "0.5", "--json"))
    assert [row["sparsity"] for row in found["sweep"]] == [0.25, 0.5]
    assert [row["pruned"] for row in found["sweep"]] == [{"w": 2}, {"w": 4}]
    assert found["metadata"] == {"who": "me"}
    assert found["size"] == 11
    facts = {t["name"]: (t["zeros"], t["non_finite"], t["selected"]) for t in found["tensors"]}
    assert facts == {"w": (2, 2, True), "n": (1, None, False)}
    assert "2 non-finite" in run("inspect", header_first)


def test_tied_tensors_of_a_torch_file_are_named_and_pruned_once(tmp_path):
    torch = pytest.importorskip("torch")
    weight = torch.randn(20, 10)
    state = {"model": {"embed.weight": weight, "lm_head.weight": weight, "b": torch.ones(3)},
             "epoch": 3, "layers": [{"w": torch.randn(5, 5)}]}  # fmt: skip
    torch.save(state, tmp_path / "m.pt")
    shown = run("inspect", tmp_path / "m.pt")
    assert "tied: model.embed.weight and model.lm_head.weight are the same bytes" in shown
    shown = run("prune", tmp_path / "m.pt", "-o", tmp_path / "out.pth", "--amount", "0.6")
    assert "135 of 225 entries" in shown
    assert "tied: model.embed.weight and model.lm_head.weight" in shown
    found = torch.load(tmp_path / "out.pth", weights_only=True)
    assert found["epoch"] == 3
    embed, head = found["model"]["embed.weight"], found["model"]["lm_head.weight"]
    assert embed.data_ptr() == head.data_ptr()
    assert int((embed == 0).sum() + (found["layers"][0]["w"] == 0).sum()) == 135
    assert "layers.0.w" in shown


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
def test_an_output_has_its_inputs_format_and_its_own_framework_reads_it(suffix, tmp_path):
    array = np.random.default_rng(0).standard_normal((12, 11), np.float32)
    source, out = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    if suffix == ".npz":
        np.savez(source, w=array)
    elif suffix == ".pt":
        torch = pytest.importorskip("torch")
        torch.save({"w": torch.from_numpy(array.copy())}, source)
    else:
        write(source, {"w": array})
    run("prune", source, "-o", out, "--sparsity", "0.5")
    if suffix == ".npz":
        found = np.load(out)["w"]
    elif suffix == ".pt":
        found = torch.load(out, mmap=True, weights_only=True)["w"].numpy()
    else:
        from safetensors.numpy import load_file

        found = load_file(out)["w"]
    (mask,) = oracle.global_unstructured([array], amount=66)
    np.testing.assert_array_equal(found, np.where(mask, array, 0))
    assert "1 tensors" in run("diff", source, out, code=1)


def test_three_frameworks_agree_on_a_checkpoint(tensors, tmp_path):
    for framework in ("torch", "jax", "ml_dtypes"):
        pytest.importorskip(framework)
    tensors["half"] = random_array((6, 6), "bfloat16", 8, 5)
    source = write(tmp_path / "m.safetensors", tensors)
    shown = run("compare", source, "--sparsity", "0.7", "--backends", "numpy,torch,jax")
    assert shown.splitlines()[-1] == "identical"
    found = json.loads(run("compare", source, "--amount", "5", "--backends", "jax,torch", "--json"))
    assert found["verdict"] == "identical"
    assert len({outcome["digest"] for outcome in found["outcomes"]}) == 1


def test_a_terminal_gets_a_progress_bar_and_nobody_else(tensors, tmp_path):
    pty = pytest.importorskip("pty")
    source = write(tmp_path / "m.safetensors", {"w": random_array((1000, 1000), "bfloat16")})
    arguments = [*COMMAND, "prune", str(source), "--dry-run", "--amount", "0.5"]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "110"}
    done = subprocess.run(arguments, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            block = os.read(ours, 1 << 16)
        except OSError:  # Linux says so that the other end is closed
            break
        shown += block
        if not block:
            break
    os.close(ours)
    assert done.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "ranking" in text
    assert "██" in text
    quiet = subprocess.run(arguments, capture_output=True, text=True)
    assert quiet.stderr == ""
    assert "##" in quiet.stdout


STOPPED_EARLY = """
import os, signal, sys
from importlib import import_module
door = import_module("multiprune_checkpoints.cli.main")
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "cyclopts":
            os.kill(os.getpid(), signal.{0})
sys.meta_path.insert(0, Finder())
if {1}:
    door._fail = lambda *_: os.kill(os.getpid(), signal.{0})
door.main(["--help"])
"""


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_that_comes_while_modules_are_imported_is_no_traceback(name, twice):
    code = STOPPED_EARLY.format(name, twice)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert twice or done.stderr.startswith("multiprune: stopped")
