"""How JAX shows scores as keys and counts digits; see `multiprune.backend.Backend`.

On a CPU an array's memory is read in place, as a NumPy view: the same integer counting as
everywhere, nothing to compile, and no unit that flushes subnormals. Arrays on an accelerator or a
mesh stay there: they are ranked by
`multiprune_jax.engine`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from multiprune.backend import Engine
from multiprune.draws import draws
from multiprune.errors import ParametersTypeError
from multiprune.keys import Format
from multiprune.keys import order as ordered
from multiprune.order import Order
from multiprune.question import Question
from multiprune.scope import Pools
from multiprune_jax.engine import Compiled
from multiprune_jax.memory import aligned, are_on_one_cpu, check_width, place

__all__ = ["JaxBackend", "backend"]

_Host = npt.NDArray[Any]


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

    def engine(
        self,
        scores: Sequence[jax.Array],
        masks: Sequence[Any],
        order: Order,
        question: Question,
        pools: Pools,
    ) -> Engine | None:
        """Return what ranks arrays that are not on a CPU; None for those that are.

        Raises
        ------
        ParametersError
            If they lie on different devices (a ValueError).
        """
        numbered = [*enumerate(scores), *enumerate(masks)]
        if are_on_one_cpu((f"tensor {i}", a) for i, a in numbered if isinstance(a, jax.Array)):
            return None
        return Compiled(scores, masks, order, question, pools)

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
        keys: _Host = ordered(bits, fmt.real, signed=signed, xp=np)
        return keys

    def draws(self, seed: int, start: int, stop: int) -> _Host:
        """Return the random keys of a run of positions."""
        numbers: _Host = draws(seed, start, stop, xp=np)
        return numbers

    def alive(self, mask: _Host) -> _Host:
        """Return a block of a prior mask as booleans."""
        return mask if mask.dtype == np.bool_ else mask == 1

    def as_integers(self, condition: _Host, like: _Host | None = None) -> _Host:
        """Return booleans as 0 and 1; see `multiprune.backend.Backend`."""
        return condition.view("u1") if like is None else condition.astype(like.dtype)

    def contiguous(self, column: _Host) -> _Host:
        """Return a column of a matrix as a contiguous array."""
        return np.ascontiguousarray(column)

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

    def smallest(self, keys: _Host, alive: _Host | None, count: Any) -> _Host:
        """Return of each row of keys the `count`-th smallest live one: shape (rows, 1)."""
        if alive is not None:
            keys = np.where(alive, keys, np.iinfo(keys.dtype).max)
        places = np.unique(np.maximum(count, 1)) - 1
        parted: _Host = np.partition(keys, places, axis=1)
        if places.size == 1:
            return parted[:, places]
        return np.take_along_axis(parted, np.maximum(count, 1) - 1, axis=1)

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


backend = JaxBackend()
