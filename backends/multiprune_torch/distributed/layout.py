"""Where the entries of a process lie in a sharded tensor, and which process counts them.

A placement cuts single dimensions, so what a process holds is a list of indices for each
dimension, and an entry's position follows from them: nothing needs to be contiguous.
Clauses: SHARD-01 to SHARD-03. Source: ``torch.distributed.tensor``, as FSDP2, tensor parallelism
and both together place shards.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from multiprune_torch.errors import LayoutError
from multiprune_torch.sharding import is_sharded

__all__ = [
    "Layout",
    "cut_like",
    "is_cut_alike",
    "layout_of",
    "local_part",
    "part_beside",
    "zero",
]

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """What one process holds of a tensor.

    Attributes
    ----------
    shape : tuple of int
        The whole tensor's.
    indices : tuple of int64 array
        For each dimension the indices that this process holds, ascending or not.
    copy : int
        The lowest rank among those that hold this copy of the tensor together.
    first : bool
        Whether this process is the first of those that hold the same entries of this copy.
    member : bool
        Whether it holds any: not so of a tensor on the mesh of other processes.
    """

    shape: tuple[int, ...]
    indices: tuple[Indices, ...]
    copy: int
    first: bool
    member: bool = True

    @property
    def size(self) -> int:
        """How many entries this process holds."""
        return prod(map(len, self.indices)) if self.member else 0

    @property
    def start(self) -> int | None:
        """Flat index of the first entry if all follow one another in the tensor, else None."""
        whole = all(len(i) == n for i, n in zip(self.indices[1:], self.shape[1:], strict=True))
        if not self.size:
            return 0
        if not self.shape:
            return 0
        rows = self.indices[0]
        if not whole or rows[-1] - rows[0] != len(rows) - 1:
            return None
        return int(rows[0]) * prod(self.shape[1:])

    def part_of(self, whole: torch.Tensor) -> torch.Tensor:
        """Return what this process would hold of a tensor that is whole here."""
        for dim, indices in enumerate(self.indices):
            if len(indices) != self.shape[dim]:
                whole = whole.index_select(dim, torch.from_numpy(indices).to(whole.device))
        return whole

    def positions(self, local: Any, offset: int) -> Any:
        """Return the positions of entries that this process holds.

        Parameters
        ----------
        local : int64 array of NumPy or torch, shape (n,)
            Flat indices in the local shard, row-major.
        offset : int
            Position of the tensor's first entry.

        Returns
        -------
        int64 array, shape (n,)
        """
        positions, stride = local * 0 + offset, 1
        for indices, n in zip(reversed(self.indices), reversed(self.shape), strict=True):
            table: Any = indices
            if isinstance(local, torch.Tensor):
                table = torch.from_numpy(indices).to(local.device)
            positions += table[local % len(indices)] * stride
            local, stride = local // len(indices), stride * n
        return positions


def local_part(tensor: torch.Tensor) -> torch.Tensor:
    """Return what this process holds of a tensor, sharing its memory."""
    if not is_sharded(tensor):
        return tensor.detach()
    with torch.inference_mode(False):  # in which no DTensor can be detached
        part: torch.Tensor = tensor.detach().to_local()  # type: ignore[attr-defined]
    return part


def part_beside(mask: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Return the part of a mask that belongs to what this process holds of its parameter.

    A mask that was made before ``fully_shard`` is whole on every process, or as tensor parallelism
    has cut it: what FSDP2 has left of that is its part.
    """
    if not is_sharded(parameter) or is_cut_alike(mask, parameter):
        return local_part(mask)
    ours, known = layout_of(parameter, 0, "a parameter"), layout_of(mask, 0, "a mask")
    part = local_part(mask)
    for dim, (wanted, there) in enumerate(zip(ours.indices, known.indices, strict=True)):
        if len(wanted) != len(there):
            places = torch.from_numpy(np.searchsorted(there, wanted)).to(part.device)
            part = part.index_select(dim, places)
    return part


def is_cut_alike(one: Any, other: Any) -> bool:
    """Whether two tensors lie on one mesh in the same placements, or on none."""
    if not is_sharded(one) or not is_sharded(other):
        return is_sharded(one) == is_sharded(other)
    return bool(one.device_mesh == other.device_mesh and one.placements == other.placements)


@torch.no_grad()
def zero(values: torch.Tensor, gone: torch.Tensor) -> None:
    """Write zeros where `gone` is True: on this process's part, where both are cut alike.

    Parts of a Partial sum are zeroed each by itself.
    """
    if is_sharded(values) and is_sharded(gone):
        ours, theirs = local_part(values), local_part(gone)
        if ours.shape == theirs.shape:
            values, gone = ours, theirs
    values.masked_fill_(gone, 0)


def cut_like(mask: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Return a mask that was made before ``fully_shard`` in its parameter's layout."""
    cut = torch.empty_like(parameter.detach(), dtype=mask.dtype)
    local_part(cut).copy_(part_beside(mask, parameter))
    return cut


def layout_of(tensor: Any, rank: int, where: str) -> Layout:
    """Say which entries of a tensor this process holds.

    Parameters
    ----------
    tensor : torch.Tensor
        Sharded, or plain: then every process holds a copy of its own.
    rank : int
        This process among all.
    where : str
        The parameter, for messages.

    Raises
    ------
    LayoutError
        If its placements do not say where its values are, or it is cut otherwise than they say (a
        TypeError and a ValueError).

    Notes
    -----
    Clauses SHARD-01 to SHARD-03. Plain shards cut first, from left to right, then strided ones:
    that is how FSDP2 cuts what tensor parallelism has cut before.
    """
    shape = tuple(tensor.shape)
    indices = [np.arange(n, dtype=np.int64) for n in shape]
    if not is_sharded(tensor):
        return Layout(shape, tuple(indices), rank, True)
    mesh, placements = tensor.device_mesh, tensor.placements
    _check_placements(mesh, placements, where)
    copy, here = int(mesh.mesh.min()), mesh.get_coordinate()
    if here is None:  # the mesh is that of other processes
        return Layout(shape, tuple(i[:0] for i in indices), copy, False, False)
    for strided in (False, True):
        for axis, placement in enumerate(placements):
            if not placement.is_replicate() and strided == _is_strided(placement):
                dim = placement.dim % len(shape)
                step = -(-len(indices[dim]) // mesh.size(axis))
                indices[dim] = indices[dim][here[axis] * step : (here[axis] + 1) * step]
    copies = [c for c, p in zip(here, placements, strict=True) if p.is_replicate()]
    layout = Layout(shape, tuple(indices), copy, not any(copies))
    local_shape = tuple(tensor.to_local().shape)
    expected = tuple(map(len, layout.indices))
    if prod(local_shape) != layout.size or (layout.size and local_shape != expected):
        raise LayoutError(
            f"{where} has a local shard of shape {local_shape}, placed as {list(placements)} of "
            f"{shape} it has {expected}. Rule: a shard is what its placements say [SHARD-02]. Was "
            "it made by from_local without shape= and stride=, or its data replaced?"
        )
    return layout


def _is_strided(placement: Any) -> bool:
    return hasattr(placement, "split_factor")


def _check_placements(mesh: Any, placements: Any, where: str) -> None:
    for axis, placement in enumerate(placements):
        strided = _is_strided(placement)
        if not (placement.is_replicate() or placement.is_shard() or strided):
            raise LayoutError(
                f"{where} is placed as {list(placements)}. Rule: only shards and replicas are "
                "ranked, for the values of a Partial one stand on no process [SHARD-02]. "
                "Redistribute it first: tensor.redistribute(placements=...)."
            )
        inner = prod(
            mesh.size(j)
            for j, p in enumerate(placements)
            if j > axis and strided and not p.is_replicate() and p.dim == placement.dim
        )
        if strided and placement.split_factor != inner:
            raise LayoutError(
                f"{where} is placed as {list(placements)} on a mesh of {tuple(mesh.shape)}. Rule: "
                f"a strided shard cuts what {placement.split_factor} shards to its right have cut "
                "before [SHARD-02]. Redistribute it to plain shards."
            )
