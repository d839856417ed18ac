"""Valid files, damaged at random: read right or refused with a message, and never changed.

MULTIPRUNE_FUZZ says how many cases; one process runs all, under a limit on its memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CASES = int(os.environ.get("MULTIPRUNE_FUZZ", "400"))
LIMIT = 500


def test_damaged_files_never_crash_or_take_memory(tmp_path):
    arguments = [sys.executable, str(Path(__file__).parent / "fuzz.py"), str(tmp_path), str(CASES)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    cases, refused, read, peak = map(int, done.stdout.split()[-4:])
    assert cases == CASES
    assert refused > CASES // 4
    assert read > CASES // 100
    assert peak < LIMIT
