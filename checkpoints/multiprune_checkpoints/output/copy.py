"""The one pass that writes. A file is copied block by block, pruned entries as zeros.

What is read once serves all: the input's digest, the masks, the output.
Clauses: REP-03.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence

import numpy as np

from multiprune_checkpoints.counting.entries import FilePlan
from multiprune_checkpoints.errors import OutputError
from multiprune_checkpoints.formats.digests import Digest
from multiprune_checkpoints.formats.source import SourceFile, Stored, write_all
from multiprune_checkpoints.masks import PackedMasks

__all__ = ["check_counts", "check_order", "copy_pruned"]

_BLOCK = 1 << 20
"""Bytes at a time; packed masks ask for a multiple of eight entries."""
_EARLY = 1 << 24
"""Bytes after which the disk is asked to begin: what waits for it in the end is then little."""


def copy_pruned(
    source: SourceFile,
    places: Sequence[tuple[int, Stored]],
    plan: FilePlan,
    target: int | None,
    shift: int,
    masks: PackedMasks,
) -> tuple[str, dict[int, int]]:
    """Copy a file from where its data begin, with the entries that the cut prunes as zeros.

    Parameters
    ----------
    source : SourceFile
    places : sequence of (int, Stored)
        The pruned tensors in it, with their numbers in `plan`, and stored masks of such tensors,
        which become their new masks.
    plan : FilePlan
    target : int or None
        An open file, or None to write nothing.
    shift : int
        How much further back the data lie in the target.
    masks : PackedMasks
        Where the masks are written.

    Returns
    -------
    sha256 : str
        Digest of the whole input file.
    pruned : dict of int
        How many entries of each tensor are pruned, by number.
    """
    pruned = {number: 0 for number, tensor in places if tensor is plan.tensors[number]}
    begin = asked = source.layout.data
    at = 0
    with Digest() as digest:
        for start, stop, place in _blocks(source.size, places, plan):
            check_order(source, start, at)
            raw, at = source.read(start, stop), stop
            digest.update(raw)
            plan.progress.advance(stop - start)
            out: bytes | memoryview = raw
            if place is not None:
                number, tensor = place
                width, weight = tensor.itemsize, plan.tensors[number]
                i, j = (start - tensor.start) // width, (stop - tensor.start) // width
                if tensor is weight:
                    keep = plan.kept(number, i, j, raw)
                    masks.write(tensor.name, i, keep)
                    pruned[number] += j - i - int(np.count_nonzero(keep))
                else:
                    keep = plan.kept(number, i, j, plan.checkpoint.read(weight, i, j))
                bits = np.frombuffer(raw, f"u{width}")
                out = np.multiply(bits, keep, dtype=bits.dtype).data  # bits times 0 or 1
            if target is not None and stop > begin:
                cropped = max(begin - start, 0)
                write_all(target, memoryview(out).cast("B")[cropped:], start + cropped + shift)
                if stop - asked >= _EARLY:
                    _write_out(target, asked + shift, stop - asked)
                    asked = stop
        check_order(source, source.size, at)
        return source.sha256 or digest.hexdigest(), pruned


def check_order(source: SourceFile, start: int, at: int) -> None:
    """Check that a block follows the one before, so that each byte is written and digested once.

    Raises
    ------
    OutputError
        If it does not (a ValueError); no output is left then.
    """
    if start != at:
        raise OutputError(
            f"{source.name} was copied up to byte {at:,}, and the next block begins at {start:,}. "
            "Rule: every byte of the input is read once, in order. This is a fault of multiprune: "
            "please report it; nothing was written."
        )


def _write_out(descriptor: int, start: int, length: int) -> None:
    """Have a part of a file written to the disk, and go on meanwhile."""
    # Linux begins to write out what is said to be needed no more, and keeps it until that is done.
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)


def check_counts(plan: FilePlan, pruned: Sequence[int]) -> None:
    """Check that as many entries of each pool were pruned as its cut says.

    Raises
    ------
    OutputError
        If not (a ValueError); no output is left then.
    """
    kept = [cut.live - cut.count for cut in plan.cuts]
    for tensor, pool, count in zip(plan.tensors, plan.pools.of, pruned, strict=True):
        if kept:
            kept[pool] -= tensor.size - count
    if any(kept):
        raise OutputError(
            f"the masks that were written prune {sum(pruned):,} entries, {abs(sum(kept)):,} other "
            "than the cut says. Rule: exactly so many are pruned as were asked for [RANK-02]. Did "
            "the input change meanwhile? Nothing was written."
        )


def _blocks(
    size: int, places: Sequence[tuple[int, Stored]], plan: FilePlan
) -> Iterator[tuple[int, int, tuple[int, Stored] | None]]:
    """Cut a file into blocks, in its order: where each lies, and which tensor it is part of."""
    at = 0
    # An empty tensor may share its place with another, and has nothing to be written.
    held = [(number, tensor) for number, tensor in places if tensor.size]
    for number, tensor in sorted(held, key=lambda place: place[1].start):
        yield from ((i, j, None) for i, j in _steps(at, tensor.start))
        # Whole rows or groups, and whole bytes of packed masks.
        unit = math.lcm(plan.unit(number), 8) * tensor.itemsize
        step = max(_BLOCK // unit, 1) * unit
        yield from ((i, j, (number, tensor)) for i, j in _steps(tensor.start, tensor.stop, step))
        at = tensor.stop
    yield from ((i, j, None) for i, j in _steps(at, size))


def _steps(start: int, stop: int, step: int = _BLOCK) -> Iterator[tuple[int, int]]:
    for at in range(start, stop, step):
        yield at, min(at + step, stop)
