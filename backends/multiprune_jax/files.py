"""Packed mask files. The layout is `multiprune.packed`'s; this room opens and writes.

Clauses: FILE-04 to FILE-06.
"""

from __future__ import annotations

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from multiprune.deprecated import warn_of
from multiprune.mask_file import decode, encode, read_header
from multiprune.packed import MaskFileError
from multiprune_jax.memory import place
from multiprune_jax.named_masks import check_masks, leaves_of_masks
from multiprune_jax.paths import Tree

__all__ = ["load_masks", "save_masks"]


def save_masks(masks: Any, path: Any) -> str:
    """Write masks as a packed mask file, one bit an entry, that every backend reads.

    Parameters
    ----------
    masks : pytree
        As `multiprune_jax.global_unstructured` returns them.
    path : path

    Returns
    -------
    str
        The digest: equal for equal masks, whatever framework they come from.

    Notes
    -----
    Clauses FILE-01 to FILE-05. Where several processes hold shards of the masks, all of them call
    this; each sees one whole mask at a time, and the first writes the file before any returns.
    """
    if isinstance(masks, str | os.PathLike):
        warn_of("save_masks(path, masks) is save_masks(masks, path) now.")
        masks, path = path, masks
    leaves = leaves_of_masks(masks)
    arrays = {name: _whole(leaves[name]) == 1 for name in sorted(leaves)}
    bits = {name: (array.shape, array.tobytes()) for name, array in arrays.items()}
    tensors, metadata = encode(bits)
    if jax.process_index() == 0 or not any(map(_is_shared, leaves.values())):
        save_file(
            {name: np.frombuffer(packed, dtype=np.uint8) for name, packed in tensors.items()},
            path,
            metadata=metadata,
        )
    if any(map(_is_shared, leaves.values())):
        multihost_utils.sync_global_devices("multiprune_jax.save_masks")
    return metadata["sha256"]


def load_masks(path: str | os.PathLike[str], like: Any = None) -> Any:
    """Read a packed mask file.

    Parameters
    ----------
    path : path
    like : pytree, optional
        Parameters to return the masks in the structure of, None where the file has no mask. Each
        mask is put on the device of its leaf, and sharded as it is.

    Returns
    -------
    pytree
        Masks of bool: in the structure of `like`, or a dict by canonical names.

    Raises
    ------
    MaskFileError
        If the file is damaged, or is not a mask file (a ValueError).
    MaskError, MaskShapeError
        If a mask matches no leaf of `like`, or has another shape (ValueErrors).

    Notes
    -----
    Clause FILE-06.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            stored = {name: (s.get_dtype(), s.get_shape()) for name, s in slices.items()}
            read_header(metadata, stored, os.fspath(path))
            packed = {name: file.get_tensor(name) for name in slices}
    except SafetensorError as error:
        raise MaskFileError(
            f"{os.fspath(path)} cannot be read: {error}. Rule: a mask file is a safetensors file "
            "[FILE-04]. Was it written by save_masks, and copied whole?"
        ) from error
    decoded = decode({name: array.tobytes() for name, array in packed.items()}, metadata)
    masks = {
        name: np.frombuffer(bits, dtype=np.bool_).reshape(shape)
        for name, (shape, bits) in decoded.items()
    }
    if like is None:
        return {name: jnp.array(mask) for name, mask in masks.items()}
    tree = Tree(like)
    masks = tree.own_names(masks)
    check_masks(masks, tree.leaves, "like")
    return tree.replace({name: _placed(mask, tree.leaves[name]) for name, mask in masks.items()})


def _is_shared(mask: Any) -> bool:
    """Whether other processes hold parts of it."""
    return isinstance(mask, jax.Array) and not mask.is_fully_addressable


def _whole(mask: Any) -> np.ndarray[Any, Any]:
    if not _is_shared(mask):
        return np.asarray(mask)
    return np.asarray(multihost_utils.process_allgather(mask, tiled=True))


def _placed(mask: np.ndarray[Any, Any], leaf: Any) -> jax.Array:
    """Put a mask on the device of its leaf, sharded as it is."""
    return place(mask.copy(), leaf) if isinstance(leaf, jax.Array) else jnp.array(mask)
