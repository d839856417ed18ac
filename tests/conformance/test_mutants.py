"""Every wrong implementation is killed, by a vector of the clause that it breaks."""

import json
import re

import mutants_of_allocations
import mutants_of_bounds
import mutants_of_counts
import mutants_of_groups
import mutants_of_keys
import mutants_of_methods
import mutants_of_modules
import mutants_of_order
import mutants_of_peers
import mutants_of_pools
import pytest
from multiprune_conformance import cli
from multiprune_conformance.judge import judge
from multiprune_conformance.loader import HERE, load
from multiprune_conformance.oracle_implementation import Oracle
from mutants import MUTANTS, Mutant

ROOMS = (
    mutants_of_counts, mutants_of_keys, mutants_of_order, mutants_of_methods, mutants_of_modules,
    mutants_of_peers, mutants_of_pools, mutants_of_groups, mutants_of_bounds,
    mutants_of_allocations,
)  # fmt: skip
SUITE = load()


def test_there_are_at_least_two_hundred_mutants():
    assert len(ROOMS) == 10
    assert len(MUTANTS) >= 200


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_killed_by_its_clause(name, monkeypatch, tmp_path):
    mutant = MUTANTS[name]
    monkeypatch.setattr(cli, "adapter", lambda path: MUTANTS[path].implementation())
    report = tmp_path / "report.json"
    code = cli.main(["run", "--adapter", name, "--json", str(report), mutant.clause])
    verdicts = json.loads(report.read_text(encoding="utf-8"))["verdicts"]
    killers = [each["id"] for each in verdicts if each["verdict"] == "fail"]
    assert code == 1
    assert killers


def test_an_unchanged_oracle_survives():
    harmless = Mutant("harmless", "AMT-01", (("oracle.__doc__", "another text"),))
    assert judge(SUITE, harmless.implementation(), {}).green


def test_every_must_clause_tells_a_wrong_implementation_apart():
    """Deviations aside: their vectors are those of the clauses that they name."""
    broken = {mutant.clause for mutant in MUTANTS.values()}
    musts = {
        clause.id
        for clause in SUITE.clauses.values()
        if clause.level == "MUST" and not clause.untestable and not clause.id.startswith("DEV-")
    }
    assert musts - broken == set()


def test_every_must_clause_accepts_something():
    """An implementation that refuses everything passes no clause whole."""
    accepting = {
        clause
        for vector in SUITE.vectors
        for clause in vector["clauses"]
        if not any(
            "error" in each for each in [vector["expect"], *vector["expect"].get("steps", [])]
        )
    }
    musts = {c.id for c in SUITE.clauses.values() if c.level == "MUST" and not c.untestable}
    assert musts - accepting == {"ERR-02"}  # it says how errors are told


def test_oracle_reproduces_every_vector():
    outcome = judge(SUITE, Oracle(), {})
    assert outcome.count("pass") == len(SUITE.vectors)


def test_mutants_that_the_docs_name_exist():
    text = (HERE.parents[1] / "docs" / "conformance.md").read_text(encoding="utf-8")
    named = set(re.findall(r"[ ;]\*([a-z0-9-]+)\*", text))
    assert len(named) > 10
    assert named <= set(MUTANTS)
