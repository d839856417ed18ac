"""What torch's pruning does wrong without a word is red, vector by vector."""

import json

import pytest
from multiprune_conformance.judge import judge
from multiprune_conformance.loader import HERE, load

SUITE = load()
DEVIATIONS = HERE / "known_deviations" / "torch-2.13.json"
SILENT = {
    "a weight that changed is ranked as it was": "REP-04/rank",
    "a second round ranks what it was, too": "REP-04/rank-again",
    "a refused amount loses the pruning there was": "ERR-01/second-too-many",
    "a refused dimension does, too": "ERR-01/second-dim",
    "and a refused mask": "ERR-01/second-mask",
    "a refused call leaves its first parameters pruned": "ERR-01/last-mask-taken",
    "a pair given twice prunes too few": "REP-10/pair-twice",
    "a pair given twice is counted twice": "REP-10/too-many",
    "a tied weight has two masks": "DEV-11/tied",
    "the largest int8 goes first": "NUM-09/int8-minimum",
    "the largest int64 goes first": "NUM-09/int64-minimum",
    "a pruned NaN stays NaN": "REP-03/all",
    "and is made permanent": "REP-03/removed",
    "a pruned negative entry is minus zero": "REP-03/bits",
    "missing scores are replaced by the weight": "SCORE-03/missing",
    "unknown scores are ignored": "SCORE-03/unknown",
    "transposed scores rank other entries": "SCORE-02/transposed",
    "scores of another split of the same total do, too": "SCORE-02/same-total",
    "a mask of other values scales the weight": "MASK-03/two",
    "a custom mask of other values, too": "METH-04/values",
    "a tied weight that was written to reads in two ways": "DEV-11/tied-set",
    "the user's parameter is overwritten": "ERR-06/orig-taken",
    "at the last of many parameters, too": "ERR-01/last-taken",
    "narrow amounts are counted in their own type": "AMT-07/float32-3f666666-of-123456789",
    "False is an amount": "AMT-08/false",
}


STALE = {"REP-04/rank", "REP-04/rank-again"}  # what a forward makes up for


def verdicts(adapter):
    outcome = judge(SUITE.select(sorted(set(SILENT.values()))), adapter, {})
    return {each.vector["id"]: each.verdict for each in outcome.verdicts}


@pytest.fixture(scope="module")
def by_torch():
    pytest.importorskip("torch")
    from multiprune_conformance.examples.torch_prune import TorchPrune

    return verdicts(TorchPrune())


@pytest.fixture(scope="module")
def by_torch_with_forwards():
    """Every module runs after every step: what is red here is not stale values alone."""
    pytest.importorskip("torch")
    from multiprune_conformance.examples.torch_prune import TorchPrune

    class Running(TorchPrune):
        def _state(self, module, name):
            for hook in list(module._forward_pre_hooks.values()):
                hook(module, ())
            return super()._state(module, name)

    return verdicts(Running())


@pytest.mark.parametrize("bug", SILENT)
def test_a_silent_bug_is_red(by_torch, bug):
    assert by_torch[SILENT[bug]] in {"fail", "error"}


@pytest.mark.parametrize("bug", [bug for bug, ident in SILENT.items() if ident not in STALE])
def test_a_silent_bug_is_red_by_itself(by_torch_with_forwards, bug):
    assert by_torch_with_forwards[SILENT[bug]] in {"fail", "error"}


def test_every_silent_bug_is_a_known_deviation():
    groups = json.loads(DEVIATIONS.read_text(encoding="utf-8"))["deviations"]
    known = {ident for group in groups for ident in group["ids"]}
    assert set(SILENT.values()) <= known
    assert len({group["link"] for group in groups}) > 10
    assert all(group["link"].startswith("https://github.com/pytorch/") for group in groups)
