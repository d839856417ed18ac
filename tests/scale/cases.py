"""Cases by number: the same seed and number give the same tensors, masks and request anywhere.

Small tensors, few-valued or special bits, odd strides, prior masks, at times one fault. The bits
are made by Python's own generator, which costs less than NumPy's on a few entries.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
from multiprune_conformance.oracle_dtypes import FORMATS
from pools import where_of

Array = np.ndarray[Any, Any]

FLOATS = ["float16", "bfloat16", "float32", "float64"]
FLOAT8 = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
COMPLEX = ["complex64", "complex128"]
REAL = [*FLOATS, *FLOAT8, *INTEGERS]
SHAPES = [(), (0,), (1,), (3,), (7,), (16,), (2, 3), (3, 4), (5, 1), (0, 3), (2, 3, 2), (4, 9)]
# Moduli that every framework computes exactly, whichever way it takes.
MODULI: list[tuple[float, float]] = [
    (3, 4),
    (-4, 3),
    (5, 0),
    (0, -5),
    (1, 0),
    (-2, 0),
    (0, 8),
    (0, 0),
    (6, -8),
    (0.75, 1),
]
MODULI += [(math.inf, 1), (math.nan, 0), (-0.0, -0.0)]
FAULTS = [True, "0.5", None, -1, -0.25, 1.5, math.nan, math.inf, 1 + 0j, [1]]


@dataclass
class Case:
    """One problem: what is asked of both sides.

    Attributes
    ----------
    what : str
        "masks", "random", "structured", "cut" or "pools".
    goal : dict
        ``amount`` or ``sparsity``; of groups neither.
    where : dict
        Of "pools": scope, bounds or an allocation.
    """

    what: str
    tensors: list[Array]
    masks: list[Array | None]
    goal: dict[str, Any]
    signed: bool = False
    seed: int = 0
    channels: dict[str, Any] = field(default_factory=dict)
    where: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"what={self.what} goal={self.goal} signed={self.signed} seed={self.seed}"]
        lines += [f"channels={self.channels}"] if self.channels else []
        lines += [f"where={self.where}"] if self.where else []
        for tensor, mask in zip(self.tensors, self.masks, strict=True):
            words = np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).tobytes().hex()
            lines.append(f"{tensor.dtype.name}{list(tensor.shape)} bytes {words}")
            lines.append(f"  mask {None if mask is None else mask.tolist()}")
        return "\n".join(lines)


def case_of(seed: int, number: int) -> Case:
    """Return the case of a number."""
    draw = random.Random(seed << 40 | number)
    what = draw.choices(["masks", "random", "structured", "cut", "pools"], [12, 2, 2, 3, 19])[0]
    if what == "structured":
        return _structured(draw)
    names = _dtypes(draw, mixed=what not in ("random", "pools"))
    tensors = [_array(draw, draw.choice(names), draw.choice(SHAPES)) for _ in names]
    masks = [mask_of(draw, tensor.shape) for tensor in tensors]
    total = sum(tensor.size for tensor in tensors)
    live = sum(t.size if m is None else int(m.sum()) for t, m in zip(tensors, masks, strict=True))
    goal = goal_of(draw, total, live)
    signed = what != "random" and draw.random() < 0.4
    if what == "pools":
        where = where_of(draw, [tensor.shape for tensor in tensors])
        goal = {} if isinstance(where.get("scope"), tuple) else goal
        seed = draw.getrandbits(64) if draw.random() < 0.15 else -1  # at random
        return Case(what, tensors, masks, goal, signed and seed < 0, seed, where=where)
    if draw.random() < 0.03:
        fault = draw.choice(["amount", "sparsity", "shape", "values"])
        if fault in ("amount", "sparsity"):
            tensors, masks, signed = tensors[:1], [None], False  # one fault, and no other
            goal = {fault: draw.choice(FAULTS[:2] + FAULTS[3:])}
        else:
            place = draw.randrange(len(tensors))
            shape = tensors[place].shape
            wrong = (*shape, 2) if fault == "shape" else shape
            masks[place] = np.full(wrong, 1.0 if fault == "shape" else draw.choice([2.0, 0.5, -1]))
    return Case(what, tensors, masks, goal, signed, draw.getrandbits(draw.choice([3, 32, 64])))


def _dtypes(draw: random.Random, *, mixed: bool) -> list[str]:
    """One dtype for all tensors, or one for each: mixed, some that cannot be ranked together."""
    many = draw.choice([1, 1, 2, 3, 4])
    kind = draw.random()
    if kind < 0.6:
        return [draw.choice(REAL)] * many
    if kind < 0.65:
        return [draw.choice(COMPLEX)] * many
    pool = FLOATS if kind < 0.85 or not mixed else REAL + COMPLEX
    return [draw.choice(pool) for _ in range(many)]


def dtype(name: str) -> np.dtype[Any]:
    """Return the NumPy dtype, of ml_dtypes where NumPy has none."""
    return np.dtype(getattr(ml_dtypes, name, name))


def bits_of(draw: random.Random, name: str, size: int) -> Array:
    """Return a flat array of random, few-valued or special bit patterns."""
    kind = dtype(name)
    if kind.kind == "c":
        pairs = draw.choices(MODULI, k=size)
        return np.array([complex(*pair) for pair in pairs], dtype=kind).reshape(size)
    width = 8 * kind.itemsize
    if draw.random() < 0.3:
        return np.frombuffer(bytearray(draw.randbytes(size * kind.itemsize)), dtype=kind)
    sign, ones = 1 << (width - 1), (1 << width) - 1
    words = [0, sign, 1, sign | 1, ones, sign - 1, draw.getrandbits(width), draw.getrandbits(width)]
    if name in FORMATS:
        nan = FORMATS[name].nan
        words += [nan, nan - 1, (nan | sign) & ones, nan - 1 | sign, nan + 1]
    few = draw.sample(words, draw.choice([1, 2, 3, 5, len(words)]))
    return np.array(draw.choices(few, k=size), dtype=f"u{kind.itemsize}").view(kind)


def _array(draw: random.Random, name: str, shape: tuple[int, ...]) -> Array:
    array = bits_of(draw, name, math.prod(shape)).reshape(shape)
    layout = draw.random()
    if not shape or layout < 0.7:
        return array
    if layout < 0.8:
        return np.asfortranarray(array)
    if layout < 0.9:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    return np.ascontiguousarray(array[::-1])[::-1]


def mask_of(draw: random.Random, shape: tuple[int, ...]) -> Array | None:
    """Return a prior mask of some dtype, or none."""
    kept = draw.choice([None, None, None, 0.0, 0.3, 0.8, 1.0])
    if kept is None:
        return None
    flat = [draw.random() < kept for _ in range(math.prod(shape))]
    return np.array(flat, dtype=draw.choice(["bool", "bool", "float32", "uint8"])).reshape(shape)


def goal_of(draw: random.Random, total: int, live: int) -> dict[str, Any]:
    """Return an amount or a sparsity; at times more than there is, or less than is gone."""
    kind = draw.random()
    if kind < 0.35:
        return {"amount": draw.randint(0, live + (draw.random() < 0.1))}
    if kind < 0.7:
        return {"amount": draw.choice([draw.random(), 0.0, 0.5, 0.8, 1.0])}
    gone = (total - live) / total if total else 0.0
    if kind < 0.95:
        return {"sparsity": min(1.0, gone + draw.random() * (1 - gone))}
    return {"sparsity": draw.random()}


def _structured(draw: random.Random) -> Case:
    """Norms of small integers are exact in any order of adding, so that masks must agree."""
    shape = draw.choice([(3, 4), (5, 2), (2, 3, 2), (1, 6), (4, 1), (3, 2, 2, 2)])
    values = [draw.choice([-3, -2, -1, 0, 0, 1, 2, 3]) for _ in range(math.prod(shape))]
    tensor = np.array(values, dtype=draw.choice(["float32", "float64"])).reshape(shape)
    dim = draw.randrange(-len(shape), len(shape))
    mask = mask_of(draw, shape)
    amount: Any = draw.choice([0, 1, 2, 0.5, draw.random()])
    n = draw.choice([1, 2, math.inf, "fro", None])  # None: at random
    seed = draw.getrandbits(40)
    return Case(
        "structured", [tensor], [mask], {"amount": amount}, False, seed, {"dim": dim, "n": n}
    )
