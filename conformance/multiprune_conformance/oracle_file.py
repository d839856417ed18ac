"""The oracle's mask file (SPEC.md FILE-04 to FILE-06), and a writer for the vectors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from multiprune_conformance.oracle_dtypes import Array, Refused
from multiprune_conformance.oracle_masks import digest, pack, unpack


def write_file(masks: dict[str, Array], **changes: Any) -> bytes:
    """Return a mask file; `changes` replaces metadata, to damage it for a vector."""
    shapes = {name: list(mask.shape) for name, mask in sorted(masks.items())}
    metadata: dict[str, Any] = {
        "format": "multiprune-masks",
        "version": "1",
        "shapes": json.dumps(shapes, ensure_ascii=False),
        "sha256": digest(masks),
    }
    header: dict[str, Any] = {"__metadata__": metadata | changes}
    data = b""
    for name, mask in sorted(masks.items()):
        packed = pack(mask)
        ends = [len(data), len(data) + len(packed)]
        header[name] = {"dtype": "U8", "shape": [len(packed)], "data_offsets": ends}
        data += packed
    text = json.dumps(header, ensure_ascii=False, sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def read_file(data: bytes) -> dict[str, Array]:
    """Read a mask file and check all that FILE-06 lists."""
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__")
        shapes = json.loads(metadata["shapes"])
        known = (metadata["format"], metadata["version"]) == ("multiprune-masks", "1")
        expected = metadata["sha256"]
    except (ValueError, KeyError) as error:
        raise Refused("mask-file", f"unreadable header: {error}") from error
    if not known or set(header) != set(shapes):
        raise Refused("mask-file", "another format, version or set of names")
    masks = {}
    for name, entry in header.items():
        if any(type(n) is not int or n < 0 for n in shapes[name]):
            raise Refused("mask-file", f"{name} has no shape")
        start, end = entry["data_offsets"]
        packed, shape = data[8 + length :][start:end], tuple(shapes[name])
        size = int(np.prod(shape, dtype=np.int64))
        if entry["dtype"] != "U8" or entry["shape"] != [-(-size // 8)] or len(packed) * 8 < size:
            raise Refused("mask-file", f"{name} does not fit its shape")
        masks[name] = unpack(packed, shape)
        if pack(masks[name]) != packed:
            raise Refused("mask-file", f"{name} has unused bits set")
    if digest(masks) != expected:
        raise Refused("mask-file", "the digest differs")
    return masks
