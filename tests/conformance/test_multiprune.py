"""multiprune itself, on every framework, through the public door of the judge."""

import subprocess
import sys

import pytest
from multiprune_conformance.judge import judge
from multiprune_conformance.loader import HERE, load
from multiprune_conformance.report import as_text

SUITE = load()
ROOMS = {
    "OnNumpy": "multiprune_arrays",
    "OtherWays": "multiprune_other_ways",
    "InShards": "multiprune_shards",
    "OnStrict": "multiprune_arrays",
    "OnTorch": "multiprune_arrays",
}


def assert_green(implementation, passes):
    outcome = judge(SUITE, implementation, {})
    assert outcome.green, as_text(outcome, "", failures=30)
    assert outcome.count("pass") >= passes


SLOW = ("OnStrict", "InShards")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in ROOMS]
)
def test_arrays_are_green(name):
    if name == "OnTorch":
        pytest.importorskip("torch")
    adapters = pytest.importorskip(f"multiprune_conformance.examples.{ROOMS[name]}")
    assert_green(getattr(adapters, name)(), passes=1160 if name == "OnStrict" else 1590)


def test_the_drop_in_is_green():
    pytest.importorskip("multiprune_torch")
    from multiprune_conformance.examples.multiprune_torch_prune import DropIn

    assert_green(DropIn(), passes=1140)


@pytest.mark.parametrize(
    ("name", "only"),
    [
        ("OnJax", []),
        ("UnderJit", ["TIE-02", "MASK-02", "NUM-14/signed", "RAND-04/list"]),
        ("UnderJit", ["SCOPE-03", "GROUP-05", "BOUND-01/ties", "BOUND-01/recut", "ALLOC-03"]),
    ],
)
@pytest.mark.slow
def test_jax_is_green(name, only):
    """In a process of its own, for the adapter turns JAX's 64 bits on; under jit a few compile."""
    pytest.importorskip("jax")
    command = [sys.executable, "-m", "multiprune_conformance", "run", "--adapter"]
    command += [f"multiprune_conformance.examples.multiprune_jax_trees:{name}", *only]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "green: " in done.stdout
    assert "green: 0 pass" not in done.stdout
