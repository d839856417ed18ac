"""The page of differences names every deviation of the specification, and runs (tests/house)."""

from __future__ import annotations

import re
from pathlib import Path

import multiprune_conformance

PAGE = Path(__file__).parents[2] / "docs" / "torch-differences.md"
SPEC = Path(multiprune_conformance.__file__).with_name("SPEC.md")
NOT_SHOWN_IN_ONE_PROCESS_ON_ONE_CPU = {"DEV-07", "DEV-26", "DEV-57"}


def sections(text):
    """Each paragraph with the code that follows it."""
    found = []
    for part in re.split(r"(```python\n.*?```)", text, flags=re.S):
        if part.startswith("```python") and found:
            found[-1] += part
        else:
            paragraphs = [p for p in part.split("\n\n") if p.strip()]
            if found and paragraphs and not found[-1].rstrip().endswith("```"):
                found[-1] += paragraphs.pop(0)
            found += paragraphs
    return found


def test_every_deviation_is_on_the_page_with_code_that_shows_it():
    clauses = set(re.findall(r"^### (DEV-\d+)", SPEC.read_text(), re.M))
    page = PAGE.read_text()
    assert clauses - set(re.findall(r"DEV-\d+", page)) == set()
    shown = {c for s in sections(page) if "```python" in s for c in re.findall(r"DEV-\d+", s)}
    assert clauses - shown - NOT_SHOWN_IN_ONE_PROCESS_ON_ONE_CPU == set()
