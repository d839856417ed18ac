"""How a vector is made: an input, and the oracle's answer unless one is given by hand.

An answer by hand and the oracle's are compared at once, so neither can drift.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from multiprune_conformance import oracle
from multiprune_conformance.oracle_encoding import read_amount, read_mask
from multiprune_conformance.oracle_implementation import Oracle, _in_order, _scores

Json = dict[str, Any]
LARGE = 256  # masks above this size are stored as a count and a digest
DRAWN = {  # which bits of the generator's state make an entry
    "float64": (0, "bfefffff"), "float32": (0, "bf7fffff"), "bfloat16": (16, "bf7f"),
    "float16": (16, "bbff"), "float8_e4m3fn": (24, "ff"), "float8_e5m2": (24, "ff"),
    "int8": (24, "ff"), "uint8": (24, "ff"), "int32": (0, "800000ff"),
}  # fmt: skip


class Area:
    """Collects the vectors of one file."""

    def __init__(self, name: str, notes: dict[str, tuple[str, str]]) -> None:
        self.name = name
        self.notes = {flag: {"hunts": h, "effect": e} for flag, (h, e) in notes.items()}
        self.vectors: list[Json] = []

    def add(
        self,
        ident: str,
        title: str,
        clauses: str,
        flag: str,
        operation: str,
        request: Json,
        expect: Json | None = None,
        profile: str = "parity",
    ) -> None:
        """Add one vector; `expect` by hand is checked against the oracle."""
        answer = Oracle().run(operation, request)
        if expect is not None and expect != answer:
            raise SystemExit(f"{ident}: by hand {expect}, by the oracle {answer}")
        self.vectors.append(
            {
                "id": ident,
                "title": title,
                "clauses": list(dict.fromkeys(clauses.split())),
                "profile": profile,
                "flags": flag.split(),
                "source": "generated" if expect is None else "by hand",
                "operation": operation,
                "input": request,
                "expect": shrink(answer),
            }
        )

    def prune(
        self,
        ident: str,
        title: str,
        clauses: str,
        flag: str,
        tensors: list[Json],
        expect: list[list[int]] | str | None = None,
        **options: Any,
    ) -> None:
        """Add a pruning; a tie at the cut makes two vectors, one for each profile."""
        profile = options.pop("profile", None)
        request = {"tensors": tensors, **options}
        answer: Json | None = None
        if isinstance(expect, str):
            answer = {"error": expect}
        elif expect is not None:
            shapes = [tensor["shape"] for tensor in tensors]
            pairs = zip(shapes, expect, strict=True)
            answer = {"masks": [{"shape": shape, "data": data} for shape, data in pairs]}
        free = open_choice(request) if profile in (None, "parity") else None
        if profile is None:
            profile = "parity" if free is None else "deterministic"
        given = clauses if free is None else f"{clauses} TIE-01 DEV-06"
        self.add(ident, title, given, flag, "prune", request, answer, profile)
        if free is not None:
            sibling = dict(self.vectors[-1], id=f"{ident}.any", profile="parity", expect=free)
            sibling["title"] = f"{title}; any choice among equals"
            sibling["clauses"] = [*dict.fromkeys([*clauses.split(), "TIE-05"])]
            if len(str(free)) < 4000:
                self.vectors.append(sibling)

    def file(self) -> Json:
        """Return the contents of the area's file."""
        return {
            "format": 1,
            "suite": "2026.11",
            "area": self.name,
            "notes": self.notes,
            "vectors": self.vectors,
        }


def open_choice(request: Json) -> Json | None:
    """Return what any choice among the entries tied at the cut looks like, if there is one."""
    if request.get("method", "l1_unstructured") != "l1_unstructured":
        return None
    answer = Oracle().run("prune", request)
    cut = Oracle().run("cut", request)
    if "error" in answer or cut["threshold"] == "-1":
        return None
    threshold = int(cut["threshold"], 16)
    tensors, order = _in_order(request["tensors"])
    names = [array.name for array in _scores(request, tensors)]
    common, signed = oracle.promote(names), request.get("signed", False)
    ordered = [answer["masks"][place] for place in order]
    masks, gone = [], 0
    for tensor, score, mask in zip(tensors, _scores(request, tensors), ordered, strict=True):
        key = oracle.keys(oracle.convert(score, common), signed=signed).reshape(-1)
        prior = read_mask(tensor.get("mask"))
        live = np.ones(key.size) if prior is None else prior.reshape(-1)
        tied = (key == threshold) & (live == 1)
        data = [None if t else bit for t, bit in zip(tied, mask["data"], strict=True)]
        gone += sum(1 for t, bit in zip(tied, mask["data"], strict=True) if t and bit == 0)
        masks.append({"shape": mask["shape"], "data": data})
    free = sum(entry is None for mask in masks for entry in mask["data"])
    if gone == free:
        return None
    return {"masks": [masks[place] for place in np.argsort(order)], "gone": gone}


def shrink(answer: Json) -> Json:
    """Replace large masks by what a judge can compare."""
    if "masks" not in answer:
        return answer
    small = []
    for mask in answer["masks"]:
        bits = np.array(mask["data"], dtype=np.int64)
        if bits.size > LARGE:
            packed = hashlib.sha256(oracle.pack(bits)).hexdigest()
            kept = int(bits.sum())
            mask = {"shape": mask["shape"], "kept": kept, "sha256": packed}
        small.append(mask)
    return {"masks": small}


def array(data: Any, dtype: str = "float32", **more: Any) -> Json:
    """Return an array of the protocol from nested lists of exact values."""
    values = np.array(data, dtype=np.float64 if "float" in dtype else None)
    flat = [number(x) for x in values.reshape(-1).tolist()]
    return {"dtype": dtype, "shape": list(values.shape), "data": flat, **more}


def number(value: Any) -> Any:
    """Return a value as JSON carries it without loss."""
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        if value == 0 and math.copysign(1, value) < 0:
            return "-0.0"
        if value == int(value):
            return int(value)
    return value


def bits(words: list[str], dtype: str, shape: list[int] | None = None, **more: Any) -> Json:
    """Return an array of the protocol from bit patterns."""
    return {"dtype": dtype, "shape": shape or [len(words)], "bits": words, **more}


def drawn(shape: list[int], start: int, dtype: str = "float32", **more: Any) -> Json:
    """Return an array of the protocol that a generator fills, with ties in narrow dtypes."""
    shift, keep = DRAWN[dtype]
    rule = {"start": start, "shift": shift, "mask": keep}
    return {"dtype": dtype, "shape": shape, "lcg": rule, **more}


def drawn_mask(shape: list[int], start: int) -> Json:
    """Return a mask of the protocol that a generator fills: about half of it is 1."""
    return {"shape": shape, "lcg": {"start": start, "shift": 20, "mask": "1"}}


def mask(data: Any) -> Json:
    """Return a mask of the protocol from nested lists."""
    values = np.array(data)
    return {"shape": list(values.shape), "data": values.reshape(-1).tolist()}


def whole(value: int | str) -> Json:
    """Return an integer amount."""
    return {"kind": "int", "value": value}


def part(value: float | str) -> Json:
    """Return a float amount; hexadecimal floats and names as text."""
    return {"kind": "float", "value": value}


def ratio(top: int, bottom: int) -> Json:
    """Return a fraction as an amount or a share."""
    return {"kind": "fraction", "value": [top, bottom]}


__all__ = [
    "Area", "array", "bits", "drawn", "drawn_mask", "mask", "number", "part", "ratio",
    "read_amount", "whole",
]  # fmt: skip
