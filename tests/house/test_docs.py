"""Every example runs: the code blocks of README and docs, their pictures, and the docstrings."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from multiprune_conformance.loader import load
from safetensors.numpy import save_file

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = [
    "multiprune.packed",
    "multiprune_jax.pytree",
    "multiprune_jax.training",
    "multiprune.pruning",
    "multiprune.report",
    "multiprune_torch.models.freeze",
    "multiprune_torch.models.state_dict",
    "multiprune_torch.models.prune_model",
    "multiprune_torch.functions.many",
]


POOLS = ROOT / "docs" / "pools.md"


def run(folder, *words):
    """Run Python in a folder as somebody does who has installed the packages."""
    path = os.pathsep.join(
        str(ROOT / part) for part in (".", "backends", "checkpoints", "conformance")
    )
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_python_block_of_the_page_runs(page, tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.M | re.S)
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks))
    run(tmp_path, str(script))


def test_every_command_of_the_page_of_pools_runs(tmp_path):
    pytest.importorskip("cyclopts")
    rng = np.random.default_rng(0)
    shapes = {"body.weight": (32, 64), "head.weight": (8, 32)}
    tensors = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    (tmp_path / "model").mkdir()
    save_file(tensors, tmp_path / "model" / "model.safetensors")
    (block,) = re.findall(r"^```shell\n(.*?)^```", POOLS.read_text(), flags=re.M | re.S)
    for line in block.splitlines():
        program, *words = shlex.split(line)
        assert program == "multiprune"
        table = run(tmp_path, "-m", "multiprune_checkpoints", *words)
        assert ("50.00 %" if "--scope" in words else "90.0") in table


def test_the_block_that_needs_a_gpu_is_python():
    """It is not run here: no machine of CI has a GPU."""
    ((name, code),) = re.findall(r"^```python (\S+)\n(.*?)^```", POOLS.read_text(), re.M | re.S)
    compile(code, name, "exec")


def test_the_picture_of_pools_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    run(tmp_path, str(POOLS.with_suffix(".py")), "pools.png")
    drawn, shown = (folder / "pools.png" for folder in (tmp_path, POOLS.parent))
    # The size of a PNG, in its first chunk; fonts and bytes differ between versions.
    assert drawn.read_bytes()[:24] == shown.read_bytes()[:24]


def test_the_pages_count_the_vectors_right():
    suite = load()
    for page in (ROOT / "README.md", ROOT / "CHANGELOG.md"):
        assert f"{len(suite.vectors):,} vectors" in page.read_text()
    text = (ROOT / "docs" / "conformance.md").read_text()
    assert f"| {len(suite.vectors):,} inputs" in text
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", text, flags=re.M)
    assert {name: int(n) for name, n in rows} == Counter(v["profile"] for v in suite.vectors)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_are_right(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed
