"""Room: checkpoints made small, and whole again to the bit. Files and folders; see `shuffled`.

A compressed file: eight bytes of magic, the size of the original (8 bytes), its SHA-256 (32 bytes),
then blocks in the order of the original. Whatever is no tensor is in plain blocks.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from struct import Struct

from multiprune_numpy.checkpoint import Checkpoint, open_checkpoint
from multiprune_numpy.destination import check_folder, copy_others
from multiprune_numpy.errors import CheckpointError, OutputError
from multiprune_numpy.pending import PendingFile, PendingFolder
from multiprune_numpy.progress import Progress, Silent
from multiprune_numpy.shuffled import BLOCK, HEAD, WIDTHS, pack, unpack, zstd
from multiprune_numpy.source import SourceFile, Stored, write_all

__all__ = ["SUFFIX", "compress_checkpoint", "unpack_checkpoint"]

SUFFIX = ".mpz"
_MAGIC = b"mprzstd1"
_START = Struct("<8sQ32s")
_WORKERS, _WAITING = 2, 4
_FREE_EXPANSION, _EXPANSION = 1 << 30, 1000
"""A file may grow to a gibibyte, or a thousandfold, whichever is more."""


def compress_checkpoint(
    source: str | Path, target: str | Path, *, progress: Progress | None = None
) -> tuple[int, int]:
    """Compress a checkpoint; memory does not grow with its size.

    Parameters
    ----------
    source : path
        A file, an index of shards, or a folder with one of them.
    target : path
        A file whose name ends in ``.mpz``; a folder where `source` is a folder or an index.
    progress : Progress, optional

    Returns
    -------
    before, after : int
        Bytes of the tensors' files.

    Raises
    ------
    CheckpointError, OutputError
        If the checkpoint does not hold together, or the target will not do.
    """
    goal = Path(target)
    zstd()
    with ExitStack() as stack:
        checkpoint = stack.enter_context(open_checkpoint(source))
        (progress := progress or Silent()).begin("compressing", checkpoint.size)
        if not checkpoint.is_folder:
            _check_name(goal)
            return _compress(checkpoint, 0, goal, progress)
        home = checkpoint.path.parent
        check_folder(home, goal, also={f"{file.name}{SUFFIX}" for file in checkpoint.files})
        folder = stack.enter_context(PendingFolder(goal))
        sizes = [
            _compress(checkpoint, i, folder.temporary / f"{file.name}{SUFFIX}", progress)
            for i, file in enumerate(checkpoint.files)
        ]
        copy_others(home, folder.temporary, {file.name for file in checkpoint.files})
        folder.commit()
        return sum(before for before, _ in sizes), sum(after for _, after in sizes)


def unpack_checkpoint(
    source: str | Path, target: str | Path, *, progress: Progress | None = None
) -> None:
    """Make what `compress_checkpoint` wrote whole again, bit by bit, and check its digest.

    Parameters
    ----------
    source : path
        A file whose name ends in ``.mpz``, or a folder with such files.
    target : path
        A file, or a folder where `source` is one.
    progress : Progress, optional

    Raises
    ------
    CheckpointError, OutputError
        If a file is damaged or hostile, or the target will not do.
    """
    found, goal, progress = Path(source), Path(target), progress or Silent()
    zstd()
    if not found.is_dir():
        if goal.exists() and goal.samefile(found):
            raise OutputError(f"{goal} is the input. Rule: an input stays as it is. Name another.")
        _unpack(found, goal, progress)
        return
    files = sorted(found.glob(f"*{SUFFIX}"))
    if not files:
        raise CheckpointError(f"{found} holds no *{SUFFIX}. Rule: compress writes these.")
    check_folder(found, goal, also={file.name.removesuffix(SUFFIX) for file in files})
    with PendingFolder(goal) as folder:
        for file in files:
            _unpack(file, folder.temporary / file.name.removesuffix(SUFFIX), progress)
        copy_others(found, folder.temporary, {file.name for file in files})
        folder.commit()


def _compress(
    checkpoint: Checkpoint, number: int, goal: Path, progress: Progress
) -> tuple[int, int]:
    """Compress one file."""
    file = checkpoint.files[number]
    tensors = [t for t in checkpoint.tensors.values() if t.file == number]
    with ExitStack() as stack:
        if file.sha256 is not None:  # what is read of it is no longer the file itself
            file, tensors = SourceFile(file.path), []
            stack.callback(file.close)
        pending = stack.enter_context(PendingFile(goal))
        os.fchmod(pending.descriptor, os.fstat(file.descriptor).st_mode & 0o777)
        pool = stack.enter_context(ThreadPoolExecutor(_WORKERS))
        sha, at = hashlib.sha256(), _START.size
        waiting: deque[Future[bytes]] = deque()

        def write(most: int) -> None:
            nonlocal at
            while len(waiting) > most:
                block = waiting.popleft().result()
                write_all(pending.descriptor, block, at)
                at += len(block)

        for start, stop, width in _blocks(file.size, tensors):
            raw = file.read(start, stop)
            sha.update(raw)
            progress.advance(len(raw))
            waiting.append(pool.submit(pack, raw, width))
            write(_WAITING)
        write(0)
        write_all(pending.descriptor, _START.pack(_MAGIC, file.size, sha.digest()), 0)
        pending.commit()
        return file.size, at


def _blocks(size: int, tensors: list[Stored]) -> Iterator[tuple[int, int, int]]:
    """Cut a file into blocks: where each begins and ends, and how wide its entries are."""
    at = 0
    for tensor in sorted(tensors, key=lambda t: (t.start, t.stop)):
        width = tensor.itemsize
        whole = width in WIDTHS and tensor.size * width == tensor.stop - tensor.start
        if tensor.start < at or not whole:  # several names for the same bytes, and bits
            continue
        yield from ((i, j, 0) for i, j in _steps(at, tensor.start))
        yield from ((i, j, width) for i, j in _steps(tensor.start, tensor.stop))
        at = tensor.stop
    yield from ((i, j, 0) for i, j in _steps(at, size))


def _steps(start: int, stop: int) -> Iterator[tuple[int, int]]:
    for at in range(start, stop, BLOCK):
        yield at, min(at + BLOCK, stop)


def _unpack(path: Path, goal: Path, progress: Progress) -> None:
    """Unpack one file."""
    with ExitStack() as stack:
        file = SourceFile(path)
        stack.callback(file.close)
        if file.size < _START.size:
            raise _broken(path, "it is shorter than what every one begins with")
        magic, size, digest = _START.unpack(file.read(0, _START.size))
        if magic != _MAGIC:
            raise _broken(path, f"it begins with {magic!r}")
        if size > max(_FREE_EXPANSION, _EXPANSION * file.size):
            raise _broken(path, f"its {file.size:,} bytes would become {size:,}")
        progress.begin("unpacking", file.size)
        pending = stack.enter_context(PendingFile(goal))
        os.fchmod(pending.descriptor, os.fstat(file.descriptor).st_mode & 0o777)
        sha, done, at = hashlib.sha256(), 0, _START.size

        def read(count: int) -> bytes:
            nonlocal at
            if count > file.size - at:
                raise CheckpointError("it ends in the middle of a block.")
            at += count
            progress.advance(count)
            return file.read(at - count, at)

        try:
            while done < size:
                raw = unpack(read(HEAD.size), read)
                sha.update(raw)
                write_all(pending.descriptor, raw, done)
                done += len(raw)
        except CheckpointError as error:
            raise _broken(path, str(error).removesuffix(".")) from None
        if done != size or at != file.size or sha.digest() != digest:
            raise _broken(path, "what it holds has another size or digest than it says")
        pending.commit()


def _check_name(goal: Path) -> None:
    if goal.suffix != SUFFIX:
        raise OutputError(
            f"{goal} was given. Rule: a compressed file is called like its original, with {SUFFIX} "
            f"behind, so that unpack knows the name. Name it so."
        )


def _broken(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be unpacked: {what}. Rule: it is a file that multiprune compress wrote. It "
        "is truncated, damaged or hostile."
    )
