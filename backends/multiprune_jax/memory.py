"""Where arrays lie: in the memory of one CPU, where they are read in place, or elsewhere. A leaf.

Clause: TYPE-05.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from multiprune.errors import DtypeError, ParametersError

__all__ = ["aligned", "are_on_one_cpu", "check_width", "is_on_a_cpu", "place"]

_Host = npt.NDArray[Any]
_ALIGNMENT = 64
"""XLA takes over a NumPy buffer as its own, without a copy, where it starts at such an address."""


def check_width(array: Any, where: str) -> None:
    """Check that JAX would not silently narrow an array to 32 bits.

    Raises
    ------
    DtypeError
        If it is of 64 bits and x64 is off (a TypeError).
    """
    name = np.dtype(array.dtype).name if isinstance(array, np.ndarray | np.generic) else ""
    if name in ("float64", "int64", "uint64", "complex128") and not _x64():
        raise DtypeError(
            f"{where} is {name}, and JAX has x64 off, so that it would be ranked in half its bits. "
            "Rule: scores are ranked as they are [TYPE-05]. Call "
            'jax.config.update("jax_enable_x64", True) first, or convert it yourself.'
        )


def _x64() -> bool:
    return bool(getattr(jax.config, "jax_enable_x64", False))


def aligned(size: int, dtype: np.dtype[Any]) -> _Host:
    """Return an uninitialised 1-D array that `place` need not copy."""
    raw = np.empty(size * dtype.itemsize + _ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)


def place(array: _Host, like: jax.Array) -> jax.Array:
    """Put a NumPy array that is not changed again on the device of `like`.

    It is tied to that device only if `like` is: arrays that are not move freely to a mesh.
    """
    where = like.sharding if _is_tied(like) else None
    placed: jax.Array = jax.device_put(array, where, may_alias=True)
    return placed


def _is_tied(array: jax.Array) -> bool:
    """Whether an array was put on its device on purpose, so that JAX will not move it."""
    return bool(getattr(array, "committed", getattr(array, "_committed", True)))


def is_on_a_cpu(array: Any) -> bool:
    """Whether an array has values, and they lie in the memory of one CPU device."""
    if not isinstance(array, jax.Array) or isinstance(array, jax.core.Tracer):
        return False
    devices: list[Any] = list(array.sharding.device_set)
    return len(devices) == 1 and devices[0].platform == "cpu"


def are_on_one_cpu(named: Iterable[tuple[str, jax.Array]]) -> bool:
    """Whether all arrays lie in the memory of one CPU device, where they can be read in place.

    Raises
    ------
    ParametersError
        If they lie on different devices (a ValueError).
    """
    arrays = list(named)
    tied = {frozenset(a.sharding.device_set): name for name, a in arrays if _is_tied(a)}
    if len(tied) > 1:
        text = "; ".join(f"{name} on {sorted(map(str, on))}" for on, name in tied.items())
        raise ParametersError(
            f"arrays lie on different devices: {text}. Rule: one call ranks arrays of one "
            "device, or of one mesh. Move them together with jax.device_put."
        )
    return all(is_on_a_cpu(array) for _, array in arrays)
