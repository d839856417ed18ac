"""Params sharded over a mesh, in one process and in two: see `on_a_mesh`, which runs in them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("on_a_mesh.py")
CHECKS = ["masks", "programs", "pools", "manual_axes", "digest", "training", "orbax", "errors"]


def free_port():
    with socket.socket() as asked:
        asked.bind(("localhost", 0))
        return asked.getsockname()[1]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.slow
def test_shards_are_ranked_where_they_are(processes, tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    address = f"localhost:{free_port()}"
    logs = [tmp_path / f"{i}.txt" for i in range(processes)]
    started = []
    for i, log in enumerate(logs):
        place = [str(i), str(processes), address] if processes > 1 else []
        command = [sys.executable, "-W", "error", str(SCRIPT), str(tmp_path), *place]
        with log.open("w") as out:
            started.append(
                subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
            )
    try:
        codes = [process.wait(timeout=600) for process in started]
    finally:
        for process in started:
            process.kill()
    told = "\n".join(log.read_text()[-3000:] for log in logs)
    assert codes == [0] * processes, told
    for log in logs:
        done = [line for line in log.read_text().splitlines() if line.startswith("check_")]
        assert done == [f"check_{check}" for check in CHECKS]
