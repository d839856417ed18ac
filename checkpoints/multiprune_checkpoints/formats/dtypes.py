"""Dtypes as files write them, and blocks of raw bytes → keys. No ml_dtypes: bits suffice.

Clauses: NUM-02 to NUM-10, TYPE-01 to TYPE-08.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from multiprune.keys import Format, format_of, order, score_of

__all__ = ["BITS", "CODES", "NAMES", "is_float", "keys_of"]

_Array = npt.NDArray[Any]

CODES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}
"""The dtypes of safetensors by the name that ranking knows them by."""

NAMES = {name: code for code, name in CODES.items()}

_SUB_BYTE = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
BITS = _SUB_BYTE | {
    code: 8 * int(np.dtype(name).itemsize)
    for code, name in CODES.items()
    if name not in ("bfloat16",) and not name.startswith("float8")
}
BITS |= {code: 16 if code == "BF16" else 8 for code in CODES if code not in BITS}
"""How many bits an entry takes, by code; unknown codes are not listed."""


def is_float(name: str) -> bool:
    """Whether a dtype is a float that can be ranked."""
    return name in NAMES and name.startswith(("float", "bfloat")) and name != "float8_e8m0fnu"


def keys_of(raw: Any, name: str, fmt: Format, *, signed: bool) -> _Array:
    """Turn raw little-endian entries into ordered keys.

    Parameters
    ----------
    raw : bytes-like
        Whole entries.
    name : str
        Their dtype.
    fmt : Format
        What they are ranked as: their own dtype, or the one it is promoted to.
    signed : bool
        Rank scores as they are, instead of by magnitude.

    Returns
    -------
    unsigned integer array
        May be a view of `raw` where keys are the entries themselves.
    """
    source = format_of(name)
    if source.kind == "complex":
        with np.errstate(all="ignore"):
            values = np.frombuffer(raw, f"<c{source.bits // 4}")
            bits = np.abs(values.astype(f"c{fmt.bits // 4}")).view(f"u{fmt.bits // 8}")
    else:
        bits = np.frombuffer(raw, f"<u{source.bits // 8}")
        if source != fmt:
            bits = _convert(bits, source, fmt)
    keys: _Array = order(bits, fmt, signed=signed, xp=np)
    return keys


def _convert(bits: _Array, source: Format, fmt: Format) -> _Array:
    """Convert entries by way of values that hold them exactly; halves by way of float32."""
    width = f"u{fmt.bits // 8}"
    if source.kind in ("int", "uint"):
        values = bits.view(f"{source.kind[0]}{source.bits // 8}")
        if fmt.kind in ("int", "uint"):
            return values.astype(f"{fmt.kind[0]}{fmt.bits // 8}").view(width)
    elif source.bits == 64:
        values = bits.view("f8")
    else:
        values = _as_single(bits, source)
    with np.errstate(invalid="ignore", over="ignore"):
        if fmt.bits > 16:
            return values.astype(f"f{fmt.bits // 8}").view(width)
        single = values.astype("f4")
        if fmt.name == "float16":
            return single.astype("f2").view(width)
    return _to_bfloat16(single)


def _as_single(bits: _Array, source: Format) -> _Array:
    """Return floats of up to 32 bits as float32, exactly."""
    if source.bits == 32:
        return bits.view("f4")
    if source.name == "bfloat16":
        return (bits.astype("u4") << 16).view("f4")
    if source.bits == 8:
        return _table(source.name)[bits]
    return bits.view("f2").astype("f4")


def _to_bfloat16(single: _Array) -> _Array:
    """Round to nearest, ties to even, on the bits."""
    bits = single.view("u4")
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(single), 0x7FC0, rounded).astype("u2")


@cache
def _table(name: str) -> _Array:
    """Return the value of each of the 256 patterns of an eight-bit float."""
    fmt = format_of(name)
    patterns = np.arange(256, dtype="u1")
    keys = order(patterns, fmt, signed=False, xp=np)
    values = np.array([score_of(int(key), fmt) for key in keys], dtype="f4")
    return np.where(patterns >> 7 == 1, -values, values)
