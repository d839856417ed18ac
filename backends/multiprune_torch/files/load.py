"""Packed mask files, read into models, sharded or whole; each process reads its own bits.

Clauses: FILE-04 to FILE-06, MASK-01, SHARD-05.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from multiprune.packed import FORMAT, VERSION, MaskFileError, digest
from multiprune_torch.distributed.checks import processes_of
from multiprune_torch.distributed.fsdp import reshard
from multiprune_torch.distributed.install import make_ready
from multiprune_torch.distributed.layout import Layout, layout_of, local_part
from multiprune_torch.distributed.packing import PIECE, own_range, unpack
from multiprune_torch.distributed.processes import together
from multiprune_torch.models.select import all_pairs, named_modules
from multiprune_torch.ranking.masks import mask_dtype_of
from multiprune_torch.request.parameters import Place, read_all

__all__ = ["load_masks"]


def load_masks(
    model: nn.Module,
    path: str | os.PathLike[str],
    *,
    keep_dense: bool = False,
    process_group: Any = None,
) -> list[str]:
    """Prune a model by a packed mask file, on top of what is pruned already.

    Parameters
    ----------
    model : nn.Module
        Sharded or not. All processes of a sharded one read together, each its own bits.
    path : path
        A file of masks by full names, from any backend.
    keep_dense : bool
        Keep the values that are pruned in place, for `undo`.
    process_group : torch.distributed.ProcessGroup, optional
        That holds a sharded model; all processes by default.

    Returns
    -------
    list of str
        The full names of the parameters that have a mask now from the file.

    Raises
    ------
    MaskFileError
        If the file is damaged, is none of masks, or does not fit the model (a ValueError).
    MultipruneError
        If a parameter cannot be pruned; nothing is changed then, on any process.

    Notes
    -----
    Clauses FILE-04 to FILE-06, MASK-01.
    """
    reshard(model)
    processes = processes_of(all_pairs(model), process_group)
    with together(processes) as agreed:
        file = _MaskFile(path)
        agreed["the file"] = file.sha256
        if processes is None or processes.leads:
            file.check()
        modules = dict(named_modules(model))
        places = read_all([_pair(modules, name, file) for name in file], list(file))
        rank = processes.rank if processes else 0
        ready = [
            make_ready(p, _kept(file, p, rank), mask_dtype_of(p, None), keep_dense=keep_dense)
            for p in places
        ]
    for each in ready:
        each.install()
    return list(file)


class _MaskFile(Mapping[str, Any]):
    """Shape and packed mask by name, each read when it is asked for."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        try:
            opening: Any = safe_open(self.path, framework="numpy")
            self.file = opening.__enter__()
            metadata = self.file.metadata() or {}
            self.slices = {name: self.file.get_slice(name) for name in sorted(self.file.keys())}
        except SafetensorError as error:
            raise self.error(
                f"cannot be read: {error}", "it is a safetensors file [FILE-04]"
            ) from None
        if (metadata.get("format"), metadata.get("version")) != (FORMAT, VERSION):
            raise self.error("holds no masks", f"its format is {FORMAT!r} {VERSION} [FILE-05]")
        self.sha256 = metadata.get("sha256", "")
        try:
            shapes = json.loads(metadata.get("shapes", ""))
            self.shapes = {name: tuple(map(int, shape)) for name, shape in shapes.items()}
        except (ValueError, TypeError, AttributeError):
            raise self.error("has no shapes", "they are a JSON object by name [FILE-05]") from None
        for name in {*self.shapes, *self.slices}:
            length = -(-prod(self.shapes.get(name, ())) // 8)
            found = self.slices.get(name)
            if found is None or name not in self.shapes or found.get_shape() != [length]:
                raise self.error(
                    f"has no {length} bytes for {name}", "every shape has its mask [FILE-06]"
                )
            if found.get_dtype() != "U8":
                raise self.error(f"holds {name} as {found.get_dtype()}", "masks are U8 [FILE-04]")

    def error(self, what: str, rule: str) -> MaskFileError:
        """Say what is wrong with the file."""
        return MaskFileError(f"{self.path} {what}. Rule: {rule}. Was it copied whole?")

    def check(self) -> None:
        """Check its digest, and that unused bits are 0; of all tensors, one at a time."""
        for name, shape in self.shapes.items():
            size = prod(shape)
            if size % 8 and int(self.slices[name][size // 8 :][0]) >> size % 8:
                raise self.error(f"has bits behind {name}", "unused bits are 0 [FILE-02]")
        if digest(self) != self.sha256:
            raise self.error("has another digest than it says", "they are equal [FILE-06]")

    def __getitem__(self, name: str) -> Any:
        return self.shapes[name], self.slices[name][:].tobytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self.slices)

    def __len__(self) -> int:
        return len(self.slices)


def _pair(modules: Mapping[str, nn.Module], full: str, file: _MaskFile) -> tuple[nn.Module, str]:
    path, _, name = full.rpartition(".")
    if path not in modules:
        raise file.error(f"has a mask for {full}", "it names parameters of the model")
    return modules[path], name


def _kept(file: _MaskFile, place: Place, rank: int) -> torch.Tensor:
    """Read this process's part of a mask, composed with the present one."""
    name, orig = place.where, place.orig
    if file.shapes[name] != tuple(orig.shape):
        raise file.error(
            f"has a mask of shape {file.shapes[name]} for {place}, which has {tuple(orig.shape)}",
            "a mask has the shape of its tensor [MASK-04]",
        )
    like: Any = place.mask if place.has_whole_mask else orig
    layout, part = layout_of(like, rank, str(place)), local_part(like)
    flat = np.empty(layout.size, dtype=np.bool_)
    for first in range(0, prod(layout.shape), 8 * PIECE):
        last = min(first + 8 * PIECE, prod(layout.shape))
        start, stop = own_range(layout, first, last)
        if start < stop:
            packed = file.slices[name][first // 8 : -(-last // 8)]
            flat[start:stop] = _bits(packed, layout, first, start, stop)
    kept = torch.from_numpy(flat).view(part.shape).to(part.device)
    return kept if place.mask is None else kept & (local_part(place.mask) == 1)


def _bits(packed: Any, layout: Layout, first: int, start: int, stop: int) -> Any:
    places = layout.positions(np.arange(start, stop), 0) - first
    return unpack(np.asarray(packed), 8 * len(packed))[places]
