"""Room: packed mask files. The layout is `multiprune.packed`'s; this room opens and writes.

Clauses: FILE-04 to FILE-06.
"""

from __future__ import annotations

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from multiprune.packed import MaskFileError, decode, encode
from multiprune_jax.paths import Tree, check_masks

__all__ = ["load_masks", "save_masks"]


def save_masks(path: str | os.PathLike[str], masks: Any) -> str:
    """Write masks as a packed mask file, one bit an entry, that every backend reads.

    Parameters
    ----------
    path : path
    masks : pytree
        As `multiprune_jax.global_unstructured` returns them.

    Returns
    -------
    str
        The digest: equal for equal masks, whatever framework they come from.

    Notes
    -----
    Clauses FILE-01 to FILE-05.
    """
    leaves = Tree(masks).leaves
    arrays = {name: np.asarray(mask) == 1 for name, mask in leaves.items()}
    bits = {name: (array.shape, array.tobytes()) for name, array in arrays.items()}
    tensors, metadata = encode(bits)
    save_file(
        {name: np.frombuffer(packed, dtype=np.uint8) for name, packed in tensors.items()},
        path,
        metadata=metadata,
    )
    return metadata["sha256"]


def load_masks(path: str | os.PathLike[str], like: Any = None) -> Any:
    """Read a packed mask file.

    Parameters
    ----------
    path : path
    like : pytree, optional
        Parameters to return the masks in the structure of, None where the file has no mask.

    Returns
    -------
    pytree
        Masks of bool: in the structure of `like`, or a dict by canonical names.

    Raises
    ------
    MaskFileError
        If the file is damaged, or is none of masks (a ValueError).
    MaskError, MaskShapeError
        If a mask matches no leaf of `like`, or has another shape (ValueErrors).

    Notes
    -----
    Clause FILE-06.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            packed = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise MaskFileError(
            f"{os.fspath(path)} cannot be read: {error}. Rule: a mask file is a safetensors file "
            "[FILE-04]. Was it written by save_masks, and copied whole?"
        ) from error
    for name, array in packed.items():
        if array.dtype != np.uint8 or array.ndim != 1:
            raise MaskFileError(
                f"{os.fspath(path)} holds {name} as {array.dtype}{list(array.shape)}. Rule: packed "
                "masks are one-dimensional U8 tensors [FILE-04]."
            )
    found = decode({name: array.tobytes() for name, array in packed.items()}, metadata)
    masks: dict[str, jax.Array] = {
        name: jnp.array(np.frombuffer(bits, dtype=np.bool_).reshape(shape))
        for name, (shape, bits) in found.items()
    }
    if like is None:
        return masks
    tree = Tree(like)
    check_masks(masks, tree.leaves, "like")
    return tree.replace(masks)
