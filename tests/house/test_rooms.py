"""Rooms of the torch backend: who imports whom, how many floors, what a plain weight passes."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "backends" / "multiprune_torch"


@cache
def rooms():
    """Each room with the rooms that it imports: a file at the top, or a folder."""
    known: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if path.parent == PACKAGE and path.stem == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                package, _, rest = node.module.partition(".")
                if package == "multiprune_torch":
                    names = [rest] if rest else [alias.name for alias in node.names]
                    known.setdefault(room, set()).update(n.partition(".")[0] for n in names)
        known.setdefault(room, set()).discard(room)
    return known


def test_hooks_know_nothing_of_processes_and_distributed_knows_hooks():
    assert "hooks" in rooms()["distributed"]
    for room in ("hooks", "ranking", "request", "backend", "device", "sharding"):
        assert "distributed" not in rooms()[room], room


PASSED = """
import sys
from pathlib import Path

import torch
from multiprune_torch import prune

package, passed = Path(prune.__file__).parent, set()

def note(frame, event, argument):
    path = Path(frame.f_code.co_filename)
    if package in path.parents:
        passed.add(path.relative_to(package).as_posix())

layer = torch.nn.Linear(64, 64)
sys.settrace(note)
prune.global_unstructured([(layer, "weight")], pruning_method=prune.L1Unstructured, amount=0.5)
layer.weight
sys.settrace(None)
print(*sorted(passed))
"""


def test_an_ordinary_weight_passes_few_files_and_none_about_shards():
    """In a process of its own: in this one a test may have loaded what makes shards."""
    paths = os.pathsep.join(str(PACKAGE.parents[1] / part) for part in (".", "backends"))
    done = subprocess.run(
        [sys.executable, "-c", PASSED],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    passed = done.stdout.split()
    assert "hooks/buffers.py" in passed
    assert len(passed) <= 15, passed
    assert not [name for name in passed if name.startswith("distributed")], passed
