"""multiprune itself, on every framework, through the public door of the judge."""

import pytest
from multiprune_conformance.judge import judge
from multiprune_conformance.loader import load
from multiprune_conformance.report import as_text

SUITE = load()
BACKENDS = ["OnNumpy", "OnStrict", "OnTorch"]


def assert_green(implementation):
    outcome = judge(SUITE, implementation, {})
    assert outcome.green, as_text(outcome, "", failures=30)
    assert outcome.count("pass") > 400


@pytest.mark.parametrize("name", BACKENDS)
def test_arrays_are_green(name):
    adapters = pytest.importorskip("examples.multiprune_arrays")
    assert_green(getattr(adapters, name)())


def test_the_drop_in_is_green():
    pytest.importorskip("multiprune_torch")
    from examples.multiprune_torch_prune import DropIn

    assert_green(DropIn())
