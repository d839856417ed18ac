"""Every example runs: the code blocks of README and docs, and the docstrings."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = [
    "multiprune.packed",
    "multiprune_jax.pytree",
    "multiprune_jax.training",
    "multiprune.pruning",
    "multiprune.report",
    "multiprune_torch.freezing",
    "multiprune_torch.loading",
    "multiprune_torch.models",
    "multiprune_torch.prune",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_python_block_of_the_page_runs(page, tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.M | re.S)
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks))
    path = os.pathsep.join(str(ROOT / part) for part in (".", "backends", "conformance"))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_are_right(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed
