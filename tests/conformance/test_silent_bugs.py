"""What torch's pruning does wrong without a word is red, vector by vector."""

import json
from pathlib import Path

import pytest
from multiprune_conformance.judge import judge
from multiprune_conformance.loader import HERE, load

SUITE = load()
DEVIATIONS = Path(HERE).parent / "known_deviations" / "torch-2.13.json"
SILENT = {
    "a weight that changed is ranked as it was": "REP-04/rank",
    "a second round ranks what it was, too": "REP-04/rank-again",
    "a refused amount loses the pruning there was": "ERR-01/too-many",
    "a refused dimension does, too": "ERR-01/dim",
    "a refused call leaves its first parameters pruned": "ERR-01/last-taken",
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
    "the user's parameter is overwritten": "ERR-06/mask-taken",
    "narrow amounts are counted in their own type": "AMT-07/float32-3f666666-of-123456789",
    "False is an amount": "AMT-08/false",
}


@pytest.fixture(scope="module")
def verdicts():
    pytest.importorskip("torch")
    from examples.torch_prune import TorchPrune

    outcome = judge(SUITE.select(sorted(set(SILENT.values()))), TorchPrune(), {})
    return {each.vector["id"]: each.verdict for each in outcome.verdicts}


@pytest.mark.parametrize("bug", SILENT)
def test_a_silent_bug_is_red(verdicts, bug):
    assert verdicts[SILENT[bug]] in {"fail", "error"}


def test_every_silent_bug_is_a_known_deviation():
    groups = json.loads(DEVIATIONS.read_text(encoding="utf-8"))["deviations"]
    known = {ident for group in groups for ident in group["ids"]}
    assert set(SILENT.values()) <= known
