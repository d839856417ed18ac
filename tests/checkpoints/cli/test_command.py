"""The command as a user meets it: what it prints, what it leaves, and its exit code."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from checkpoint_files import random_array, raw_file, read, write

pytest.importorskip("cyclopts")
pytest.importorskip("rich")

COMMAND = [sys.executable, "-m", "multiprune_checkpoints"]


def run(*arguments, code=0, **options):
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    if code == 2:
        assert done.stderr.startswith("multiprune: ")
        assert done.stdout == ""
    return done.stderr if code == 2 else done.stdout


@pytest.fixture
def model(tmp_path):
    tensors = {
        "layers.2.weight": random_array((30, 40), "bfloat16", 1, 50),
        "layers.10.weight": random_array((20, 20), "bfloat16", 2, 50),
        "norm": random_array((40,), "bfloat16", 3),
    }
    return write(tmp_path / "model.safetensors", tensors)


def test_help_is_there_at_once_and_loads_nothing_heavy():
    for arguments in ([], ["prune"], ["inspect"], ["diff"], ["verify"], ["report"]):
        assert "Usage: multiprune" in run(*arguments, "--help")
    code = (
        "import sys, multiprune_checkpoints.cli\n"
        "try: multiprune_checkpoints.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'torch', 'jax', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_walk_through_all_commands(model, tmp_path):
    out, masks, report = (tmp_path / n for n in ("out.safetensors", "m.safetensors", "r.json"))
    shown = run("inspect", model, "--sweep")
    assert "layers.10.weight" in shown
    assert "30x40" in shown
    assert re.search(r"tensor +50\.00 % +80\.00 % +90\.00 % +95\.00 %", shown)
    shown = run("prune", model, "-o", out, "--amount", "0.8", "--save-masks", masks,
                "--report", report)  # fmt: skip
    assert "1,280 of 1,600 entries pruned (80.00 %)" in shown
    assert shown.index("layers.2.weight") < shown.index("layers.10.weight")  # as the network runs
    written = json.loads(report.read_text())
    assert written["report"]["pruned"] == 1280
    assert written["inputs"] == {
        "model.safetensors": hashlib.sha256(model.read_bytes()).hexdigest()
    }
    assert "1 of 3 tensors are the same" in run("diff", model, out, code=1)
    assert run("diff", out, out).startswith("3 of 3")
    assert run("verify", out, "--masks", masks).startswith("verified: 2 masks")
    assert "not verified" in run("verify", model, "--masks", masks, code=1)
    shown = run("report", out)
    assert "1,28" in shown
    scalars = json.loads(run("report", out, "--json"))
    assert scalars["sparsity/layers.10.weight"] > 0.5
    assert json.loads(run("diff", model, out, "--json", code=1))["same"] is False
    assert json.loads(run("verify", out, "--masks", masks, "--json"))["ok"] is True
    assert json.loads(run("inspect", out, "--json"))["metadata"]["multiprune.count"] == "1280"


def test_an_amount_of_digits_is_a_count_and_any_other_a_fraction(model):
    for amount, pruned in (("1", 1), ("1.0", 1600), ("0.5", 800), ("0", 0), ("1e-2", 16)):
        done = json.loads(run("prune", model, "--dry-run", "--amount", amount, "--json"))
        assert done["report"]["pruned"] == pruned


def test_in_place_and_dry_run(model, tmp_path):
    before = model.read_bytes()
    run("prune", model, "--dry-run", "--sparsity", "0.5", "--save-masks", tmp_path / "m")
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]
    assert model.read_bytes() == before
    run("prune", model, "--in-place", "--sparsity", "0.5")
    assert sum(int((a.view("u2") == 0).sum()) for a in read(model).values()) >= 800
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "requires an argument"),
        (["MODEL"], "no output was named"),
        (["MODEL", "-o", "x.safetensors"], "AMT-16"),
        (["MODEL", "-o", "x.safetensors", "--amount", "0.5", "--sparsity", "0.5"], "AMT-16"),
        (["MODEL", "-o", "x.safetensors", "--amount", "1.5"], "AMT-10"),
        (["MODEL", "-o", "x.safetensors", "--amount", "nan"], "AMT-10"),
        (["MODEL", "-o", "x.safetensors", "--amount", "5000"], "AMT-11"),
        (["MODEL", "-o", "x.safetensors", "--amount", "half"], "Invalid value"),
        (["MODEL", "-o", "x.safetensors", "--amount", "0.5", "--method", "random"], "RAND-02"),
        (["MODEL", "-o", "x.safetensors", "--amount", "0.5", "--min-ndim", "1.5"], "Invalid"),
        (["MODEL", "-o", "x.safetensors", "--amount", "0.5", "--include", "z*"], "matches none"),
        (["MODEL", "-o", "MODEL", "--amount", "0.5"], "is the input"),
        (["MODEL", "-o", "x", "--in-place", "--amount", "0.5"], "one of them"),
        (["missing.safetensors", "-o", "x", "--amount", "0.5"], "No such file"),
        (["MODEL", "-o", "no/such/folder/x.safetensors", "--amount", "0.5"], "No such file"),
        (["MODEL", "-o", "x.safetensors", "--amount", "0.5", "--masks", "MODEL"], "FILE-06"),
        (["MODEL", "--bogus"], "bogus"),
    ],
)
def test_mistakes_are_named_with_exit_code_2(arguments, message, model, tmp_path):
    given = [str(model) if word == "MODEL" else word for word in arguments]
    before = model.read_bytes()
    assert message in run("prune", *given, code=2, cwd=tmp_path)
    assert model.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("verb", ["inspect", "report", "diff", "verify", "prune"])
def test_a_damaged_file_is_one_line_with_exit_code_2(verb, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(raw_file(b'{"a":1}', b"12"))
    more = {"diff": [path], "verify": ["--masks", path], "prune": ["--amount", "1", "--dry-run"]}
    assert "Rule:" in run(verb, path, *more.get(verb, []), code=2)


def test_names_from_a_file_move_no_cursor(tmp_path):
    tensors = {"\x1b[31mred\x07\nline": random_array((4, 4))}
    path = write(tmp_path / "model.safetensors", tensors)
    shown = run("inspect", path)
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert r"\x1b[31mred\x07\nline" in shown


def test_a_closed_pipe_is_no_error(tmp_path):
    tensors = {f"t{i}": np.ones((2, 2), np.float32) for i in range(5000)}
    path = write(tmp_path / "model.safetensors", tensors)
    done = subprocess.run(
        f"{sys.executable} -m multiprune_checkpoints inspect {path} | head -1",
        shell=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_compare_says_whether_frameworks_agree(model):
    pytest.importorskip("torch")
    shown = run("compare", model, "--amount", "0.8", "--backends", "numpy,torch")
    assert shown.splitlines()[-1] == "identical"
    first = json.loads(run("compare", model, "--amount", "0.8", "--backends", "numpy", "--json"))
    done = json.loads(run("prune", model, "--dry-run", "--amount", "0.8", "--json"))
    assert first["outcomes"][0]["digest"] == done["provenance"]["multiprune.masks.sha256"]
    assert "nowhere" in run("compare", model, "--amount", "0.8", "--backends", "nowhere", code=2)
