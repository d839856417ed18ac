"""Where arrays lie: in the memory of one CPU, read in place, or elsewhere, whole or in parts.

Clause: TYPE-05.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from multiprune.errors import DtypeError, ParametersError

__all__ = [
    "aligned",
    "are_on_one_cpu",
    "check_replicas",
    "check_width",
    "is_on_a_cpu",
    "place",
    "varying_as",
]

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


def check_replicas(named: Iterable[tuple[str, jax.Array]]) -> None:
    """Check that no array is one of ``jax.pmap``, whose first dimension counts devices.

    Raises
    ------
    ParametersError
        If one is: entries of its replicas would be ranked as entries of one tensor (a ValueError).
    """
    for name, array in named:
        sharding: Any = getattr(array, "sharding", None)
        axis = str(tuple(getattr(sharding, "spec", ()))[:1])  # as JAX calls it from 0.8 on
        if type(sharding).__name__ == "PmapSharding" or "_pmap" in axis or "_device_put" in axis:
            raise ParametersError(
                f"{name} has shape {array.shape}, and its first dimension counts the devices of "
                "jax.pmap. Rule: a parameter is one tensor, not its replicas. Prune one of them "
                "and replicate that: jax.tree.map(lambda leaf: leaf[0], params), or prune inside "
                "the function that is mapped."
            )


def varying_as(arrays: Any, state: Any) -> Any:
    """Return the first state of a loop, to vary over the manual axes that any of `arrays` does.

    In ``jax.shard_map`` a loop ends with what varies as its body does, so that it begins so, too.
    """
    axes = frozenset[str]().union(*map(_manual_axes, jax.tree.leaves((arrays, state))))

    def vary(array: jax.Array) -> jax.Array:
        missing = tuple(sorted(axes - _manual_axes(array)))
        if not missing:
            return array
        lax: Any = jax.lax
        if hasattr(lax, "pcast"):  # as JAX calls it from 0.8 on
            return lax.pcast(array, missing, to="varying")  # type: ignore[no-any-return]
        return lax.pvary(array, missing)  # type: ignore[no-any-return]

    return jax.tree.map(vary, state) if axes else state


def _manual_axes(array: Any) -> frozenset[str]:
    aval: Any = jax.typeof(array) if hasattr(jax, "typeof") else None  # JAX from 0.6 on has them
    kind = getattr(aval, "manual_axis_type", None)  # and calls them so from 0.10 on
    return frozenset(getattr(aval, "vma", ()) if kind is None else kind.varying)
