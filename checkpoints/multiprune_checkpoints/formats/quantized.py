"""Quantized tensors, and what they are decoded with, by their names, dtypes and sizes.

The formats of GPTQ, AWQ, bitsandbytes, compressed-tensors, FP8, NVFP4, MXFP4, HQQ, quanto, Marlin,
AQLM, VPTQ, HIGGS, SqueezeLLM, SmoothQuant and MLX.
Clauses: ERR-03.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from multiprune_checkpoints.formats.dtypes import is_float
from multiprune_checkpoints.formats.source import Stored

__all__ = ["quantized"]

_PACKED = ("int8", "uint8", "int16", "uint16", "int32", "uint32")
_TABLES = {"codebook", "codebooks", "centroids", "tables", "tables2", "lut"}
_SCALES = {
    "scale", "scales", "scb", "absmax", "amax", "zero", "zeros", "qzeros", "zp", "zeropoint",
    "offset", "quant", "biases", "meta", "s", "wscale", "wscales", "wcscales", "wtscale", "ascales",
    "wzeros",
}  # fmt: skip
_BESIDES = {
    "", "weight", "weights", "w", "input", "output", "act", "activation", "global", "nested", "inv",
    "max", "min", "point", "points", "map", "state", "q", "k", "v", "kv", "res", "outlier", "g",
    "idx", "and", "fp8", "deq", "antiquant", *"0123456789",
}  # fmt: skip
"""Names of what decodes consist of these words and one of the above: ``input_scale`` does, but not
``qkv_scale_proj``."""
_INDEX = re.compile(r"(?:^|_)(?:ids?|idx|index|mask|steps?|counts?|lengths?|perm)$")
_CENTROIDS = re.compile(r"(?:res_|outlier_)?centroids[./][^./]*|[^./]*")


def quantized(tensors: Mapping[str, Stored]) -> dict[str, str]:
    """Return the names of quantized tensors and of what decodes them, each with what it is."""
    decoders = _decoders(tensors)
    packed: list[str] = []
    decoding: list[str] = []
    for name, tensor in tensors.items():
        if not _may_be_packed(name, tensor):
            continue
        # weight_scale and weight.absmax decode weight; weight_scale, weight_packed, too.
        leaf = re.split("[./]", name)[-1]
        near = [*decoders.get(name, ())]
        if "_" in leaf:
            near += decoders.get(name.rpartition("_")[0], ())
        if len(tensor.shape) >= 2:
            module = name[: -len(leaf) - 1]
            start = len(module) + bool(module)
            near += [n for n in decoders.get(module, ()) if _CENTROIDS.fullmatch(n, start)]
        fitting = [n for n in near if n != name and _fits(n, tensors[n], tensor)]
        if any(is_float(tensors[other].dtype) for other in fitting):
            packed.append(name)
            decoding += fitting
    return dict.fromkeys(packed, "quantized") | dict.fromkeys(
        decoding, "decodes a quantized tensor"
    )


def _may_be_packed(name: str, tensor: Stored) -> bool:
    if tensor.dtype.startswith("float8"):
        return True
    is_packed = tensor.dtype in _PACKED or tensor.dtype.startswith(("F4", "F6"))
    return is_packed and bool(tensor.shape) and _INDEX.search(name) is None


def _decoders(names: Iterable[str]) -> dict[str, list[str]]:
    """Return, by each beginning of a name whose rest says so, the names that decode it."""
    decoders: dict[str, list[str]] = {}
    for name in names:
        # Two words that say so together only: SqueezeLLM's.
        rest, says_so = re.sub("lookup_table$", "lut", name), False
        while rest:
            at = max(map(rest.rfind, "._/"))
            word = rest[at + 1 :].lower()
            if word not in _BESIDES | _SCALES | _TABLES:
                break
            says_so |= word not in _BESIDES
            rest = rest[: max(at, 0)]
            if says_so:
                decoders.setdefault(rest, []).append(name)
    return decoders


def _fits(name: str, tensor: Stored, packed: Stored) -> bool:
    """Whether there are not more scales than bits; tables are as large as they like."""
    is_table = name.endswith("lookup_table") or _TABLES & set(re.split("[._/]", name.lower()))
    return bool(is_table) or tensor.size <= 8 * (packed.stop - packed.start)
