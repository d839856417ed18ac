"""Resident memory does not grow with the file; headers of bombs do not fill it either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MEGABYTES = int(os.environ.get("MULTIPRUNE_MEMORY_MB", "256"))
BOUND = 150
"""MiB that stay resident: the interpreter and NumPy take 45 of them."""

CODE = """
import sys
from multiprune import MultipruneError
from multiprune_checkpoints import *
what, path, target = sys.argv[1:]
try:
    if what == "prune":
        prune_checkpoint(path, target, amount=0.8)
    elif what == "report":
        chart_checkpoint(path, before=path)
    elif what == "inspect":
        inspect_checkpoint(path, sweep=[0.5, 0.8])
    else:
        diff_checkpoints(path, path)
except MultipruneError as error:
    print("refused")
print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1])
"""


def peak(what: str, path: Path, target: Path) -> tuple[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, what, str(path), str(target)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout, int(done.stdout.split()[-1]) / 1024


linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


@linux
@pytest.mark.parametrize("what", ["prune", "inspect", "diff", "report"])
def test_memory_is_bounded(what, tmp_path):
    """A sparse file of one tensor, all zeros, so that every entry ties."""
    path = tmp_path / "big.safetensors"
    size = MEGABYTES << 20
    header = {"a": {"dtype": "BF16", "shape": [size >> 11, 1 << 10], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + size)
    _, resident = peak(what, path, tmp_path / "out.safetensors")
    assert resident < BOUND


@linux
@pytest.mark.parametrize("bomb", ["lists", "pairs", "tensors", "metadata", "wide"])
@pytest.mark.slow
def test_bombs_stay_small(bomb, tmp_path):
    """Headers of tens of megabytes that a JSON parser would make gigabytes of."""
    entry = '"dtype":"U8","shape":[0],"data_offsets":[0,0]'
    text = {
        "lists": '{"a":' + "[[]," * 8_000_000 + "]}",
        "pairs": "{" + ",".join(f'"{i:x}":0' for i in range(600_000)) + "}",
        "tensors": "{" + ",".join(f'"{i:x}":{{{entry}}}' for i in range(270_000)) + "}",
        "metadata": '{"__metadata__":{' + ",".join(f'"{i:x}":""' for i in range(600_000)) + "}}",
        "wide": '{"__metadata__":{"a":"' + "\U0001f600" * 10_000_000 + '"}}',
    }[bomb].encode()
    path = tmp_path / "bomb.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    printed, resident = peak("inspect", path, tmp_path / "out")
    assert "refused" in printed
    assert resident < 500
