"""Several processes: one run of torchrun on gloo for all cases, a verdict for each."""

from __future__ import annotations

import ast
import json

from launch import HERE, torchrun

MODULES = ["layouts", "verbs", "singles", "presharded", "lives", "failures", "training", "scopes"]
MODULES += ["checkpoints", "traffic", "files"]
CASES = [
    f"{module}.{node.name}"
    for module in MODULES
    for node in ast.parse((HERE / f"{module}.py").read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("case_")
]


def test_cases_on_four_processes_and_their_checkpoint_on_fewer(tmp_path, subtests):
    """One test, for starting processes takes longer than most cases."""
    torchrun(HERE / "worker.py", tmp_path, *MODULES, processes=4)
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(4)]
    for case in CASES:
        with subtests.test(case=case):
            for rank, outcome in enumerate(ranks):
                assert outcome[case] == "ok", f"rank {rank}: {outcome[case]}"
    for processes in (2, 1):
        with subtests.test(checkpoint=processes):
            torchrun(HERE / "checkpoints.py", tmp_path, processes=processes)
