"""Many ranks in one process: masks are the oracle's, and a bug is seen."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from launch import HERE, PATHS

from multiprune.draws import draws, draws_at

WRONG = """
import runpy, sys
{patch}
sys.argv = ["virtual", "--cases", "300"]
runpy.run_path({script!r}, run_name="__main__")
"""
PATCHES = {
    "positions": "from multiprune_torch.distributed.layout import Layout\n"
    "Layout.start = property(lambda self: 0)",
    "owners": "from dataclasses import replace\n"
    "from multiprune_torch.distributed import counting, layout\n"
    "counting.ShardedEntries._check = lambda *found: None\n"
    "right = layout.layout_of\n"
    "layout.layout_of = lambda *of: replace(right(*of), first=True)",
    "strided": "from multiprune_torch.distributed import layout\n"
    "layout._is_strided = lambda p: False",
    "prior": "from dataclasses import replace\nfrom multiprune_torch.distributed import counting\n"
    "right = counting._column\n"
    "counting._column = lambda s, *rest: right(replace(s, prior=None), *rest)",
}


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": PATHS}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_masks_on_virtual_ranks_are_the_oracles():
    done = run(str(HERE / "virtual.py"), "--cases", "800", "--seed", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "800 cases, seed 3, 0 differences" in done.stdout


@pytest.mark.parametrize("bug", list(PATCHES))
@pytest.mark.slow
def test_a_bug_is_seen(bug):
    done = run("-c", WRONG.format(patch=PATCHES[bug], script=str(HERE / "virtual.py")))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "of seed 1:" in done.stdout


def test_draws_of_single_positions_are_those_of_the_run():
    positions = np.array([0, 7, 3, 2**40 + 1, 3, 2**33 - 1], dtype=np.uint64)
    for seed in (0, 2**64 - 1):
        wanted = [draws(seed, int(p), int(p) + 1, xp=np)[0] for p in positions]
        assert draws_at(seed, positions, xp=np).tolist() == wanted
