"""The layout of a mask file: metadata, and a packed mask for each tensor. Backends open files.

Clauses: FILE-04 to FILE-06.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping

from multiprune.packed import Bytes, MaskFileError, Shape, digest, pack, unpack

__all__ = ["FORMAT", "VERSION", "check_digest", "decode", "encode", "read_header"]

FORMAT, VERSION = "multiprune-masks", "1"


def encode(masks: Mapping[str, tuple[Shape, Bytes]]) -> tuple[dict[str, bytes], dict[str, str]]:
    """Turn masks into what a mask file holds.

    Parameters
    ----------
    masks : mapping
        Shape and one byte per entry, by full name.

    Returns
    -------
    tensors : dict of bytes
        Packed masks by name: the file's one-dimensional U8 tensors.
    metadata : dict of str

    Notes
    -----
    Clauses FILE-04, FILE-05.
    """
    packed = {name: (masks[name][0], pack(masks[name][1])) for name in sorted(masks)}
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "shapes": json.dumps({n: list(s) for n, (s, _) in packed.items()}, ensure_ascii=False),
        "sha256": digest(packed),
    }
    return {name: data for name, (_, data) in packed.items()}, metadata


def decode(
    tensors: Mapping[str, Bytes], metadata: Mapping[str, str]
) -> dict[str, tuple[tuple[int, ...], bytes]]:
    """Turn what a mask file holds into masks, and check all of it.

    Parameters
    ----------
    tensors : mapping
        Packed masks by name.
    metadata : mapping

    Returns
    -------
    dict
        Shape and one byte per entry, by full name in code-point order.

    Raises
    ------
    MaskFileError
        If anything does not fit (a ValueError).

    Notes
    -----
    Clause FILE-06.
    """
    stored = {name: ("U8", (len(memoryview(t).cast("B")),)) for name, t in tensors.items()}
    shapes = read_header(metadata, stored, "the file")
    masks = {}
    for name in sorted(tensors):
        try:
            masks[name] = shapes[name], unpack(tensors[name], math.prod(shapes[name]))
        except MaskFileError as error:
            raise MaskFileError(f"mask {name}: {error}") from None
    check_digest({n: (shapes[n], tensors[n]) for n in masks}, metadata.get("sha256"), "the file")
    return masks


def read_header(
    metadata: Mapping[str, str], stored: Mapping[str, tuple[str, Shape]], where: str
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the masks in a file, checked against what the file holds.

    Parameters
    ----------
    metadata : mapping
    stored : mapping
        Dtype, as safetensors writes it, and shape of each packed mask, by name.
    where : str
        The file, for messages.

    Raises
    ------
    MaskFileError
        If they do not fit (a ValueError).

    Notes
    -----
    Clauses FILE-04 to FILE-06.
    """
    stated = metadata.get("format"), metadata.get("version")
    if stated != (FORMAT, VERSION):
        raise MaskFileError(
            f"{where} has format {stated[0]!r} and version {stated[1]!r}. Rule: they are "
            f"{FORMAT!r} and {VERSION!r} [FILE-05, FILE-06]. Is it a file of masks?"
        )
    shapes = _shapes(metadata.get("shapes", ""), where)
    if set(shapes) != set(stored):
        raise MaskFileError(
            f"{where} has shapes of {sorted(shapes)[:20]} and tensors {sorted(stored)[:20]}. Rule: "
            "they have the same names [FILE-06]. The file is damaged."
        )
    for name, (dtype, shape) in stored.items():
        length = -(-math.prod(shapes[name]) // 8)
        if dtype != "U8" or tuple(shape) != (length,):
            raise MaskFileError(
                f"{where}: mask {name!r} is {dtype} of shape {tuple(shape)}. Rule: {length} bytes "
                f"of U8, one bit for each entry of {shapes[name]} [FILE-01, FILE-06]. Was the file "
                "copied whole?"
            )
    return shapes


def check_digest(
    masks: Mapping[str, tuple[Shape, Bytes | Iterator[Bytes]]], stated: str | None, where: str
) -> None:
    """Check that masks have the digest that their file states.

    Raises
    ------
    MaskFileError
        If not (a ValueError).

    Notes
    -----
    Clause FILE-06.
    """
    sha256 = digest(masks)
    if sha256 != stated:
        raise MaskFileError(
            f"{where}: the masks have the digest {sha256}, the file states {stated}. Rule: they "
            "are equal [FILE-06]. The file is damaged."
        )


def _shapes(text: str, where: str) -> dict[str, tuple[int, ...]]:
    try:
        parsed = json.loads(text, object_pairs_hook=_unique)
        shapes = {name: tuple(shape) for name, shape in parsed.items()}
        if all(type(n) is int and n >= 0 for shape in shapes.values() for n in shape):
            return shapes
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    raise MaskFileError(
        f"the shapes of {where} are {text[:100]!r}. Rule: they are a JSON object from each name "
        "to its list of dimensions [FILE-05]. The file is damaged."
    )


def _unique(items: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(items)) < len(items):
        raise ValueError("a name is repeated")
    return dict(items)
