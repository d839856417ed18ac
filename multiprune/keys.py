"""Scores → ordered unsigned keys. Formats by name, their promotion, and the bit rules.

`order` is written once for every backend that can show its entries' bits as unsigned integers.
Clauses: NUM, TYPE. Source of the promotion table: ``torch.cat`` of torch 2.13.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

from multiprune._array import Array
from multiprune.errors import DtypeError

__all__ = ["Format", "format_of", "key_bits", "order", "promote", "score_of"]


@dataclass(frozen=True)
class Format:
    """A dtype as ranking sees it.

    Attributes
    ----------
    name : str
        The dtype's name in NumPy and ml_dtypes, for example ``"bfloat16"``.
    kind : {"float", "int", "uint", "complex"}
    bits : int
        Width of an entry; of its real part where complex.
    exponent : int
        Bits of the exponent, floats only.
    nan : int
        Key of every NaN, and the largest key (magnitudes; 0 where there are no NaNs).
    """

    name: str
    kind: Literal["float", "int", "uint", "complex"]
    bits: int
    exponent: int = 0
    nan: int = 0

    @property
    def sign(self) -> int:
        """The sign bit's mask."""
        return 1 << (self.bits - 1)

    @property
    def fnuz(self) -> bool:
        """Whether 0x80, elsewhere -0, is the one NaN, and there is no infinity."""
        return self.name.endswith("fnuz")

    @property
    def real(self) -> Format:
        """What entries are ranked as: a complex one by its modulus."""
        return _FORMATS[f"float{self.bits}"] if self.kind == "complex" else self


def _ieee(name: str, bits: int, exponent: int) -> Format:
    infinity = ((1 << exponent) - 1) << (bits - 1 - exponent)
    return Format(name, "float", bits, exponent, infinity + 1)


_FORMATS = {
    f.name: f
    for f in (
        _ieee("float16", 16, 5),
        _ieee("bfloat16", 16, 8),
        _ieee("float32", 32, 8),
        _ieee("float64", 64, 11),
        _ieee("float8_e5m2", 8, 5),
        Format("float8_e4m3fn", "float", 8, 4, 0x7F),
        Format("float8_e4m3fnuz", "float", 8, 4, 0x80),
        Format("float8_e5m2fnuz", "float", 8, 5, 0x80),
        *(Format(f"int{bits}", "int", bits) for bits in (8, 16, 32, 64)),
        *(Format(f"uint{bits}", "uint", bits) for bits in (8, 16, 32, 64)),
        Format("complex64", "complex", 32),
        Format("complex128", "complex", 64),
    )
}
_HINTS = {
    "bool": "A mask is not a score: rank the values that it masks, or pass importance_scores.",
    "float8_e8m0fnu": "It holds scales, not values: leave it out, or pass importance_scores.",
}


def format_of(name: str) -> Format:
    """Return the format of the dtype called `name`.

    Raises
    ------
    DtypeError
        If entries of that dtype cannot be ranked: bool, e8m0, sub-byte, text (a TypeError).

    Notes
    -----
    Clauses NUM-12, NUM-13.
    """
    try:
        return _FORMATS[name]
    except KeyError:
        hint = _HINTS.get(name, "Leave such tensors out, or pass importance_scores for them.")
        raise DtypeError(
            f"dtype {name} cannot be ranked. Rule: scores are floats of 8 to 64 bits, integers, or "
            f"complex64/128 [NUM-13]. {hint}"
        ) from None


def promote(names: Iterable[str]) -> Format:
    """Return the format in which tensors of these dtypes are ranked together.

    Parameters
    ----------
    names : iterable of str
        At least one dtype name. Their order does not matter.

    Raises
    ------
    DtypeError
        If ``torch.cat`` refuses two of them (float8 beside floats excepted; a TypeError).

    Notes
    -----
    Clauses TYPE-01 to TYPE-08: torch.cat's table. A float8 tensor goes to its partners' dtype, or
    to float32 beside another float8 format.
    """
    formats = list(dict.fromkeys(map(format_of, names)))
    _check_together(formats)
    small = [f for f in formats if f.kind == "float" and f.bits == 8]
    others = [f for f in formats if f not in small]
    if not others:
        return small[0] if len(small) == 1 else _FORMATS["float32"]
    return reduce(_wider, others)


def _check_together(formats: list[Format]) -> None:
    """Refuse what torch.cat refuses: wide unsigned integers, and float8, beside integers."""
    integers = [f for f in formats if f.kind in ("int", "uint")]
    wide = [f for f in integers if f.kind == "uint" and f.bits > 8]
    small = [f for f in formats if f.kind == "float" and f.bits == 8]
    alien = [f for f in formats if f.kind == "complex"] + integers
    for one in wide + small:
        for other in alien if one in wide else integers:
            if other != one:
                raise DtypeError(
                    f"dtypes {one.name} and {other.name} cannot be ranked together. Rule: mixed "
                    "dtypes are promoted as torch.cat promotes them, and it refuses this pair "
                    "[TYPE-07]. Convert one of them."
                )


def _wider(a: Format, b: Format) -> Format:
    a, b = sorted((a, b), key=lambda f: (_RANK[f.kind], f.bits))
    if b.kind == "complex" and a.kind in ("float", "complex"):
        return _FORMATS["complex128"] if a.bits == 64 else b
    if a.kind == b.kind == "float" and a.bits == b.bits and a != b:
        return _FORMATS["float32"]  # float16 beside bfloat16
    if a.kind == "uint" and b.name == "int8":
        return _FORMATS["int16"]
    return b


_RANK = {"uint": 0, "int": 1, "float": 2, "complex": 3}


def order(bits: Array, fmt: Format, *, signed: bool, xp: Any) -> Array:
    """Turn raw bits into ordered unsigned keys, in a new array.

    Parameters
    ----------
    bits : unsigned integer array, shape (n,)
        The entries' bit patterns, as wide as `fmt` says. Not changed.
    fmt : Format
        What the bits encode; not complex (rank the modulus, as `Format.real`).
    signed : bool
        Rank scores as they are, instead of by magnitude.
    xp : namespace
        Where the array comes from; ``minimum`` and ``where`` are taken from it.

    Returns
    -------
    unsigned integer array, shape (n,)
        Keys that sort as the scores do: -0 as +0, subnormals in order, every NaN one key, the
        largest; at most `key_bits` wide.

    Notes
    -----
    Clauses NUM-01 to NUM-10, NUM-14, NUM-15.
    """
    if fmt.kind == "uint":
        return bits
    if fmt.kind == "int":
        if signed:
            return bits ^ fmt.sign
        negative = bits >> (fmt.bits - 1)
        return (bits ^ negative * (2 * fmt.sign - 1)) + negative  # two's complement: |x| = ~x + 1
    keys = bits & (fmt.sign - 1)
    if fmt.fnuz:
        keys = xp.where(bits == fmt.sign, bits, keys)
    elif keys.size and keys.max() > fmt.nan:  # NaNs are rare, and looking is cheaper than clipping
        keys = xp.minimum(keys, fmt.nan)
    if not signed:
        return keys
    if fmt.fnuz:  # the key of NaN needs a ninth bit
        bits, keys = bits.astype(xp.uint16), keys.astype(xp.uint16)
    return xp.where((bits >= fmt.sign) & (keys < fmt.nan), fmt.sign - keys, fmt.sign + keys)


def key_bits(fmt: Format, *, signed: bool) -> int:
    """Return how many bits the keys of a format need.

    A magnitude has no sign bit, so that float32 needs 31 (an int8's magnitude goes up to 128).
    """
    if fmt.kind == "float" and not fmt.fnuz and not signed:
        return fmt.bits - 1
    return fmt.bits + (fmt.fnuz and signed)


def score_of(key: int, fmt: Format, *, signed: bool = False) -> float:
    """Return the score that has this key, as a Python number.

    Parameters
    ----------
    key : int
        A key of `order`; below 0 means that nothing is pruned.
    fmt : Format
    signed : bool

    Returns
    -------
    float or int
        NaN for the key of NaNs; for magnitudes, the magnitude.
    """
    if signed and fmt.kind != "uint":
        key -= fmt.sign
    if fmt.kind in ("int", "uint"):
        return key
    sign, key = (-1, -key) if key < 0 else (1, key)
    if key >= fmt.nan:
        return math.nan
    if not fmt.fnuz and fmt.name != "float8_e4m3fn" and key == fmt.nan - 1:
        return sign * math.inf
    mantissa_bits = fmt.bits - 1 - fmt.exponent
    bias = (1 << (fmt.exponent - 1)) - (not fmt.fnuz)
    exponent, mantissa = key >> mantissa_bits, key & ((1 << mantissa_bits) - 1)
    if exponent == 0:
        return sign * math.ldexp(mantissa, 1 - bias - mantissa_bits)
    return sign * math.ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits)
