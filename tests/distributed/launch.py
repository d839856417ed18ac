"""Starts processes as users start them, and ends all of them if they take too long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATHS = os.pathsep.join(
    str(ROOT / part) for part in (".", "backends", "checkpoints", "conformance")
)


ENDED_BADLY = "terminate called without an active exception"
"""Printed when a thread of gloo lets go of a tensor while Python is ending: it asks for the GIL,
which ends the thread inside a destructor that may not throw (pytorch #190489; two of twelve exits
of an FSDP2 script that prunes nothing, by their backtraces). All work is done by then. Scripts of
users end as they do, so such a run is made again; ours leave by `leave`."""
ATTEMPTS = 4
"""One in six exits ends so, and more on a busy machine."""


def torchrun(script: Path, folder: Path, *arguments: str, processes: int) -> str:
    """Run a script in a folder on some processes, and return what they print."""
    for _ in range(ATTEMPTS):
        code, output = _run(script, folder, *arguments, processes=processes)
        if not code or ENDED_BADLY not in output:
            break
    assert code == 0, output
    return output


def leave() -> NoReturn:
    """End this process, whose work is done, before Python's own ending meets threads of gloo."""
    sys.stdout.flush()
    os._exit(0)


def _run(
    script: Path, folder: Path, *arguments: str, processes: int, seconds: float = 400
) -> tuple[int, str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc_per_node={processes}", str(script), *arguments]
    started = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = started.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        output, _ = started.communicate()
        pytest.fail(f"not done after {seconds} s:\n{output}")
    return started.returncode, output
