"""The command of the laws at scale: it runs, and it sees a bug."""

import subprocess
import sys
from pathlib import Path

import pytest

SCALE = Path(__file__).parents[1] / "scale"
WRONG = """
import runpy, sys
from multiprune.cut import Cut
right = Cut.spans
Cut.spans = lambda cut, *run: ((i, j, key - 1) for i, j, key in right(cut, *run))
sys.argv = ["scale", "numpy", "--cases", "400"]
runpy.run_path({folder!r}, run_name="__main__")
"""


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True)


@pytest.mark.parametrize(("backend", "cases"), [("numpy", 1000), ("torch", 500), ("jax", 200)])
def test_a_backend_agrees_with_the_oracle(backend, cases):
    pytest.importorskip(backend)
    done = run(str(SCALE), backend, "--cases", str(cases), "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{cases:,} cases, seed 7, 0 differences" in done.stdout


@pytest.mark.slow
def test_the_traced_function_agrees_on_a_few_forms():
    pytest.importorskip("jax")
    done = run(str(SCALE), "jit", "--cases", "6")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_bug_is_seen_and_can_be_shown_again():
    done = run("-c", WRONG.format(folder=str(SCALE)))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "again: python tests/scale numpy --seed 1 --case" in done.stdout
