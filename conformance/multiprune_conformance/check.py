"""Checks of the suite itself: schemas, ids, clauses, coverage, language."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from multiprune_conformance.loader import HERE, Suite, load
from multiprune_conformance.schema import problems

Json = dict[str, Any]
MUST_NOT_SAY = re.compile(r"\b(should|shall|test that|verify|will)\b", re.I)


def check(folder: Path = HERE) -> list[str]:
    """Return what is wrong with a suite, one sentence for each fault."""
    schema = json.loads((folder / "schema" / "vectors.schema.json").read_text(encoding="utf-8"))
    faults = []
    for path in sorted((folder / "vectors").glob("*.json")):
        try:
            file = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            faults.append(f"{path.name} is not JSON: {error}")
            continue
        faults += [f"{path.name}: {each}" for each in problems(file, schema)]
        flags = {flag for vector in file["vectors"] for flag in vector["flags"]}
        if flags != set(file["notes"]):
            faults.append(f"{path.name}: notes and flags differ: {flags ^ set(file['notes'])}")
    if not faults:
        suite = load(folder)
        faults += _vectors(suite) + _clauses(suite, (folder / "SPEC.md").read_text("utf-8"))
    return faults


def _vectors(suite: Suite) -> list[str]:
    ids = Counter(vector["id"] for vector in suite.vectors)
    faults = [f"{name}: {n} vectors of this id" for name, n in ids.items() if n > 1]
    for vector in suite.vectors:
        name = vector["id"]
        faults += [f"{name}: cites {c}, which SPEC.md has not" for c in vector["clauses"]
                  if c not in suite.clauses]  # fmt: skip
        if said := MUST_NOT_SAY.search(vector["title"]):
            faults.append(f"{name}: the title says {said[0]!r}; it tells what happens")
        if name.split("/")[0] not in suite.clauses:
            faults.append(f"{name}: begins with no clause")
        kind = vector["expect"].get("error")
        if kind is not None and not any(f"`{kind}`" in c.text for c in suite.clauses.values()):
            faults.append(f"{name}: {kind} is the kind of no clause")
    return faults


def _clauses(suite: Suite, text: str) -> list[str]:
    heads = re.findall(r"^### (\S+)", text, re.M)
    faults = [f"{name}: not a clause head" for name in heads if name not in suite.clauses]
    faults += [f"{name}: two clauses" for name, n in Counter(heads).items() if n > 1]
    covered = Counter(clause for vector in suite.vectors for clause in vector["clauses"])
    for clause in suite.clauses.values():
        if clause.untestable and covered[clause.id]:
            faults.append(f"{clause.id}: untestable, and yet has vectors")
        if clause.level == "MUST" and not clause.untestable and not covered[clause.id]:
            faults.append(f"{clause.id}: a MUST without a vector")
        if said := MUST_NOT_SAY.search(clause.text):
            faults.append(f"{clause.id}: says {said[0]!r}; it tells what is")
    return faults
