"""Several processes: a few runs of torchrun on gloo for all cases, a verdict for each."""

from __future__ import annotations

import ast
import json

import pytest
from launch import HERE, torchrun

RUNS = {
    "cases": ["layouts", "verbs", "one_parameter", "scopes", "traffic", "files"],
    "life": ["pruned_before_sharding", "life_cycle"],
    "training": ["failures", "training", "checkpoints"],
}
"""Starting processes takes longer than most cases: many share a run, none of more than minutes."""


def _cases(modules: list[str]) -> list[str]:
    return [
        f"{module}.{node.name}"
        for module in modules
        for node in ast.parse((HERE / f"{module}.py").read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("case_")
    ]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.slow
def test_cases_on_four_processes(run, tmp_path, subtests):
    modules = RUNS[run]
    torchrun(HERE / "worker.py", tmp_path, *modules, processes=4)
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(4)]
    for case in _cases(modules):
        with subtests.test(case=case):
            for rank, outcome in enumerate(ranks):
                assert outcome[case] == "ok", f"rank {rank}: {outcome[case]}"
    if "checkpoints" in modules:
        for processes in (2, 1):
            with subtests.test(checkpoint=processes):
                torchrun(HERE / "checkpoints.py", tmp_path, processes=processes)


def test_every_module_of_cases_has_a_run():
    """A module nobody starts would be green for ever."""
    started = {module for modules in RUNS.values() for module in modules}
    assert started == {file.stem for file in HERE.glob("*.py") if _cases([file.stem])}
