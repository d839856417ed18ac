"""What differs between an answer and what a vector expects."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

from multiprune_conformance.description import Json

PACKING = {"float16": "<e", "float32": "<f", "float64": "<d"}


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
