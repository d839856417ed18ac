"""Files into memory. For those who want arrays, and have the memory."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from multiprune.patterns import as_patterns
from multiprune_checkpoints.errors import CheckpointError
from multiprune_checkpoints.formats.checkpoint import open_checkpoint
from multiprune_checkpoints.formats.left_out import left_out
from multiprune_checkpoints.formats.select import select
from multiprune_checkpoints.masks import open_masks

__all__ = ["load_masks", "load_weights"]


def load_weights(
    source: str | Path,
    *,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    min_ndim: int = 2,
) -> dict[str, npt.NDArray[Any]]:
    """Load the tensors that `prune_checkpoint` would rank.

    Parameters
    ----------
    source : path
    include, exclude, min_ndim
        As for `prune_checkpoint`.

    Returns
    -------
    dict of array
        In the order of positions; bfloat16 and float8 as dtypes of ml_dtypes.

    Raises
    ------
    CheckpointError
        If the checkpoint is inconsistent, or ml_dtypes is needed and not installed.

    Notes
    -----
    Clause TIE-04.
    """
    include, exclude = as_patterns(include, "include"), as_patterns(exclude, "exclude")
    with open_checkpoint(source) as checkpoint:
        reasons = left_out(checkpoint, min_ndim, exclude)
        return {
            tensor.name: np.frombuffer(
                checkpoint.read(tensor, 0, tensor.size), _dtype(tensor.dtype)
            ).reshape(tensor.shape)
            for tensor in select(checkpoint.tensors, include, exclude, min_ndim, reasons)
        }


def load_masks(path: str | Path) -> dict[str, npt.NDArray[np.bool_]]:
    """Load a file of masks.

    Returns
    -------
    dict of array of bool
        True where an entry is kept, in the shape of its tensor.

    Raises
    ------
    MaskFileError
        If it is damaged (a ValueError).

    Notes
    -----
    Clauses FILE-01 to FILE-06.
    """
    with closing(open_masks(Path(path))) as masks:
        return {
            name: masks.alive(name, 0, int(np.prod(shape, dtype=np.int64))).reshape(shape)
            for name, shape in masks.shapes.items()
        }


def _dtype(name: str) -> np.dtype[Any]:
    if not name.startswith(("bfloat", "float8")):
        return np.dtype(name)
    try:
        import ml_dtypes
    except ImportError:
        raise CheckpointError(
            f"arrays of {name} need ml_dtypes, which is not installed. Install it: pip install "
            "ml-dtypes. To prune such a file nothing is needed."
        ) from None
    dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return dtype
