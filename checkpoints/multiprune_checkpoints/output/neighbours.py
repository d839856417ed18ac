"""What lies in a folder beside the files that are written."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection
from pathlib import Path

from multiprune_checkpoints.errors import OutputError
from multiprune_checkpoints.formats.checkpoint import Checkpoint
from multiprune_checkpoints.formats.elsewhere import may_be_weights

__all__ = ["check_folder", "copy_others", "dense_copies"]

_STATES = re.compile(
    r"(optim|optimizer|sched|scheduler|rng_state|training_args|scaler|random_states)s?([._\-\d]|$)"
    r"|.*_optim_states\."
)
"""Names of what trainers save beside a model."""


def check_folder(source: Path, target: Path, also: Collection[str] = ()) -> None:
    """Refuse a target that is not a folder of its own, or holds what would be lost.

    What has a name that is also in `source` or `also` is an older output.
    """
    inside, home = target.resolve(), source.resolve()
    if inside == home or home in inside.parents or inside in home.parents:
        raise OutputError(
            f"{target} is, holds or is in the folder of the input, {source}. Rule: the output "
            "is a folder of its own. Name another, or say --in-place."
        )
    if not target.exists():
        return
    known = {path.name for path in source.iterdir()} | set(also)
    alien = [path.name for path in target.iterdir()] if target.is_dir() else [target.name]
    if lost := sorted(set(alien) - known):
        raise OutputError(
            f"{target} is there and holds {', '.join(lost[:5])}. Rule: only an older output is "
            "replaced. Name another folder, or empty this one."
        )


def dense_copies(checkpoint: Checkpoint) -> list[str]:
    """Return the files in a checkpoint's folder that look like weights, and stay as they are.

    Those in folders below it, too, which are copied along: another format's export, or the layers
    that a sentence encoder has on top.
    """
    if not checkpoint.is_folder:
        return []
    home = checkpoint.path.parent
    read = {source.path for source in checkpoint.files}
    return sorted(
        path.relative_to(home).as_posix()
        for path in home.rglob("*")
        if may_be_weights(path.name)
        and path not in read
        and not _STATES.match(path.name)
        and not any(part.startswith(".") for part in path.relative_to(home).parts)
        and path.is_file()
    )


def copy_others(source: Path, target: Path, written: Collection[str]) -> None:
    """Copy what else is in the input's folder: configuration, tokenizers, the index."""
    for path in sorted(source.iterdir()):
        if path.name in written or path.name.endswith((".multiprune.tmp", ".multiprune.old")):
            continue
        if path.is_dir():
            shutil.copytree(path, target / path.name)
        elif path.is_file():
            shutil.copy2(path, target / path.name)
