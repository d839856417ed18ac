"""The suite's own order: schemas, ids, clauses, coverage, language, regeneration."""

import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from multiprune_conformance.check import check
from multiprune_conformance.loader import HERE, load
from multiprune_conformance.schema import problems

ROOT = HERE.parent
VECTORS = sorted((HERE / "vectors").glob("*.json"))


@pytest.fixture
def copy(tmp_path):
    for name in ("vectors", "schema"):
        shutil.copytree(HERE / name, tmp_path / name)
    shutil.copy(HERE / "SPEC.md", tmp_path)
    return tmp_path


def change(folder: Path, **members: object) -> None:
    """Damage the first vector of a copy."""
    path = folder / "vectors" / "amounts.json"
    file = json.loads(path.read_text(encoding="utf-8"))
    file["vectors"][0] |= members
    path.write_text(json.dumps(file), encoding="utf-8")


def test_suite_is_in_order():
    assert check() == []


def test_there_are_enough_vectors():
    assert len(load().vectors) >= 1600


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"id": "AMT-01/int-1-of-10"}, "2 vectors of this id"),
        ({"id": "no clause"}, "does not match"),
        ({"clauses": ["AMT-99"]}, "which SPEC.md has not"),
        ({"clauses": ["DEV-04"]}, "untestable, and yet has vectors"),
        ({"title": "three should go"}, "'should'"),
        ({"profile": "other"}, "is not one of"),
        ({"flags": ["NoSuchFlag"]}, "notes and flags differ"),
        ({"expect": {"error": "no-such-kind"}}, "is the kind of no clause"),
        ({"expect": {}}, "is missing"),
        ({"extra": 1}, "extra is unknown"),
    ],
)
def test_check_sees_damage(copy, members, told):
    change(copy, **members)
    assert any(told in each for each in check(copy))


def test_check_sees_a_file_that_is_none(copy):
    (copy / "vectors" / "amounts.json").write_text("{", encoding="utf-8")
    assert any("amounts.json is not JSON" in each for each in check(copy))


def test_check_sees_an_uncovered_clause(copy):
    spec = (copy / "SPEC.md").read_text(encoding="utf-8")
    more = "\n### AMT-98 · MUST · parity · since 1\nNothing shows this.\n"
    (copy / "SPEC.md").write_text(spec + more, encoding="utf-8")
    assert check(copy) == ["AMT-98: a MUST without a vector"]


def test_regenerating_leaves_no_difference(tmp_path, monkeypatch, capsys):
    generator = runpy.run_path(str(ROOT / "generate" / "__main__.py"))
    generator["main"](tmp_path)
    for path in [*VECTORS, HERE / "SPEC.md"]:
        again = tmp_path / path.relative_to(HERE)
        assert again.read_bytes() == path.read_bytes(), path.name
    assert len(list((tmp_path / "vectors").iterdir())) == len(VECTORS)


def test_schema_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="not supported"):
        problems({}, {"dependentRequired": {}})


def test_booleans_are_no_integers():
    assert problems(True, {"type": "integer"}) == ["$: True is not of type integer"]


def test_judge_imports_the_standard_library_only():
    for path in HERE.glob("*.py"):
        if path.name.startswith("oracle"):
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]):
                root = words[1].split(".")[0]
                assert root in sys.stdlib_module_names | {"multiprune_conformance"}, path.name


def test_oracle_imports_numpy_only():
    for path in HERE.glob("oracle*.py"):
        text = path.read_text(encoding="utf-8")
        assert "import multiprune\n" not in text
        for framework in ("torch", "jax", "ml_dtypes", "array_api"):
            assert f"import {framework}" not in text


def test_vectors_that_the_docs_name_exist():
    text = (ROOT.parent / "docs" / "conformance.md").read_text(encoding="utf-8")
    named = set(re.findall(r"[` ]([A-Z]+-\d\d/[^\s`]+)`", text))
    assert len(named) > 20
    assert named <= {vector["id"] for vector in load().vectors}
