"""Judges answers: compares each with what its vector expects, and gives a verdict."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from multiprune_conformance.description import DTYPES, Usage, checked
from multiprune_conformance.difference import difference
from multiprune_conformance.loader import Suite

Json = dict[str, Any]
VERDICTS = ("pass", "fail", "error", "skip", "xfail", "xpass")


class Implementation(Protocol):
    """What is judged: a Python adapter, or a process behind the same two methods."""

    def describe(self) -> Json:
        """Return the implementation's name, version, language, profiles and dtypes."""

    def run(self, operation: str, request: Json) -> Json:
        """Answer one request of PROTOCOL.md."""


class Broken(Exception):  # noqa: N818 - not an error of ours, but a verdict
    """The implementation crashed, timed out, or answered what is not an answer."""


@dataclass(frozen=True)
class Verdict:
    """What became of one vector."""

    vector: Json
    verdict: str
    detail: str = ""
    got: Any = None


@dataclass
class Outcome:
    """What became of all of them."""

    suite: Suite
    description: Json
    verdicts: list[Verdict] = field(default_factory=list)

    def count(self, verdict: str) -> int:
        """Return how many vectors got this verdict."""
        return sum(each.verdict == verdict for each in self.verdicts)

    @property
    def green(self) -> bool:
        """Whether nothing failed, broke, or passed against its known deviation."""
        return not any(self.count(verdict) for verdict in ("fail", "error", "xpass"))

    @property
    def judged(self) -> bool:
        """Whether anything was asked at all."""
        return self.count("skip") < len(self.verdicts)


def judge(suite: Suite, implementation: Implementation, deviations: dict[str, str]) -> Outcome:
    """Put every vector to an implementation.

    Parameters
    ----------
    suite, implementation
        What judges, and what is judged.
    deviations
        Vectors that are known to fail, each with its reason.

    Raises
    ------
    Usage
        If the implementation does not say what it is.
    """
    try:
        described = implementation.describe()
    except (Exception, SystemExit) as error:
        if isinstance(error, Usage):
            raise
        raise Usage(f"describe() fails: {type(error).__name__}: {error}") from error
    outcome = Outcome(suite, checked(described))
    for vector in suite.vectors:
        verdict = _one(vector, implementation, outcome.description)
        if vector["id"] in deviations and verdict.verdict in {"pass", "fail", "error"}:
            known = "xpass" if verdict.verdict == "pass" else "xfail"
            reason = f"known deviation: {deviations[vector['id']]}"
            verdict = Verdict(vector, known, f"{reason}; {verdict.detail}", verdict.got)
        outcome.verdicts.append(verdict)
    return outcome


def _one(vector: Json, implementation: Implementation, description: Json) -> Verdict:
    if reason := undeclared(vector, description):
        return Verdict(vector, "skip", reason)
    try:
        got = implementation.run(vector["operation"], vector["input"])
    except Broken as broken:
        return Verdict(vector, "error", str(broken))
    except (Exception, SystemExit) as error:
        return Verdict(vector, "error", f"{type(error).__name__}: {error}")
    if not isinstance(got, dict):
        return Verdict(vector, "error", f"{got!r} is not an answer")
    try:
        json.dumps(got)
    except (TypeError, ValueError) as error:  # NumPy's numbers, for example
        return Verdict(vector, "error", f"the answer is not JSON: {error}")
    if "skipped" in got:
        return Verdict(vector, "skip", str(got["skipped"]))
    try:
        fault = difference(vector["expect"], got)
    except (TypeError, ValueError, KeyError, AttributeError, struct.error) as error:
        return Verdict(vector, "error", f"malformed answer: {type(error).__name__}: {error}", got)
    return Verdict(vector, "fail" if fault else "pass", fault, got)


def undeclared(vector: Json, description: Json) -> str:
    """Return why a vector does not concern an implementation, or nothing."""
    if vector["profile"] not in description["profiles"]:
        return f"profile {vector['profile']} is not declared"
    if vector["operation"] not in description.get("operations", [vector["operation"]]):
        return f"operation {vector['operation']} is not declared"
    missing = (set(_dtypes(vector["input"])) & DTYPES) - set(description.get("dtypes", DTYPES))
    return f"dtype {', '.join(sorted(missing))} is not declared" if missing else ""


def _dtypes(item: Any) -> Iterator[str]:
    if isinstance(item, dict):
        if isinstance(item.get("dtype"), str):
            yield item["dtype"]
        yield from item.get("dtypes", [])
        for member in item.values():
            yield from _dtypes(member)
    elif isinstance(item, list):
        for member in item:
            yield from _dtypes(member)
