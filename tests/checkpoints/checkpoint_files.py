"""Checkpoints for tests: written byte by byte, so that faults can be put anywhere."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from multiprune_checkpoints import open_checkpoint
from multiprune_checkpoints.formats.dtypes import NAMES

FLOATS = ["float64", "float32", "float16", "bfloat16"]
FLOAT8 = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"]


def dtype(name: str) -> np.dtype[Any]:
    return np.dtype(getattr(ml_dtypes, name, name))


def raw_file(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file with any header at all."""
    text = header if isinstance(header, bytes) else json.dumps(header, ensure_ascii=False).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def encode(tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> bytes:
    """A safetensors file, its tensors in the order of the dict."""
    header: dict[str, Any] = {}
    if metadata is not None:
        header["__metadata__"] = metadata
    data = b""
    for name, array in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    return raw_file(header, data)


def write(path: Path, tensors: dict[str, np.ndarray], **metadata: str) -> Path:
    path.write_bytes(encode(tensors, metadata or None))
    return path


def write_shards(folder: Path, shards: list[dict[str, np.ndarray]]) -> Path:
    """A folder of shards with their index; returns the index."""
    folder.mkdir(exist_ok=True)
    places = {}
    for number, tensors in enumerate(shards, 1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write(folder / name, tensors, format="pt")
        places |= dict.fromkeys(tensors, name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    (folder / "config.json").write_text("{}")
    return index


def read(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of a checkpoint."""
    with open_checkpoint(path) as checkpoint:
        return {
            name: np.frombuffer(checkpoint.read(t, 0, t.size), dtype(t.dtype)).reshape(t.shape)
            for name, t in checkpoint.tensors.items()
        }


def random_array(
    shape: tuple[int, ...], name: str = "float32", seed: int = 0, few: int = 0
) -> np.ndarray:
    """An array of random bits, NaNs and infinities among them; of `few` values, so with ties."""
    kind = dtype(name)
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (math.prod(shape), kind.itemsize), dtype=np.uint8)
    values = raw.view(kind)[:, 0]
    if few:
        values = rng.choice(values[:few], math.prod(shape))
    return values.reshape(shape)
