"""Ordered keys of traced arrays, by operations on integers only.

XLA flushes subnormals when it compares or converts floats on a CPU, so floats are never touched:
bits are widened and ordered as integers. What every leaf needs is written in operations of
`jax.lax`, which are traced several times faster than those of `jax.numpy`. Draws are Philox in
words of 32 bits, for JAX has no wider ones unless x64 is on.
Clauses: NUM, TYPE-04, TYPE-05, RAND-01 to RAND-03. The order is that of `multiprune.keys.order`.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from multiprune.keys import Format, format_of

__all__ = ["draws", "flat_index", "ordered"]


def ordered(scores: jax.Array, fmt: Format, *, signed: bool) -> jax.Array:
    """Return ordered keys, in the shape of the scores.

    Parameters
    ----------
    scores : array
    fmt : Format
        What they are ranked as.
    signed : bool
        Rank them as they are, instead of by magnitude.

    Returns
    -------
    unsigned integer array

    Notes
    -----
    Clauses NUM-01 to NUM-15, TYPE-04, TYPE-05.
    """
    scores = lax.stop_gradient(scores)
    source = format_of(scores.dtype.name)
    if fmt.kind == "complex":
        scores, fmt = lax.abs(lax.convert_element_type(scores, jnp.dtype(fmt.name))), fmt.real
    elif source.name != fmt.name and source.kind != "float":
        if fmt.kind == "float" and fmt.bits < 32:
            scores = lax.convert_element_type(scores, jnp.float32)
        scores = lax.convert_element_type(scores, jnp.dtype(fmt.name))
    source = format_of(scores.dtype.name)
    bits = lax.bitcast_convert_type(scores, _unsigned(source.bits))
    if source.name != fmt.name:
        bits = _widen(bits, source, fmt)
    return _order(bits, fmt, signed)


def _order(bits: jax.Array, fmt: Format, signed: bool) -> jax.Array:
    word: Any = bits.dtype.type
    if fmt.kind == "uint":
        return bits
    if fmt.kind == "int" and signed:
        return jnp.bitwise_xor(bits, word(fmt.sign))
    if fmt.kind == "int":
        negative = bits >> word(fmt.bits - 1)
        return jnp.add(bits ^ (word(0) - negative), negative)
    keys = lax.bitwise_and(bits, word(fmt.sign - 1))
    if fmt.fnuz:
        keys = jnp.where(bits == word(fmt.sign), bits, keys)
    else:
        keys = lax.min(keys, word(fmt.nan))
    if not signed:
        return keys
    if fmt.fnuz:  # the key of NaN needs a ninth bit
        word, bits, keys = np.uint16, bits.astype(jnp.uint16), keys.astype(jnp.uint16)
    below = (bits >= word(fmt.sign)) & (keys < word(fmt.nan))
    return jnp.where(below, word(fmt.sign) - keys, word(fmt.sign) + keys)


def _widen(bits: jax.Array, source: Format, target: Format) -> jax.Array:
    """Convert a float's bits to a wider format, exactly."""
    word = np.dtype(f"uint{max(target.bits, 16)}").type
    wide = bits.astype(word)
    sign = (wide >> word(source.bits - 1)) << word(target.bits - 1)
    magnitude = wide & word(source.sign - 1)
    old, new = (f.bits - 1 - f.exponent for f in (source, target))  # widths of the mantissas
    if source.exponent == target.exponent and not source.fnuz:
        result = magnitude << word(new - old)
    else:
        field = magnitude >> word(old)
        normal = field > word(0)
        significand = magnitude & word((1 << old) - 1) | normal.astype(word) << word(old)
        # How far the leading one of a subnormal lies below where a normal number has it.
        lead = lax.clz(significand) - word(8 * np.dtype(word).itemsize - 1 - old)
        full = significand << (lead + word(new - old))
        exponent = jnp.maximum(field, word(1)).astype(jnp.int32) - lead.astype(jnp.int32)
        exponent += _bias(target) - _bias(source)
        normal_there = (exponent.astype(word) << word(new)) + full - word(1 << new)
        subnormal_there = full >> jnp.maximum(1 - exponent, 0).astype(word)
        result = jnp.where(exponent > 0, normal_there, subnormal_there)
        result = jnp.where(significand == word(0), word(0), result)
    nan = wide == word(source.sign) if source.fnuz else magnitude >= word(source.nan)
    if not (source.fnuz or source.name == "float8_e4m3fn"):
        result = jnp.where(magnitude == word(source.nan - 1), word(target.nan - 1), result)
    return jnp.where(nan, word(target.nan), sign | result)


def _bias(fmt: Format) -> int:
    return (1 << (fmt.exponent - 1)) - (not fmt.fnuz)


def flat_index(
    shape: tuple[int, ...],
    nought: jax.Array | None = None,
    *,
    axes: tuple[int, ...] | None = None,
) -> jax.Array:
    """Return every entry's row-major index, uint32, without reshaping anything.

    Parameters
    ----------
    shape : tuple of int
    nought : array, optional
        A traced 0, that says when the indices are computed.
    axes : tuple of int, optional
        Among the entries along these dimensions only.
    """
    sizes = [size if axes is None or dim in axes else 1 for dim, size in enumerate(shape)]
    index: jax.Array | None = None
    for dim, size in enumerate(sizes):
        if size > 1:
            part = lax.broadcasted_iota(np.uint32, shape, dim)
            if (stride := math.prod(sizes[dim + 1 :])) > 1:
                part = lax.mul(part, np.uint32(stride))
            index = part if index is None else lax.add(index, part)
    if index is None:
        return jnp.zeros(shape, jnp.uint32)
    return index if nought is None else lax.add(index, nought)


def draws(seed: int, offset: int, shape: tuple[int, ...]) -> jax.Array:
    """Return the draws of a tensor whose first entry has position `offset`: uint32.

    Notes
    -----
    Clauses RAND-01 to RAND-03. Source: see `multiprune.draws`.
    """
    index = flat_index(shape)
    low = index + np.uint32(offset & 0xFFFF_FFFF)
    high = np.uint32(offset >> 32) + (low < index).astype(jnp.uint32)
    zero = jnp.zeros_like(low)
    c: list[Any] = [low >> np.uint32(2) | high << np.uint32(30), high >> np.uint32(2), zero, zero]
    k0, k1 = seed & 0xFFFF_FFFF, seed >> 32
    for _ in range(10):
        high0, low0 = _product(c[0], 0xD251_1F53)
        high2, low2 = _product(c[2], 0xCD9E_8D57)
        c = [high2 ^ c[1] ^ np.uint32(k0), low2, high0 ^ c[3] ^ np.uint32(k1), low0]
        k0, k1 = (k0 + 0x9E37_79B9) & 0xFFFF_FFFF, (k1 + 0xBB67_AE85) & 0xFFFF_FFFF
    word = low & np.uint32(3)
    return lax.select_n(word.astype(jnp.int32), *c)


def _product(a: jax.Array, b: int) -> tuple[jax.Array, jax.Array]:
    """Return the high and the low word of a product, by halves of words."""
    half, mask = np.uint32(16), np.uint32(0xFFFF)
    a1, a0, b1, b0 = a >> half, a & mask, np.uint32(b >> 16), np.uint32(b & 0xFFFF)
    middle = a1 * b0 + (a0 * b0 >> half)
    other = a0 * b1 + (middle & mask)
    return a1 * b1 + (middle >> half) + (other >> half), a * np.uint32(b)


def _unsigned(bits: int) -> Any:
    return jnp.dtype(f"uint{bits}")
