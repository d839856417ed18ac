"""A checkpoint, one file or many. What the user names becomes tensors by name.

A format is found by the name of the file.
Clauses: TIE-04.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from multiprune_checkpoints.errors import CheckpointError
from multiprune_checkpoints.formats.elsewhere import what_it_is
from multiprune_checkpoints.formats.npz_file import open_npz
from multiprune_checkpoints.formats.safetensors_file import open_safetensors
from multiprune_checkpoints.formats.shards import check_shard, compare, weight_map
from multiprune_checkpoints.formats.source import SourceFile, Stored
from multiprune_checkpoints.formats.torch_file import open_torch

__all__ = [
    "INDEX", "JOURNAL", "Checkpoint", "files_of", "has_format_of", "is_folder", "locate",
    "open_checkpoint",
]  # fmt: skip

INDEX = ".safetensors.index.json"
JOURNAL = ".multiprune-journal.json"
"""Stands in a folder while the shards in it are replaced one after the other."""

_OPENERS = {
    ".safetensors": open_safetensors,
    ".npz": open_npz,
    ".pt": open_torch,
    ".pth": open_torch,
    ".bin": open_torch,
    ".ckpt": open_torch,
}


class Checkpoint:
    """An open checkpoint. A context manager, closed at its end.

    Attributes
    ----------
    path : Path
        The file, or the index of its shards.
    is_folder : bool
        Whether the user named a folder or an index, so that the files beside it belong to it.
    files : list of SourceFile
    tensors : dict of Stored
        By name, in the order of the files.
    tied : list of list of str
        Names that mean the same bytes.
    no_weights : dict of str
        Names of what is no weight by the structure of the file, or no dense array, with the reason.
    """

    def __init__(self, path: Path, is_folder: bool) -> None:
        self.path, self.is_folder = path, is_folder
        self.files: list[SourceFile] = []
        self.tensors: dict[str, Stored] = {}
        self.tied: list[list[str]] = []
        self.no_weights: dict[str, str] = {}
        self._places: dict[tuple[int, int, int], list[str]] = {}

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for source in self.files:
            source.close()

    @property
    def size(self) -> int:
        """How many bytes all files have."""
        return sum(source.size for source in self.files)

    def read(self, tensor: Stored, start: int, stop: int) -> bytes:
        """Return entries `start` to `stop` of a tensor as raw bytes."""
        width = tensor.itemsize
        return self.files[tensor.file].read(
            tensor.start + start * width, tensor.start + stop * width
        )

    def add(self, path: Path) -> list[Stored]:
        """Open one more file."""
        opener = _OPENERS.get(path.suffix)
        if opener is None:
            raise CheckpointError(
                f"{path} is not a checkpoint by its name. Rule: {', '.join(_OPENERS)}, an index "
                f"*{INDEX}, or a folder with one of these.{what_it_is(path)}"
            )
        try:
            source, tensors = opener(path, len(self.files))
        except CheckpointError as error:
            what = what_it_is(path)
            if not what or str(error).endswith(what):
                raise
            raise CheckpointError(f"{path} has not the format of its name.{what}") from error
        self.files.append(source)
        self.no_weights |= source.no_weights
        for tensor in tensors:
            self.tensors[tensor.name] = tensor
            if tensor.stop > tensor.start:
                names = self._places.setdefault(tensor.place, [])
                names.append(tensor.name)
                if len(names) > 1:
                    self.tied.append([names[0], tensor.name])
        return tensors

    def names_of(self, tensor: Stored) -> list[str]:
        """Return the names of the bytes of a tensor: its own, and those that are tied to it."""
        return self._places.get(tensor.place, [tensor.name])


def locate(path: Path) -> Path:
    """Return the file that a folder names: its index, or the only checkpoint in it.

    Raises
    ------
    CheckpointError
        If there is none, or more than one.
    """
    if not path.is_dir():
        return path
    for pattern in (f"*{INDEX}", "*.safetensors"):
        matches = sorted(path.glob(pattern))
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise CheckpointError(
                f"{path} holds {', '.join(p.name for p in matches[:5])}. Rule: a folder holds one "
                "index or one safetensors file. Name the file that you mean."
            )
    raise CheckpointError(
        f"{path} holds no safetensors file and no index. Name the file.{what_it_is(path)}"
    )


def is_folder(path: Path) -> bool:
    """Whether a user who names this means a folder: by its name, or by an index in it."""
    return path.is_dir() or path.name.endswith(INDEX)


def files_of(path: Path) -> list[Path]:
    """Return the files that a checkpoint is read from; of its data nothing is read."""
    located = locate(path)
    if not located.name.endswith(INDEX):
        return [located]
    return [located, *(located.parent / name for name in sorted(set(weight_map(located).values())))]


def has_format_of(path: Path, other: Path) -> bool:
    """Whether two files have the same format by their names."""
    return _OPENERS.get(path.suffix) is _OPENERS.get(other.suffix)


def open_checkpoint(path: str | Path, *, recovering: bool = False) -> Checkpoint:
    """Open a checkpoint and check that it is whole.

    Parameters
    ----------
    path : str or Path
        A ``.safetensors``, ``.npz``, ``.pt``, ``.pth``, ``.bin`` or ``.ckpt`` file, an index of
        shards, or a folder with an index or one file of the first kind.
    recovering : bool
        Open it though a pruning of its shards was interrupted.

    Raises
    ------
    CheckpointError
        If it is damaged, hostile or not there.
    """
    asked = Path(path)
    located = locate(asked)
    is_index = located.name.endswith(INDEX)
    checkpoint = Checkpoint(located, is_folder(asked))
    if is_index and not recovering and (located.parent / JOURNAL).exists():
        raise CheckpointError(
            f"{located.parent} holds {JOURNAL}: replacing its shards was interrupted, and some are "
            "old, some new. Run the same prune --in-place again, which finishes it."
        )
    try:
        if is_index:
            _add_shards(checkpoint, located)
        else:
            checkpoint.add(located)
    except BaseException:
        checkpoint.__exit__(None, None, None)
        raise
    return checkpoint


def _add_shards(checkpoint: Checkpoint, index: Path) -> None:
    """Open what an index names, and check that names and shards are those that it says."""
    where = str(index)
    places = weight_map(index)
    shards = sorted(set(places.values()))
    for shard in shards:
        check_shard(index.parent, shard, where)
    listed: dict[str, list[str]] = {shard: [] for shard in shards}
    for name, shard in places.items():
        listed[shard].append(name)
    for shard in shards:
        held = {tensor.name for tensor in checkpoint.add(index.parent / shard)}
        compare(held, listed[shard], shard, where)
