"""What docs/checkpoints.md shows is what the command prints, and what README.md shows runs."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkpoint_files import dtype, write_shards

pytest.importorskip("cyclopts")
pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "checkpoints.md"
LAYERS = 4


def model(folder):
    """A language model of random weights, its head much smaller than all else, in two shards."""
    rng = np.random.default_rng(0)

    def normal(scale, *shape):
        return (scale * rng.standard_normal(shape, np.float32)).astype(dtype("bfloat16"))

    first = {"embed.weight": normal(0.02, 8000, 256)}
    second = {}
    for i in range(LAYERS):
        part = first if i < LAYERS // 2 else second
        part[f"layers.{i}.attn.weight"] = normal(0.05, 768, 256)
        part[f"layers.{i}.mlp.weight"] = normal(0.04, 1024, 256)
        part[f"layers.{i}.norm.bias"] = normal(1, 256)
    second["head.weight"] = normal(0.001, 8000, 256)
    return write_shards(folder, [first, second])


def test_every_command_of_the_page_prints_what_the_page_shows(tmp_path):
    model(tmp_path / "model")
    (tmp_path / "curve.csv").write_text("sparsity,accuracy\n0,0.9\n0.8,0.8\n")
    blocks = re.findall(r"^```shell\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S)
    steps = [step for block in blocks for step in re.split(r"^\$ ", block, flags=re.M)[1:]]
    assert len(steps) >= 6
    checker = doctest.OutputChecker()
    for step in steps:
        line, _, expected = step.partition("\n")
        program, *arguments = shlex.split(line.replace("\\\n", " "))
        assert program == "multiprune"
        done = subprocess.run(
            [sys.executable, "-m", "multiprune_checkpoints", *arguments],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == (arguments[:2] == ["diff", "model/"]), done.stderr
        shown = checker.check_output(expected, done.stdout, doctest.ELLIPSIS)
        assert shown, (line, done.stdout, done.stderr)


def test_the_commands_of_the_readme_run(tmp_path):
    model(tmp_path / "model")
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(
        r"^```shell\n(pip install 'multiprune\[cli\]'\n.*?)^```", text, re.M | re.S
    )
    lines = [shlex.split(line, comments=True) for line in block.splitlines()[1:]]
    assert [line[:2] for line in lines] == [["multiprune", v] for v in ("inspect", "prune", "diff")]
    for line in lines:
        done = subprocess.run(
            [sys.executable, "-m", "multiprune_checkpoints", *line[1:]],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == (line[1] == "diff"), done.stderr  # 1: something differs
    assert (tmp_path / "report.html").exists()
