"""The oracle's packed masks and their digest (SPEC.md 12)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from multiprune_conformance.oracle_dtypes import Array


def pack(mask: Any) -> bytes:
    """Return one bit per entry, the first entry in the lowest bit (FILE-01, FILE-02)."""
    flat = np.asarray(mask).reshape(-1) == 1
    return np.packbits(flat, bitorder="little").tobytes()


def unpack(packed: bytes, shape: tuple[int, ...]) -> Array:
    """Return the mask of a shape from its packed bytes."""
    size = int(np.prod(shape, dtype=np.int64))
    bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8), bitorder="little")
    return np.asarray(bits[:size].reshape(shape) == 1)


def digest(masks: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a set of named masks (FILE-03)."""
    state = hashlib.sha256()
    for name in sorted(masks):  # Python orders text by code point (TIE-04)
        shape = np.asarray(masks[name]).shape
        encoded = name.encode()
        state.update(len(encoded).to_bytes(8, "little") + encoded)
        for number in (len(shape), *shape):
            state.update(int(number).to_bytes(8, "little"))
        state.update(pack(masks[name]))
    return state.hexdigest()
