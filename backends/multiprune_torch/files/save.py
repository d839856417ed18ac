"""Packed mask files of models, sharded or whole. The layout is `multiprune.packed`'s.

Each process packs the bits that it owns, a piece of a tensor at a time; pieces are added up, for no
bit has two owners, and the first process writes them. Reading, each takes its own bits.
Clauses: FILE-01 to FILE-06, SHARD-03, SHARD-05.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np
from torch import nn

from multiprune.mask_file import FORMAT, VERSION
from multiprune.packed import digest
from multiprune_torch.distributed.checks import processes_of
from multiprune_torch.distributed.fsdp import reshard
from multiprune_torch.distributed.layout import Layout, layout_of, local_part
from multiprune_torch.distributed.packing import pieces
from multiprune_torch.distributed.processes import Processes, together
from multiprune_torch.errors import ProcessesError
from multiprune_torch.models.names import all_pairs, held_names, pruned_places

__all__ = ["save_masks"]


def save_masks(model: nn.Module, path: str | os.PathLike[str], *, process_group: Any = None) -> str:
    """Write a model's masks as a packed mask file, one bit an entry, that every backend reads.

    Parameters
    ----------
    model : nn.Module
        Pruned. Sharded ones are saved by all processes together; the first one writes.
    path : path
        Replaced once the file is whole.
    process_group : torch.distributed.ProcessGroup, optional
        That holds a sharded model; all processes by default.

    Returns
    -------
    str
        The digest, on every process: equal for equal masks, whatever they come from.

    Raises
    ------
    OSError
        If it cannot be written, on every process.
    ProcessesError
        If processes hold no whole mask together (a RuntimeError).

    Notes
    -----
    Clauses FILE-01 to FILE-05.
    """
    reshard(model)
    masks: dict[str, Any] = {name: place.mask for name, place in pruned_places(model)}
    masks |= {name: record.mask for name, record in held_names(model)}
    processes = processes_of(all_pairs(model), process_group)
    with together(processes) as agreed:
        rank = processes.rank if processes else 0
        layouts = {name: layout_of(masks[name], rank, name) for name in sorted(masks)}
        agreed["the masks"] = "\n".join(f"{n} of {layout.shape}" for n, layout in layouts.items())
    owned = _owned(processes, layouts)
    sha256 = ""
    with _pending(path, processes) as part:
        file: BinaryIO | None = None
        with together(processes):
            if processes is None or processes.leads:
                file = part.open("w+b")
                file.write(_header(layouts, "0" * 64))
        full: OSError | None = None  # others wait for each piece, so it is raised at the end
        for name, layout in layouts.items():
            kept = local_part(masks[name]) if owned[name] else None
            for piece in pieces(layout, kept, processes):
                if file is not None and full is None:
                    try:
                        file.write(piece.tobytes())
                    except OSError as error:
                        full = error
        with together(processes):
            if full is not None:
                raise full
            if file is not None:
                file.flush()
                sha256 = digest(_Packed(part, layouts))
                file.seek(0)
                file.write(_header(layouts, sha256))
                file.close()
                os.replace(part, path)
    if processes is not None:
        words = [int(sha256[i : i + 8] or "0", 16) for i in range(0, 64, 8)]
        sha256 = "".join(f"{word:08x}" for word in processes.sum(words))
    return sha256


@contextmanager
def _pending(path: str | os.PathLike[str], processes: Processes | None) -> Iterator[Path]:
    """Name a file beside `path` to write to, and remove it if it does not become that.

    The name is this call's alone: replicas that know nothing of each other may save at once.
    """
    part = Path(f"{os.fspath(path)}.{uuid4().hex[:8]}.part")
    try:
        yield part
    except BaseException:
        if processes is None or processes.leads:
            part.unlink(missing_ok=True)
        raise


def _owned(processes: Processes | None, layouts: Mapping[str, Layout]) -> dict[str, bool]:
    """Return which masks, or parts of them, this process packs."""
    if processes is None:
        return dict.fromkeys(layouts, True)
    owners = processes.minimum([layout.copy for layout in layouts.values()])
    owned = {
        name: layout.first and layout.copy == owner
        for (name, layout), owner in zip(layouts.items(), owners, strict=True)
    }
    counts = processes.sum([layouts[n].size if mine else 0 for n, mine in owned.items()])
    for (name, layout), count in zip(layouts.items(), counts, strict=True):
        if count != prod(layout.shape):
            raise ProcessesError(
                f"the mask of {name} has {prod(layout.shape)} entries, and the processes own "
                f"{count} of them. Rule: every entry has exactly one owner [SHARD-03]. Save it on "
                "all processes of its mesh."
            )
    return owned


def _header(layouts: Mapping[str, Layout], sha256: str) -> bytes:
    """Return the head of a safetensors file; its length does not depend on the digest."""
    shapes = {name: list(layout.shape) for name, layout in layouts.items()}
    metadata = {"format": FORMAT, "version": VERSION}
    metadata |= {"shapes": json.dumps(shapes, ensure_ascii=False), "sha256": sha256}
    head: dict[str, Any] = {"__metadata__": metadata}
    start = 0
    for name, layout in layouts.items():
        length = -(-prod(layout.shape) // 8)
        head[name] = {"dtype": "U8", "shape": [length], "data_offsets": [start, start + length]}
        start += length
    text = json.dumps(head, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


class _Packed(Mapping[str, Any]):
    """Shape and packed mask by name, read from a written file one at a time."""

    def __init__(self, path: Path, layouts: Mapping[str, Layout]) -> None:
        self.layouts, self.starts = layouts, {}
        start = len(_header(layouts, "0" * 64))
        for name, layout in layouts.items():
            self.starts[name] = start
            start += -(-prod(layout.shape) // 8)
        self.bytes = np.memmap(path, dtype=np.uint8, mode="r")

    def __getitem__(self, name: str) -> tuple[tuple[int, ...], memoryview]:
        shape = self.layouts[name].shape
        start = self.starts[name]
        whole: Any = self.bytes
        return shape, memoryview(whole[start : start - (-prod(shape) // 8)])

    def __iter__(self) -> Iterator[str]:
        return iter(self.layouts)

    def __len__(self) -> int:
        return len(self.layouts)
