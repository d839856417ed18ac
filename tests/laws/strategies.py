"""What the laws are tried on: arrays of every dtype, with the values that break rankings."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

FLOATS = ["float16", "bfloat16", "float32", "float64"]
FLOAT8 = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
ALL = [*FLOATS, *FLOAT8, *INTEGERS]

SHAPES = st.sampled_from([(), (0,), (1,), (7,), (3, 4), (2, 3, 4), (5, 1), (0, 3), (17, 9)])


def dtype(name: str) -> np.dtype[Any]:
    return np.dtype(getattr(ml_dtypes, name, name))


@st.composite
def arrays(draw: st.DrawFn, names: list[str] = ALL, shapes: Any = SHAPES) -> np.ndarray:
    """An array whose bits are random, few-valued (ties), or special; of odd strides at times."""
    kind = dtype(draw(st.sampled_from(names)))
    shape = draw(shapes)
    size = math.prod(shape)
    bits = np.dtype(f"u{kind.itemsize}")
    top = 1 << (8 * kind.itemsize)
    special = [0, 1, top >> 1, (top >> 1) + 1, top - 1, (top >> 1) - 1, top // 3, top // 5]
    how = draw(st.sampled_from(["random", "ties", "special", "constant"]))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    if how == "random":
        values = (
            rng.integers(0, top, size, dtype=np.uint64, endpoint=False)
            if top < 2**64
            else (rng.integers(0, 2**64 - 1, size, dtype=np.uint64, endpoint=True))
        )
    elif how == "ties":
        values = rng.choice(
            rng.integers(0, 2**16, 4, dtype=np.uint64) * (top >> 16 or 1) % (np.uint64(top - 1)),
            size,
        )
    elif how == "special":
        values = rng.choice(np.array(special, dtype=np.uint64), size)
    else:
        values = np.full(size, special[seed % len(special)], dtype=np.uint64)
    array = values.astype(bits).view(kind).reshape(shape)
    layout = draw(st.sampled_from(["plain", "fortran", "stepped", "reversed", "readonly"]))
    if layout == "fortran":
        array = np.asfortranarray(array)
    elif layout == "stepped" and shape:
        wide = np.zeros((*shape[:-1], 2 * shape[-1]), dtype=kind)
        wide[..., ::2] = array
        array = wide[..., ::2]
    elif layout == "reversed" and shape:
        array = array[::-1]
    elif layout == "readonly":
        array.flags.writeable = False
    return array


@st.composite
def problems(
    draw: st.DrawFn, names: list[str] = ALL, mixed: bool = True, max_tensors: int = 4
) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
    """Some arrays, of one or several dtypes, and prior masks for some of them."""
    several = mixed and draw(st.booleans())
    pool = FLOATS if several else [draw(st.sampled_from(names))]
    tensors = draw(st.lists(arrays(pool), min_size=1, max_size=max_tensors))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    masks = [
        None if kept is None else np.asarray(rng.random(t.shape) < kept)
        for t in tensors
        for kept in [draw(st.sampled_from([None, None, 0.0, 0.3, 1.0]))]
    ]
    return tensors, masks


AMOUNTS = st.one_of(
    st.floats(0, 1), st.sampled_from([0, 1, 0.0, 0.25, 0.5, 0.8, 1.0]), st.integers(0, 40)
)


FRACTIONS = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.05, 0.1, 0.5, 0.9, 1.0]))
LIMITS = st.one_of(FRACTIONS, st.integers(0, 20))
SHARES = st.one_of(st.integers(1, 9), st.floats(0.01, 100), st.fractions(0.1, 9))
KINDS = ["tensor", "row", "group", "pools", "bounds", "allocation"]


@st.composite
def questions(draw: st.DrawFn, count: int, kinds: Any = KINDS) -> dict[str, Any]:
    """What may be asked of so many tensors: a scope, bounds or an allocation, and how much."""

    def by_name(values: Any) -> Any:
        keys = [*map(str, range(count)), "*", "[0-4]"]
        return st.one_of(values, st.dictionaries(st.sampled_from(keys), values, max_size=3))

    goal: dict[str, Any] = draw(
        st.one_of(
            st.fixed_dictionaries({"amount": AMOUNTS}),
            st.fixed_dictionaries({"sparsity": st.floats(0, 1)}),
        )
    )
    what = draw(st.sampled_from(kinds))
    dim = {} if draw(st.booleans()) else {"dim": draw(st.integers(-3, 2))}
    if what == "tensor":
        return goal | {"scope": "tensor"}
    if what == "row":
        return goal | {"scope": "row"} | dim
    if what == "group":
        m = draw(st.sampled_from([1, 2, 3, 4, 4, 9]))
        return {"scope": (draw(st.integers(1, m)), m)} | dim
    if what == "pools":
        return goal | {"scope": {str(i): draw(st.sampled_from("ab")) for i in range(count)}}
    if what == "allocation":
        shares = st.fixed_dictionaries({str(i): SHARES for i in range(count)})
        return goal | {"allocation": draw(st.one_of(st.sampled_from(["uniform", "erk"]), shares))}
    names = st.sampled_from(["keep_at_least", "prune_at_most", "prune_at_least"])
    return goal | {name: draw(by_name(LIMITS)) for name in draw(st.sets(names, min_size=1))}
