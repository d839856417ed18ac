"""Judges answers: compares each with what its vector expects, and gives a verdict."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from multiprune_conformance.description import DTYPES, Usage, checked
from multiprune_conformance.loader import Suite

Json = dict[str, Any]
VERDICTS = ("pass", "fail", "error", "skip", "xfail", "xpass")
PACKING = {"float16": "<e", "float32": "<f", "float64": "<d"}


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


def difference(expect: Json, got: Json) -> str:
    """Return how an answer differs from what is expected, or nothing."""
    if ("error" in expect or "error" in got) and "steps" not in expect:
        return _unequal("error", expect.get("error"), got.get("error"))
    if "masks" in expect:
        return _masks(expect, got["masks"])
    if "steps" in expect:
        return _steps(expect["steps"], got["steps"])
    for name, value in expect.items():
        if fault := _unequal(name, value, got.get(name)):
            return fault
    return ""


def _unequal(name: str, expect: Any, got: Any) -> str:
    if type(expect) is type(got) and expect == got:
        return ""
    return f"{name}: expected {expect!r}, got {got!r}"


def _masks(expect: Json, got: list[Json]) -> str:
    if len(expect["masks"]) != len(got):
        return f"expected {len(expect['masks'])} masks, got {len(got)}"
    gone = 0
    for place, (want, have) in enumerate(zip(expect["masks"], got, strict=True)):
        bits = have["data"]
        if any(type(bit) is not int or bit not in (0, 1) for bit in bits):
            return f"mask {place}: holds other values than 0 and 1"
        if want["shape"] != have["shape"]:
            return f"mask {place}: expected shape {want['shape']}, got {have['shape']}"
        if "sha256" in want:
            if fault := _digested(want, bits):
                return f"mask {place}: {fault}"
            continue
        if len(want["data"]) != len(bits):
            return f"mask {place}: expected {len(want['data'])} entries, got {len(bits)}"
        for entry, (bit, is_) in enumerate(zip(want["data"], bits, strict=True)):
            if bit is None:
                gone += 1 - is_
            elif bit != is_:
                return f"mask {place}, entry {entry}: expected {bit}, got {is_} in {bits}"
    return _unequal("entries gone among equals", expect["gone"], gone) if "gone" in expect else ""


def _digested(want: Json, bits: list[int]) -> str:
    padded = bits + [0] * (-len(bits) % 8)
    packed = bytes(
        sum(bit << place for place, bit in enumerate(padded[start : start + 8]))
        for start in range(0, len(padded), 8)
    )
    if sum(bits) != want["kept"]:
        return f"expected {want['kept']} kept entries, got {sum(bits)}"
    return "" if hashlib.sha256(packed).hexdigest() == want["sha256"] else "other entries are kept"


def _steps(expect: list[Json], got: list[Json]) -> str:
    if len(expect) != len(got):
        return f"expected {len(expect)} steps, got {len(got)}"
    for place, (want, have) in enumerate(zip(expect, got, strict=True)):
        if fault := _unequal("error", want.get("error"), have.get("error")):
            return f"step {place}: {fault}"
        for name, parameter in want["state"].items():
            for part in ("value", "orig", "mask"):
                one, other = _plain(parameter[part]), _plain(have["state"][name][part])
                if one != other:
                    return f"step {place}, {name}, {part}: expected {one}, got {other}"
        if extra := set(have["state"]) - set(want["state"]):
            return f"step {place}: unexpected {sorted(extra)}"
    return ""


def _plain(item: Json | None) -> Any:
    """Return an array or mask in one form: shape, and bits with one NaN."""
    if item is None or "dtype" not in item:
        return item and (item["shape"], item["data"])
    words = item.get("bits")
    if words is None:
        code = PACKING[item["dtype"]]
        packed = [struct.pack(code, float(number)) for number in item["data"]]
        words = [word[::-1].hex() for word in packed]
    nan = {"float32": 0x7F800000, "float16": 0x7C00, "float64": 0x7FF0 << 48}[item["dtype"]]
    top = 1 << (4 * len(words[0]) - 1) if words else 1
    return item["shape"], ["NaN" if int(w, 16) % top > nan else w.lower() for w in words]
