"""Vectors of SPEC.md 12: packed masks and their files."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from craft import Area, mask
from multiprune_conformance.oracle_file import write_file

# Tables of vectors read better when they are packed.
# fmt: off

NOTES = {
    "BitOrder": ("the first entry in the highest bit", "masks of a file are shuffled"),
    "Padding": ("unused bits left as they are", "equal masks have different digests"),
    "Digest": ("names, shapes or order left out", "different masks have one digest"),
    "Damaged": ("files believed as they are", "a damaged mask is applied"),
}


def build() -> list[Area]:
    """Return the area's file."""
    area = Area("files", NOTES)

    def pack(
        ident: str, title: str, clauses: str, flag: str, masks: dict[str, Any], expect: Any = None
    ) -> None:
        listed = [dict(mask(value), name=name) for name, value in masks.items()]
        area.add(ident, title, clauses, flag, "pack", {"masks": listed}, expect, "deterministic")

    for size in (0, 1, 3, 7, 8, 9, 16, 17):
        bits = [1 if (i * 5) % 7 < 3 else 0 for i in range(size)]
        pack(f"FILE-01/size-{size}", f"{size} entries in bits", "FILE-01 FILE-02 FILE-03",
            "BitOrder Padding", {"w": bits})
    pack("FILE-02/ones", "the unused bits are zero", "FILE-02", "Padding", {"w": [1] * 11})
    pack("FILE-01/rows", "bits run along the rows", "FILE-01", "BitOrder",
        {"w": [[1, 0, 0], [1, 1, 0]]})
    pack("FILE-01/scalar", "a mask without dimensions is one bit", "FILE-01 FILE-03", "BitOrder",
        {"w": 1})
    pack("FILE-03/none", "a set without masks has the digest of nothing", "FILE-03", "Digest", {})
    pack("FILE-03/order", "the digest takes names in order", "FILE-03 TIE-04", "Digest",
        {"b": [1, 0], "a": [0, 1], "\U0001d400": [1], "\uff5a": [0]})
    for name, masks in {"shape-2-3": {"w": [[1, 0, 1], [1, 1, 0]]}, "shape-3-2":
        {"w": [[1, 0], [1, 1], [1, 0]]}, "shape-6": {"w": [1, 0, 1, 1, 1, 0]}, "name":
        {"v": [1, 0, 1, 1, 1, 0]}, "utf-8": {"gewicht.\u00e4": [1, 0]}}.items():
        pack(f"FILE-03/{name}", "the digest tells names and shapes apart", "FILE-03", "Digest",
            masks)
    # More entries than the blocks that packers work in.
    far = {"shape": [300, 220], "lcg": {"start": 9, "shift": 30, "mask": "1"}, "name": "w"}
    area.add("FILE-01/large", "66,000 entries in bits", "FILE-01 FILE-03", "BitOrder", "pack",
        {"masks": [far]}, None, "deterministic")
    masks = {"a": np.array([[1, 0, 1], [0, 1, 1]]), "b": np.ones(9), "c": np.array(0)}

    def read(ident: str, title: str, clauses: str, data: bytes, expect: Any = None) -> None:
        area.add(ident, title, clauses, "Damaged", "read_masks", {"file": data.hex()}, expect,
            "deterministic")

    refused = {"error": "mask-file"}
    good = write_file(masks)
    read("FILE-04/plain", "a mask file is read", "FILE-04 FILE-05", good)
    read("FILE-04/empty", "a mask file may be empty", "FILE-04 FILE-05", write_file({}))
    read("FILE-06/format", "another format is refused", "FILE-06 FILE-05",
        write_file(masks, format="masks"), refused)
    read("FILE-06/version", "another version is refused", "FILE-06 FILE-05",
        write_file(masks, version="2"), refused)
    read("FILE-06/digest", "another digest is refused", "FILE-06 FILE-03",
        write_file(masks, sha256="0" * 64), refused)
    read("FILE-06/names", "names without a shape are refused", "FILE-06",
        write_file(masks, shapes='{"a":[2,3],"b":[9]}'), refused)
    read("FILE-06/shape", "a length that does not fit is refused", "FILE-06",
        write_file(masks, shapes='{"a":[2,3],"b":[8],"c":[]}'), refused)
    read("FILE-06/reshaped", "a shape of the same size has another digest", "FILE-06 FILE-03",
        write_file(masks, shapes='{"a":[3,2],"b":[9],"c":[]}'), refused)
    for name, shape in {"negative": [-3, -3], "fraction": [4.5, 2], "text": ["9"]}.items():
        told = json.dumps({"a": [2, 3], "b": shape, "c": []})
        read(f"FILE-06/{name}-dimension", "a dimension that is none is refused", "FILE-06",
            write_file(masks, shapes=told), refused)
    read("FILE-06/padding", "unused bits that are set are refused", "FILE-06 FILE-02", good[:-1] +
        bytes([good[-1] | 0x80]), refused)
    read("FILE-06/flipped", "a flipped bit is refused", "FILE-06 FILE-03", good[:-2] +
        bytes([good[-2] ^ 1]) + good[-1:], refused)
    read("FILE-06/cut-short", "a file cut short is refused", "FILE-06", good[:-1], refused)
    return [area]
