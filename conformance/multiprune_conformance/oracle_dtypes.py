"""The oracle's dtypes: storage, promotion, conversion, keys (SPEC.md 2 and 3).

NumPy only. Formats that NumPy lacks are held as their bits, so an array is
always (dtype name, bits or values). Conversions go through float64, which holds
every narrower float exactly, and never through a type that could flush.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Refused(ValueError):  # noqa: N818 - the name that the tests read
    """A request that the specification refuses; `kind` is from its closed list."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Format(NamedTuple):
    """A binary float: width and mantissa in bits, exponent bias, key of NaN (NUM-04)."""

    width: int
    mantissa: int
    bias: int
    nan: int


FORMATS = {
    "float64": Format(64, 52, 1023, 0x7FF0000000000001),
    "float32": Format(32, 23, 127, 0x7F800001),
    "bfloat16": Format(16, 7, 127, 0x7F81),
    "float16": Format(16, 10, 15, 0x7C01),
    "float8_e5m2": Format(8, 2, 15, 0x7D),
    "float8_e4m3fn": Format(8, 3, 7, 0x7F),
    "float8_e5m2fnuz": Format(8, 2, 16, 0x80),
    "float8_e4m3fnuz": Format(8, 3, 8, 0x80),
}
FLOAT8 = {name for name, form in FORMATS.items() if form.width == 8}
SIGNED = ("int8", "int16", "int32", "int64")
WIDE_UNSIGNED = {"uint16", "uint32", "uint64"}
INTEGERS = {*SIGNED, "uint8", *WIDE_UNSIGNED}
COMPLEX = {"complex64": "float32", "complex128": "float64"}


class Typed(NamedTuple):
    """An array and the name of its dtype: floats as unsigned bits, others as values."""

    name: str
    data: Array


def typed(array: Any) -> Typed:
    """Read a NumPy or ml_dtypes array, or a pair (dtype name, bits)."""
    if isinstance(array, Typed):
        return array
    if isinstance(array, tuple) and len(array) == 2 and isinstance(array[0], str):
        name, data = array[0], np.asarray(array[1])
    else:
        data = np.asarray(array)
        name = data.dtype.name
    if name in FORMATS:
        return Typed(name, _reinterpret(data, f"uint{FORMATS[name].width}"))
    if name in INTEGERS:
        return Typed(name, _reinterpret(data, name))
    if name in COMPLEX:
        return Typed(name, data.astype(name, copy=False))
    # NUM-12, NUM-13: booleans, sub-byte types, e8m0, extended floats, objects.
    raise Refused("dtype", f"{name} scores cannot be ranked")


def _reinterpret(data: Array, name: str) -> Array:
    native = np.dtype(data.dtype).newbyteorder("=") if data.dtype.kind in "iufc" else data.dtype
    return np.array(data, dtype=native, order="C").view(name)


def promote(names: list[str]) -> str:
    """Return the one dtype in which these are ranked (TYPE-02 to TYPE-09)."""
    kinds = set(names)
    floats = kinds & (set(FORMATS) - FLOAT8)
    float8, integers, complexes = kinds & FLOAT8, kinds & INTEGERS, kinds & set(COMPLEX)
    if unknown := kinds - set(FORMATS) - INTEGERS - set(COMPLEX):
        raise Refused("dtype", f"{sorted(unknown)} cannot be ranked")  # NUM-12, NUM-13
    if kinds & WIDE_UNSIGNED and (len(integers) > 1 or complexes):
        raise Refused("dtype", f"no dtype holds all of {sorted(kinds)}")  # TYPE-07
    if float8 and integers:
        raise Refused("dtype", f"no dtype holds all of {sorted(kinds)}")  # TYPE-07
    if complexes:  # TYPE-08
        return "complex128" if "complex128" in kinds or "float64" in kinds else "complex64"
    if floats:  # TYPE-03, TYPE-04, TYPE-06
        if len(floats) == 1:
            return next(iter(floats))
        return "float64" if "float64" in floats else "float32"
    if float8:  # TYPE-06
        return next(iter(float8)) if len(float8) == 1 else "float32"
    if len(integers) == 1:
        return next(iter(integers))
    widest = max((name for name in integers if name != "uint8"), key=SIGNED.index)
    return "int16" if "uint8" in integers and widest == "int8" else widest  # TYPE-02


def decode(name: str, bits: Array) -> NDArray[np.float64]:
    """Return the exact values of float bits as float64."""
    form = FORMATS[name]
    if name == "float64":
        return np.array(bits, dtype=np.uint64).view(np.float64)
    wide = bits.astype(np.int64)
    magnitude = wide & ((1 << (form.width - 1)) - 1)
    exponent, fraction = magnitude >> form.mantissa, magnitude & ((1 << form.mantissa) - 1)
    normal = exponent > 0
    significand = np.where(normal, fraction + (1 << form.mantissa), fraction)
    power = np.maximum(exponent, 1) - form.bias - form.mantissa
    value = np.ldexp(significand.astype(np.float64), power)
    key = magnitude_key(name, bits).astype(np.int64)
    # In the formats that have an infinity, its key is the one below NaN's (NUM-04).
    has_infinity = name in {"float32", "bfloat16", "float16", "float8_e5m2"}
    value = np.where(has_infinity & (key == form.nan - 1), np.inf, value)
    value = np.where(key == form.nan, np.nan, value)
    return np.where(wide >> (form.width - 1) == 1, -value, value)


def encode(name: str, values: Array) -> Array:
    """Return the bits of values in a float dtype, rounded to nearest, ties to even."""
    if name == "float64":
        return np.array(values, dtype=np.float64).view(np.uint64)
    # TYPE-04: a half is reached by way of float32, as in every framework. Float
    # values are exact in the target (TYPE-05), so rounding touches integers only.
    with np.errstate(over="ignore"):
        single = np.array(values, dtype=np.float32)
        if name == "float32":
            return single.view(np.uint32)
        if name == "float16":
            return single.astype(np.float16).view(np.uint16)
    bits = single.view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16)
    return np.where(np.isnan(single), 0x7FC0, rounded).astype(np.uint16)  # bfloat16


def convert(array: Any, name: str) -> Typed:
    """Convert an array to a dtype that `promote` gave (TYPE-01)."""
    source, data = typed(array)
    if source == name:
        return Typed(source, data)
    if name in COMPLEX:
        values = decode(source, data) if source in FORMATS else data
        return Typed(name, np.asarray(values).astype(name))
    if name in FORMATS:
        return Typed(name, encode(name, decode(source, data) if source in FORMATS else data))
    return Typed(name, data.astype(name))


def magnitude_key(name: str, bits: Array) -> Array:
    """Return the keys of float bits by magnitude (NUM-02 to NUM-08)."""
    form = FORMATS[name]
    sign = bits.dtype.type(1 << (form.width - 1))
    key: Array = bits & ~sign
    if form.nan == 0x80:  # fnuz: the pattern of negative zero is NaN (NUM-08)
        return np.asarray(np.where(bits == sign, sign, key))
    return np.asarray(np.minimum(key, bits.dtype.type(form.nan)))  # one NaN (NUM-04)


def keys(array: Any, *, signed: bool = False) -> Array:
    """Return unsigned integers that order as the scores do.

    Parameters
    ----------
    array
        Scores: a NumPy or ml_dtypes array, or a pair (dtype name, bits).
    signed
        Rank by value instead of magnitude (NUM-14, NUM-15).

    Returns
    -------
    Array
        Keys in the width of the dtype; signed keys of the fnuz formats need one more bit.
    """
    name, data = typed(array)
    if name in COMPLEX:
        if signed:
            raise Refused("dtype", "complex scores have no signed order")  # NUM-16
        with np.errstate(all="ignore"):
            return keys(np.abs(data))  # NUM-11
    if name in INTEGERS:
        return _integer_keys(name, data, signed)
    magnitude = magnitude_key(name, data)
    if not signed:
        return magnitude
    form = FORMATS[name]
    width = np.uint16 if form.nan == 0x80 else data.dtype.type
    zero = width(1 << (form.width - 1))
    negative = (data >> data.dtype.type(form.width - 1) == 1) & (magnitude != form.nan)
    wide = magnitude.astype(width)
    return np.where(negative, zero - wide, wide + zero)  # NUM-14


def _integer_keys(name: str, data: Array, signed: bool) -> Array:
    if name not in SIGNED:
        return data  # NUM-10
    unsigned = np.dtype(f"u{name}").type
    bits = data.view(unsigned)
    if signed:
        zero = unsigned(1 << (8 * data.dtype.itemsize - 1))
        return np.asarray(bits ^ zero)  # x + 2^(w-1), modulo 2^w (NUM-15)
    with np.errstate(over="ignore"):  # -0 wraps to 0; NumPy warns where there are no dimensions
        return np.asarray(np.where(data < 0, ~bits + unsigned(1), bits))  # NUM-09
