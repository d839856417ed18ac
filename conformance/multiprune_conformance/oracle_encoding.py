"""The oracle's reading and writing of the arrays of PROTOCOL.md; for NumPy adapters too."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from multiprune_conformance.oracle_dtypes import (
    COMPLEX,
    FORMATS,
    INTEGERS,
    Array,
    Refused,
    Typed,
    encode,
)

MULTIPLIER, INCREMENT = 1664525, 1013904223
SETTINGS = ("keep_at_least", "prune_at_most", "prune_at_least", "allocation")


def read_array(item: dict[str, Any]) -> Typed:
    """Read an array of the protocol as (dtype name, bits or values)."""
    name, shape = item["dtype"], tuple(item["shape"])
    if name not in FORMATS and name not in INTEGERS and name not in COMPLEX:
        raise Refused("dtype", f"{name} scores cannot be ranked")
    if "lcg" in item:
        flat = _lcg(item["lcg"], int(np.prod(shape, dtype=np.int64)))
    elif "bits" in item:
        flat = np.array([int(bits, 16) for bits in item["bits"]], dtype=np.uint64)
    elif name in COMPLEX:
        values = [complex(_number(re), _number(im)) for re, im in item["data"]]
        return Typed(name, np.array(values, dtype=name).reshape(shape))
    elif name in INTEGERS:
        return Typed(name, np.array(item["data"], dtype=name).reshape(shape))
    else:
        flat = encode(name, np.array([_number(x) for x in item["data"]], dtype=np.float64))
    width = FORMATS[name].width if name in FORMATS else 8 * np.dtype(name).itemsize
    bits = flat.astype(f"uint{width}").reshape(shape)
    return Typed(name, bits.view(name) if name in INTEGERS else bits)


def _number(value: Any) -> float:
    return float(value)  # Python reads "NaN", "-Infinity" and "-0.0" as such


def _lcg(rule: dict[str, Any], size: int) -> Array:
    state, out = rule["start"], []
    for _ in range(size):
        state = (state * MULTIPLIER + INCREMENT) % 2**32
        out.append((state >> rule["shift"]) & int(rule["mask"], 16))
    return np.array(out, dtype=np.uint64)


def write_array(array: Typed) -> dict[str, Any]:
    """Write an array as bits, the form of every answer."""
    name, data = array
    bits = data.view(f"uint{8 * data.dtype.itemsize}").reshape(-1)
    digits = 2 * data.dtype.itemsize
    shown = [f"{int(value):0{digits}x}" for value in bits]
    return {"dtype": name, "shape": list(data.shape), "bits": shown}


def read_mask(item: Any) -> Array | None:
    """Read a mask of the protocol; its values may be wrong, as some vectors want."""
    if item is None:
        return None
    if "lcg" in item:
        size = int(np.prod(item["shape"], dtype=np.int64))
        return _lcg(item["lcg"], size).reshape(item["shape"]).astype(np.float64)
    return np.array([_number(x) for x in item["data"]]).reshape(item["shape"])


def write_mask(mask: Array) -> dict[str, Any]:
    """Write a mask as 0 and 1 in row-major order."""
    return {"shape": list(mask.shape), "data": [int(bit) for bit in mask.reshape(-1)]}


def pruned_now(tensors: list[dict[str, Any]], masks: list[dict[str, Any]]) -> list[int]:
    """Count what answered masks prune of tensors, beyond the prior masks of these."""
    counts = []
    for tensor, mask in zip(tensors, masks, strict=True):
        prior = read_mask(tensor.get("mask"))
        live = len(mask["data"]) if prior is None else int((prior == 1).sum())
        counts.append(live - sum(mask["data"]))
    return counts


def read_amount(item: dict[str, Any] | None) -> Any:
    """Read a tagged amount as the Python or NumPy object that it stands for."""
    if item is None:
        return None
    kind: str = item["kind"]
    value: Any = item.get("value")
    if kind == "float":
        return float.fromhex(value) if str(value).startswith(("0x", "-0x")) else float(value)
    if kind in {"float16", "float32"}:
        bits = np.dtype(f"uint{kind[5:]}").type(int(value, 16))
        return bits.view(kind)
    if kind == "fraction":
        return Fraction(*value)
    if kind == "complex":
        return complex(*value)
    if kind == "none":
        # A value that is not an amount, and yet is given: absence would be another fault.
        return _Nothing()
    return int(value) if kind == "int" else value  # bool, text, list as JSON has them


def read_setting(item: Any) -> Any:
    """Read a bound or an allocation: a tagged number, a text, or an object of these by name."""
    if not isinstance(item, dict):
        return item
    if isinstance(item.get("kind"), str):
        return read_amount(item)
    return {name: read_setting(value) for name, value in item.items()}


def read_pools(request: dict[str, Any]) -> dict[str, Any]:
    """Read who is ranked with whom, and within which limits, where a request says so."""
    pools = {name: request[name] for name in ("scope", "dim") if name in request}
    if isinstance(pools.get("scope"), list):
        pools["scope"] = tuple(pools["scope"])
    return pools | {name: read_setting(request[name]) for name in SETTINGS if name in request}


class _Nothing:
    """Stands for a null that was handed over as the amount."""
