"""The benchmark of a GPU runs without one, on small sizes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_it_runs_without_a_gpu(tmp_path):
    path = tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/device.py", str(path), "--device", "cpu", "--quick"]
    done = subprocess.run(
        [*command, "--no-jax"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    notes = {row["work"]: row.get("note", "") for row in figures["rows"]}
    assert not [work for work, note in notes.items() if note.startswith("failed")]
    assert {note for work, note in notes.items() if work.startswith("masks,")} == {"equal"}
    assert all(row["seconds"] > 0 for row in figures["rows"] if row["work"][:6] != "masks,")
    assert "multiprune: drop-in" in done.stdout
