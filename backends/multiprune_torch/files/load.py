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

from multiprune.deprecated import warn_of
from multiprune.errors import MaskError
from multiprune.packed import FORMAT, VERSION, MaskFileError, digest
from multiprune_torch.distributed.checks import processes_of
from multiprune_torch.distributed.fsdp import reshard
from multiprune_torch.distributed.install import make_ready
from multiprune_torch.distributed.layout import Layout, layout_of, local_part
from multiprune_torch.distributed.packing import PIECE, own_range, unpack
from multiprune_torch.distributed.processes import together
from multiprune_torch.errors import MaskTypeError
from multiprune_torch.hooks.methods import as_mask
from multiprune_torch.models.select import all_pairs, named_modules
from multiprune_torch.ranking.masks import mask_dtype_of
from multiprune_torch.request.parameters import Place, read_all
from multiprune_torch.request.pruned import is_binary

__all__ = ["load_masks"]


def load_masks(path: Any, *old: Any, **options: Any) -> Any:
    """Read a packed mask file.

    Parameters
    ----------
    path : path
        A file of masks by full names, from any backend.

    Returns
    -------
    dict of str to torch.Tensor
        Masks of bool, True where an entry is kept.

    Raises
    ------
    MaskFileError
        If the file is damaged, or is none of masks (a ValueError).

    Notes
    -----
    Clauses FILE-04 to FILE-06.
    """
    if isinstance(path, nn.Module):
        warn_of("load_masks(model, path) is called apply_masks(model, path) now.")
        return apply_masks(path, *old, **options)
    if old or options:
        raise TypeError("load_masks() takes a path. To prune a model: apply_masks(model, path)")
    file = _MaskFile(path)
    file.check()
    masks = {}
    for name in file:
        shape, packed = file[name]
        bits = unpack(np.frombuffer(packed, np.uint8), prod(shape))
        masks[name] = torch.from_numpy(bits).view(shape)
    return masks


def apply_masks(
    model: nn.Module,
    masks: Any,
    *,
    keep_dense: bool = False,
    process_group: Any = None,
) -> list[str]:
    """Prune a model by masks, on top of what is pruned already.

    Parameters
    ----------
    model : nn.Module
        Sharded or not. All processes of a sharded one call this together.
    masks : path or mapping of str to torch.Tensor
        A packed mask file, of which each process reads its own bits, or masks by full names, whole
        on every process.
    keep_dense : bool
        Keep the values that are pruned in place, for `undo`.
    process_group : torch.distributed.ProcessGroup, optional
        That holds a sharded model; all processes by default.

    Returns
    -------
    list of str
        The full names of the parameters that have a mask now.

    Raises
    ------
    MaskFileError, MaskError, MaskShapeError
        If the file is damaged, or masks do not fit the model (ValueErrors).
    MultipruneError
        If a parameter cannot be pruned; nothing is changed then, on any process.

    Notes
    -----
    Clauses FILE-04 to FILE-06, MASK-01, MASK-03, MASK-04.
    """
    reshard(model)
    processes = processes_of(all_pairs(model), process_group)
    with together(processes) as agreed:
        source = _source(masks)
        agreed["the masks"] = source.sha256
        if processes is None or processes.leads:
            source.check()
        modules = dict(named_modules(model))
        places = read_all([_pair(modules, name, source) for name in source], list(source))
        rank = processes.rank if processes else 0
        ready = [
            make_ready(p, _kept(source, p, rank), mask_dtype_of(p, None), keep_dense=keep_dense)
            for p in places
        ]
    for each in ready:
        each.install()
    return list(source)


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

    def part(self, name: str, layout: Layout) -> torch.Tensor:
        """Read what this process holds of a mask, row-major, a piece at a time."""
        flat, size = np.empty(layout.size, dtype=np.bool_), prod(layout.shape)
        for first in range(0, size, 8 * PIECE):
            start, stop = own_range(layout, first, min(first + 8 * PIECE, size))
            if start < stop:
                packed = np.asarray(self.slices[name][first // 8 : first // 8 + PIECE])
                places = layout.positions(np.arange(start, stop), 0) - first
                flat[start:stop] = unpack(packed, 8 * len(packed))[places]
        return torch.from_numpy(flat)

    def __getitem__(self, name: str) -> Any:
        return self.shapes[name], self.slices[name][:].tobytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self.slices)

    def __len__(self) -> int:
        return len(self.slices)


class _MaskTensors(dict[str, torch.Tensor]):
    """Masks of booleans by name, which are whole on every process."""

    def __init__(self, masks: Any) -> None:
        if hasattr(masks, "masks") or not all(isinstance(name, str) for name in masks):
            raise self.error("are not given by name", "they are a dict by full names [MASK-04]")
        tensors = {name: as_mask(masks[name]) for name in sorted(masks)}
        for name, mask in tensors.items():
            if not is_binary(mask):
                raise self.error(f"hold other values in {name}", "a mask is 0 and 1 [MASK-03]")
        super().__init__((name, mask.detach() != 0) for name, mask in tensors.items())
        self.shapes = {name: tuple(mask.shape) for name, mask in self.items()}
        packed = ((n, np.packbits(m.cpu().numpy(), bitorder="little")) for n, m in self.items())
        self.sha256 = digest({n: (self.shapes[n], bits.tobytes()) for n, bits in packed})

    def error(self, what: str, rule: str) -> MaskError:
        """Say what is wrong with the masks."""
        return MaskError(f"masks {what}. Rule: {rule}. Pass {{'encoder.weight': mask}}, or a path.")

    def check(self) -> None:
        """Nothing is left to check."""

    def part(self, name: str, layout: Layout) -> torch.Tensor:
        """Return what this process holds of a mask, row-major."""
        return layout.part_of(self[name]).reshape(-1)


def _source(masks: Any) -> _MaskFile | _MaskTensors:
    if isinstance(masks, str | os.PathLike):
        return _MaskFile(masks)
    if not isinstance(masks, Mapping):
        raise MaskTypeError(
            f"masks is a {type(masks).__name__}. Rule: masks are a packed mask file, or a dict by "
            "full names [MASK-04]. Pass a path, or {'encoder.weight': mask}."
        )
    return _MaskTensors(masks)


def _pair(
    modules: Mapping[str, nn.Module], full: str, source: _MaskFile | _MaskTensors
) -> tuple[nn.Module, str]:
    path, _, name = full.rpartition(".")
    if path not in modules:
        raise source.error(f"has a mask for {full}", "it names parameters of the model")
    return modules[path], name


def _kept(source: _MaskFile | _MaskTensors, place: Place, rank: int) -> torch.Tensor:
    """Return this process's part of a mask, composed with the present one."""
    name, orig = place.where, place.orig
    if source.shapes[name] != tuple(orig.shape):
        raise source.error(
            f"has a mask of shape {source.shapes[name]} for {place}, which has {tuple(orig.shape)}",
            "a mask has the shape of its tensor [MASK-04]",
        )
    like: Any = place.mask if place.has_whole_mask else orig
    layout, part = layout_of(like, rank, str(place)), local_part(like)
    kept = source.part(name, layout).view(part.shape).to(part.device)
    return kept if place.mask is None else kept & (local_part(place.mask) == 1)
