"""Room: how JAX shows scores as keys and counts digits; see `multiprune.backend.Backend`.

On a CPU an array's memory is read where it lies, as a NumPy view: the same integer counting as
everywhere, nothing to compile, and no unit that flushes subnormals. Arrays on an accelerator or a
mesh stay there: they are counted by `multiprune_jax.device`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from multiprune.draws import draws
from multiprune.errors import DtypeError, ParametersError, ParametersTypeError
from multiprune.keys import Format, order
from multiprune_jax.device import DeviceEntries

__all__ = [
    "JaxBackend",
    "aligned",
    "are_on_one_cpu",
    "backend",
    "check_width",
    "is_on_a_cpu",
    "place",
]

_Host = npt.NDArray[Any]
_ALIGNMENT = 64
"""XLA takes over a NumPy buffer as its own, without a copy, where it starts at such an address."""


class JaxBackend:
    """JAX arrays that have values; traced ones go through `multiprune_jax.global_unstructured`."""

    name = "jax"
    block_size = 1 << 18
    workers = os.cpu_count() or 1
    xp = jnp

    def dtype_name(self, tensor: jax.Array) -> str:
        """Return the dtype's name."""
        if isinstance(tensor, jax.core.Tracer):
            raise ParametersTypeError(
                f"a traced array, {tensor.aval}, was given. Rule: arrays have values here; inside "
                "jax.jit or jax.vmap there are none. Call multiprune_jax.global_unstructured, "
                "which can be traced, or prune outside."
            )
        return str(tensor.dtype.name)

    def entries(
        self,
        scores: Sequence[jax.Array],
        masks: Sequence[Any],
        bits: int,
        fmt: Format,
        *,
        signed: bool,
        seed: int | None,
    ) -> DeviceEntries | None:
        """Return what counts arrays that are not on a CPU; None for those that are.

        Raises
        ------
        ParametersError
            If they lie on different devices (a ValueError).
        """
        given = [*enumerate(scores), *enumerate(masks)]
        if are_on_one_cpu((f"tensor {i}", a) for i, a in given if isinstance(a, jax.Array)):
            return None
        return DeviceEntries(scores, masks, bits, (fmt, signed, seed))

    def flat(self, tensor: jax.Array, start: int, stop: int) -> _Host:
        """Return a run of entries in row-major order, on the host."""
        return np.asarray(tensor).reshape(-1)[start:stop]

    def keys(self, block: _Host, fmt: Format, *, signed: bool) -> _Host:
        """Return a block's ordered keys."""
        if block.dtype.name != fmt.name:
            # A NaN stays one and what overflows is infinity (TYPE-04): no news to warn of.
            with np.errstate(invalid="ignore", over="ignore"):
                block = block.astype(jnp.dtype(fmt.name))
        if fmt.kind == "complex":
            block = np.abs(block)
        bits = block.view(np.dtype(f"u{block.itemsize}"))
        keys: _Host = order(bits, fmt.real, signed=signed, xp=np)
        return keys

    def draws(self, seed: int, start: int, stop: int) -> _Host:
        """Return the random keys of a run of positions."""
        numbers: _Host = draws(seed, start, stop, xp=np)
        return numbers

    def alive(self, mask: _Host) -> _Host:
        """Return a block of a prior mask as booleans."""
        return mask if mask.dtype == np.bool_ else mask == 1

    def bincount(self, digits: _Host | None, bins: int) -> _Host:
        """Count digits; none at all are zeros."""
        if digits is None:
            return np.zeros(bins, dtype=np.int64)
        return np.bincount(digits.astype(np.intp, copy=False), minlength=bins)

    def join(self, arrays: list[_Host]) -> _Host:
        """Concatenate small arrays of digits."""
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

    def where(self, condition: _Host) -> _Host:
        """Return the indices at which a 1-D array is True."""
        return np.flatnonzero(condition)

    def new_mask(self, like: jax.Array) -> _Host:
        """Return an uninitialised flat mask, where XLA can take it over."""
        return aligned(like.size, np.dtype(np.bool_))

    def write(self, mask: _Host, start: int, stop: int, keep: _Host) -> None:
        """Store booleans in a flat mask."""
        mask[start:stop] = keep

    def finish(self, mask: _Host, like: jax.Array) -> jax.Array:
        """Give a flat mask its tensor's shape and device."""
        return place(mask.reshape(like.shape), like)

    def to_numpy(self, tensor: jax.Array) -> _Host:
        """Return a tensor as a NumPy array of the same dtype; a view where it can be one."""
        return np.asarray(tensor)

    def from_numpy(self, array: _Host) -> jax.Array:
        """Return a copy of a NumPy array as a tensor of the same dtype.

        Raises
        ------
        DtypeError
            If JAX has no such dtype, or would narrow it because x64 is off (a TypeError).
        """
        check_width(array, "the array")
        copied: jax.Array = jnp.array(array)
        return copied


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
    """Put a NumPy array that nobody will change again where `like` lies.

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
        told = "; ".join(f"{name} on {sorted(map(str, on))}" for on, name in tied.items())
        raise ParametersError(
            f"arrays lie on different devices: {told}. Rule: one call ranks arrays of one "
            "device, or of one mesh. Move them together with jax.device_put."
        )
    return all(is_on_a_cpu(array) for _, array in arrays)


backend = JaxBackend()
