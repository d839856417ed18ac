"""How NumPy shows scores as keys and counts digits; see `multiprune.backend.Backend`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from multiprune.draws import draws
from multiprune.keys import Format, order

__all__ = ["NumpyBackend", "backend", "smallest"]

_Array = npt.NDArray[Any]


class NumpyBackend:
    """NumPy arrays, of NumPy's own dtypes and those of ml_dtypes."""

    name = "numpy"
    block_size = 1 << 18
    workers = os.cpu_count() or 1

    @property
    def xp(self) -> Any:
        """The namespace; its import takes longer than that of NumPy, and few things ask for it."""
        import array_api_compat.numpy

        return array_api_compat.numpy

    def dtype_name(self, tensor: _Array) -> str:
        """Return the dtype's name."""
        return tensor.dtype.name

    def flat(self, tensor: _Array, start: int, stop: int) -> _Array:
        """Return a run of entries in row-major order; copies no more than the rows that hold it."""
        if tensor.flags.c_contiguous:
            return tensor.reshape(-1)[start:stop]
        inner = tensor[0].size
        first, last = start // inner, -(-stop // inner)
        if last - first == 1 and tensor.ndim > 1:
            return self.flat(tensor[first], start - first * inner, stop - first * inner)
        return tensor[first:last].reshape(-1)[start - first * inner : stop - first * inner]

    def keys(self, block: _Array, fmt: Format, *, signed: bool) -> _Array:
        """Return a block's ordered keys."""
        if block.dtype.name != fmt.name:
            # A NaN stays one and what overflows is infinity (TYPE-04): no news to warn of.
            with np.errstate(invalid="ignore", over="ignore"):
                block = block.astype(np.dtype(fmt.name))
        if fmt.kind == "complex":
            block = np.abs(block)
        bits = block.view(np.dtype(f"u{block.itemsize}"))
        keys: _Array = order(bits, fmt.real, signed=signed, xp=np)
        return keys

    def draws(self, seed: int, start: int, stop: int) -> _Array:
        """Return the random keys of a run of positions."""
        numbers: _Array = draws(seed, start, stop, xp=np)
        return numbers

    def alive(self, mask: _Array) -> _Array:
        """Return a block of a prior mask as booleans."""
        return mask if mask.dtype == np.bool_ else mask == 1

    def as_integers(self, condition: _Array, like: _Array | None = None) -> _Array:
        """Return booleans as 0 and 1; see `multiprune.backend.Backend`."""
        return condition.view("u1") if like is None else condition.astype(like.dtype)

    def contiguous(self, column: _Array) -> _Array:
        """Return a column of a matrix as a contiguous array."""
        return np.ascontiguousarray(column)

    def bincount(self, digits: _Array | None, bins: int) -> _Array:
        """Count digits; none at all are zeros."""
        if digits is None:
            return np.zeros(bins, dtype=np.int64)
        return np.bincount(digits.astype(np.intp, copy=False), minlength=bins)

    def join(self, arrays: list[_Array]) -> _Array:
        """Concatenate small arrays of digits."""
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

    def where(self, condition: _Array) -> _Array:
        """Return the indices at which a 1-D array is True."""
        return np.flatnonzero(condition)

    def smallest(self, keys: _Array, alive: _Array | None, count: Any) -> _Array:
        """Return of each row of keys the `count`-th smallest live one."""
        return smallest(keys, alive, count)

    def new_mask(self, like: _Array) -> _Array:
        """Return an uninitialised flat mask."""
        return np.empty(like.size, dtype=np.bool_)

    def write(self, mask: _Array, start: int, stop: int, keep: _Array) -> None:
        """Store booleans in a flat mask."""
        mask[start:stop] = keep

    def finish(self, mask: _Array, like: _Array) -> _Array:
        """Give a flat mask its tensor's shape."""
        return mask.reshape(like.shape)

    def to_numpy(self, tensor: _Array) -> _Array:
        """Return the array itself."""
        return tensor

    def from_numpy(self, array: _Array) -> _Array:
        """Return the array itself."""
        return array


def smallest(keys: _Array, alive: _Array | None, count: Any) -> _Array:
    """Return of each row of keys the `count`-th smallest live one: shape (rows, 1).

    Parameters
    ----------
    keys : array, shape (rows, n)
    alive : array of bool, optional
    count : int, or array of shape (rows, 1)
        From 0 to n; for 0 the result is any key that is not above the smallest.
    """
    if alive is not None:
        keys = np.where(alive, keys, np.iinfo(keys.dtype).max)
    places = np.unique(np.maximum(count, 1)) - 1
    parted: _Array = np.partition(keys, places, axis=1)
    if places.size == 1:
        return parted[:, places]
    return np.take_along_axis(parted, np.maximum(count, 1) - 1, axis=1)


backend = NumpyBackend()
