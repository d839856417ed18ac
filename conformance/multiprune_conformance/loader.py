"""Reads the suite: vector files, schemas and the clauses of SPEC.md."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
HERE = Path(__file__).parent
# What `export` copies: all that another language needs.
EXPORTED = ("SPEC.md", "PROTOCOL.md", "schema", "vectors")
HEAD = re.compile(r"^### (\S+) · (MUST|SHOULD|MAY) · (\w+) · since (\d+)$", re.M)


@dataclass(frozen=True)
class Clause:
    """One rule of SPEC.md."""

    id: str
    level: str
    profile: str
    text: str
    untestable: str | None


@dataclass(frozen=True)
class Suite:
    """Everything that an implementation is judged by."""

    version: str
    vectors: tuple[Json, ...]
    notes: dict[str, Json]
    clauses: dict[str, Clause]

    def select(self, patterns: list[str]) -> Suite:
        """Return the suite with the vectors whose id, clause or profile is named.

        Raises
        ------
        ValueError
            If a pattern names nothing.
        """
        if not patterns:
            return self
        for pattern in patterns if len(patterns) > 1 else ():
            self.select([pattern])
        wanted, ids = set(patterns), {vector["id"] for vector in self.vectors}
        beginnings = tuple(wanted - ids)  # the id of a vector names that vector alone

        def named(vector: Json) -> bool:
            words = {vector["id"], vector["profile"], *vector["clauses"]}
            return bool(words & wanted) or vector["id"].startswith(beginnings)

        chosen = tuple(vector for vector in self.vectors if named(vector))
        if not chosen:
            asked = " ".join(patterns)
            raise ValueError(f"no vector matches {asked}; see multiprune-conformance list")
        return Suite(self.version, chosen, self.notes, self.clauses)


def read_clauses(text: str) -> dict[str, Clause]:
    """Return the clauses of the text of SPEC.md."""
    clauses = {}
    heads = [*HEAD.finditer(text)]
    ends = [head.start() for head in heads[1:]] + [len(text)]
    for head, end in zip(heads, ends, strict=True):
        body = text[head.end() : end].strip()
        untestable = re.search(r"^- Untestable: (.*)$", body, re.M)
        clauses[head[1]] = Clause(
            head[1], head[2], head[3], body.split("\n- ")[0], untestable[1] if untestable else None
        )
    return clauses


def load(folder: Path = HERE) -> Suite:
    """Read a suite from its folder.

    Raises
    ------
    ValueError
        If there is none, or its format is not the one that this judge reads.
    """
    vectors: list[Json] = []
    notes: dict[str, Json] = {}
    version = ""
    for path in sorted((folder / "vectors").glob("*.json")):
        file = json.loads(path.read_text(encoding="utf-8"))
        if file["format"] != 1:
            raise ValueError(f"{path.name} has format {file['format']}, this judge reads 1")
        vectors += file["vectors"]
        notes |= file["notes"]
        version = file["suite"]
    if not vectors:
        raise ValueError(f"no vectors in {folder}")
    clauses = read_clauses((folder / "SPEC.md").read_text(encoding="utf-8"))
    return Suite(version, tuple(vectors), notes, clauses)
