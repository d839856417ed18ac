"""Types at the doors: user-like code passes mypy (`make lint`), runs, and mistakes are seen."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

ROOT = Path(__file__).parents[2]
CODE = Path(__file__).with_name("user_code.py")
MISTAKES = {
    "prune.l1_unstructured(m, 'weight', ammount=0.5)": "call-arg",
    "prune.global_unstructured([(m, 'weight')], prune.L1Unstructured, scope='tensors')": "arg-type",
    "prune.prune_model(m, sparsity='0.5')": "arg-type",
    "prune.select(m, include=3)": "arg-type",
    "multiprune.global_unstructured([a], amount=0.5, keep_at_least='all')": "arg-type",
    "multiprune.mask_of(a, multiprune.L1Unstructured)": "arg-type",
}


def test_user_code_runs(tmp_path):
    spec = importlib.util.spec_from_file_location("user_code", CODE)
    user = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(user)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    assert user.on_torch(model) == pytest.approx(0.7, abs=0.01)
    rng = np.random.default_rng(0)
    weights = {"a": rng.standard_normal((4, 6), np.float32)}
    assert (user.on_numpy(weights)["a"] == 0).sum() == 4 * 2 + 5
    assert (user.on_jax({"a": jnp.array(weights["a"])})["a"] == 0).sum() == 12
    assert user.on_files(tmp_path).report.sparsity == 0.5


@pytest.mark.slow
def test_mypy_sees_mistakes(tmp_path):
    script = tmp_path / "mistakes.py"
    head = ["import multiprune", "import numpy as np", "from torch import nn"]
    head += ["from multiprune_torch import prune", "m = nn.Linear(4, 4)", "a = np.ones(3)"]
    script.write_text("\n".join([*head, *MISTAKES]) + "\n")
    paths = os.pathsep.join(str(ROOT / part) for part in (".", "backends"))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(script)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": paths},
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("mistakes.py")]
    for i, (line, code) in enumerate(MISTAKES.items(), start=len(head) + 1):
        assert any(f"mistakes.py:{i}: error" in said and code in said for said in found), line
