"""Packed masks and mask files of multiprune, the part that all its adapters share."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from multiprune import mask_file
from multiprune_conformance.oracle_encoding import read_mask, write_mask

Json = dict[str, Any]


class Files:
    """Answers `pack` and `read_masks`."""

    def _pack(self, request: Json) -> Json:
        arrays = {item["name"]: np.asarray(read_mask(item)) == 1 for item in request["masks"]}
        masks = {name: (array.shape, array.tobytes()) for name, array in arrays.items()}
        held, metadata = mask_file.encode(masks)
        if mask_file.decode(held, metadata) != masks:
            raise ValueError("what was packed does not come back")
        return {"packed": [held[name].hex() for name in masks], "digest": metadata["sha256"]}

    def _read_masks(self, request: Json) -> Json:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "masks.safetensors"
            path.write_bytes(bytes.fromhex(request["file"]))
            try:
                masks = self.load(path)
            except SafetensorError:
                return {"error": "mask-file"}
        return {"named": {name: write_mask(np.asarray(mask)) for name, mask in masks.items()}}

    def load(self, path: Path) -> Json:
        """Read a mask file; opening it is no matter of the algebra, which decodes it."""
        with safe_open(path, framework="numpy") as file:
            held = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
            decoded = mask_file.decode(held, file.metadata() or {})
        return {
            name: np.frombuffer(bits, dtype=bool, count=math.prod(shape)).reshape(shape)
            for name, (shape, bits) in decoded.items()
        }
