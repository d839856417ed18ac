"""Room: the commands that make files small and whole again, and ``prune --compress``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from multiprune_cli.options import Json

__all__ = ["compress", "shrunk", "unpack"]

Output = Annotated[Path, Parameter(name=["--output", "-o"])]


def compress(file: Path, *, output: Output, json_: Json = False) -> None:
    """Compress a pruned checkpoint: its zeros take next to nothing. Nothing is lost.

    Parameters
    ----------
    file
        A safetensors, npz or torch file, an index of shards, or a folder with one of them.
    output
        The file's name with .mpz behind, or a folder where a folder or an index was given.
    json_
        Print JSON.
    """
    from multiprune_numpy import compress_checkpoint

    from multiprune_cli.bars import watched
    from multiprune_cli.views import print_json

    with watched() as progress:
        before, after = compress_checkpoint(file, output, progress=progress)
    if json_:
        print_json({"before": before, "after": after})
    else:
        show_sizes(before, after)


def unpack(file: Path, *, output: Output) -> None:
    """Make a compressed checkpoint whole again, bit by bit, and check its digest.

    Parameters
    ----------
    file
        What compress wrote: a file, or a folder.
    output
        The original: a file, or a folder.
    """
    from multiprune_numpy import unpack_checkpoint

    from multiprune_cli.bars import watched

    with watched() as progress:
        unpack_checkpoint(file, output, progress=progress)
    print(f"{output}: the same bytes as were compressed, by their SHA-256")


def show_sizes(before: int, after: int) -> None:
    """Say what compressing saved."""
    print(f"{before / 1e6:,.1f} MB became {after / 1e6:,.1f} MB ({after / max(before, 1):.1%})")


@contextmanager
def shrunk(file: Path, output: Path, *, quiet: bool) -> Iterator[Path]:
    """Give the name that a pruning writes to, and compress what it wrote to `output`."""
    from multiprune_numpy import OutputError, compress_checkpoint

    from multiprune_cli.bars import watched

    is_folder = file.is_dir() or file.name.endswith(".index.json")
    if not is_folder and output.suffix != ".mpz":
        raise OutputError(f"{output} was given. Rule: a compressed file's name ends in .mpz.")
    suffix = "" if is_folder else file.suffix
    whole = output.with_name(f".{output.name}.multiprune{suffix}")
    try:
        yield whole
        with watched() as progress:
            sizes = compress_checkpoint(whole, output, progress=progress)
    finally:  # a killed run leaves it, and the next one writes to the same name
        if whole.is_dir():
            shutil.rmtree(whole)
        else:
            whole.unlink(missing_ok=True)
    if not quiet:
        show_sizes(*sizes)
