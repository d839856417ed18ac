"""The oracle as an implementation under test: the operations of PROTOCOL.md in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from multiprune_conformance import oracle, oracle_counts
from multiprune_conformance.oracle_dtypes import COMPLEX, FORMATS, INTEGERS, Refused, Typed, decode
from multiprune_conformance.oracle_encoding import (
    pruned_now,
    read_amount,
    read_array,
    read_mask,
    read_pools,
    write_mask,
)
from multiprune_conformance.oracle_file import read_file
from multiprune_conformance.oracle_module import Module

Json = dict[str, Any]
TYPES = {
    "l1_unstructured": "unstructured",
    "random_unstructured": "unstructured",
    "identity": "unstructured",
    "custom_from_mask": "global",
    "ln_structured": "structured",
    "random_structured": "structured",
}  # METH-01
PROFILES = (
    "parity", "deterministic", "module", "random", "scope", "groups", "bounds", "allocation",
)  # fmt: skip


class Oracle:
    """Answers every operation, by the book."""

    def describe(self) -> Json:
        """Say who answers and what is declared."""
        return {
            "implementation": {"name": "oracle", "version": "1", "language": "python"},
            "profiles": list(PROFILES),
            "dtypes": sorted({*FORMATS, *INTEGERS, *COMPLEX}),
        }

    def run(self, operation: str, request: Json) -> Json:
        """Answer one request; a refusal is an answer too."""
        try:
            answer: Json = getattr(self, f"_{operation}")(request)
        except Refused as refused:
            return {"error": refused.kind}
        return answer

    def _count(self, request: Json) -> Json:
        live, amount = request["live"], read_amount(request.get("amount"))
        sparsity = read_amount(request.get("sparsity"))
        if (amount is None) == (sparsity is None):
            raise Refused("amount-type", "give one of amount and sparsity")
        if sparsity is None:
            return {"count": oracle_counts.count(amount, live)}
        total = request["total"]
        return {"count": oracle_counts.count_sparsity(sparsity, total, total - live)}

    def _prune(self, request: Json) -> Json:
        return {"masks": [write_mask(mask) for mask in self._pruned(request)]}

    def _pruned(self, request: Json) -> list[Any]:
        method = request.get("method", "l1_unstructured")
        if TYPES[method] != "unstructured":
            raise Refused("pruning-type", f"{method} is {TYPES[method]}")  # METH-02
        tensors, order = _in_order(request["tensors"])
        masks = [read_mask(tensor.get("mask")) for tensor in tensors]
        goal, pools = _goal(request), read_pools(request)
        if pools and method != "identity":
            done = _in_pools(request, tensors, masks, goal | pools)
        elif method == "random_unstructured":
            shapes = [tuple(tensor["shape"]) for tensor in tensors]
            done = oracle.random_unstructured(shapes, seed=request["seed"], masks=masks, **goal)
        elif method == "identity":
            shapes = [tuple(tensor["shape"]) for tensor in tensors]
            done = oracle.random_unstructured(shapes, seed=0, masks=masks, amount=0)
        else:
            scores, signed = _scores(request, tensors), request.get("signed", False)
            done = oracle.global_unstructured(scores, masks=masks, signed=signed, **goal)
        return [done[place] for place in np.argsort(order)]

    def _counts(self, request: Json) -> Json:
        return {"counts": pruned_now(request["tensors"], self._prune(request)["masks"])}

    def _cut(self, request: Json) -> Json:
        tensors, _ = _in_order(request["tensors"])
        masks = [read_mask(tensor.get("mask")) for tensor in tensors]
        signed = request.get("signed", False)
        key, position, _ = oracle.cut(
            _scores(request, tensors), masks=masks, signed=signed, **_goal(request)
        )
        return {"threshold": "-1" if key < 0 else f"{key:x}", "position": position}

    def _structured(self, request: Json) -> Json:
        mask = read_mask(request.get("mask"))
        prior = np.ones(tuple(request["shape"])) if mask is None else mask
        if request["method"] == "custom_from_mask":
            return {"masks": [write_mask(prior * _custom(request))]}  # METH-04
        dim, amount = request["dim"], read_amount(request["amount"])
        if request["method"] == "random_structured":
            kept = oracle.random_structured(prior, dim, seed=request["seed"], amount=amount)
        else:
            kept = oracle.structured(_norms(request, prior), prior, dim, amount=amount)
        return {"masks": [write_mask(kept)]}

    def _draws(self, request: Json) -> Json:
        positions = np.array([int(p, 16) for p in request["positions"]], dtype=np.uint64)
        seed = int(request["seed"], 16) if isinstance(request["seed"], str) else request["seed"]
        return {"draws": [int(draw) for draw in oracle.philox(seed, positions)]}

    def _promote(self, request: Json) -> Json:
        return {"dtype": oracle.promote(request["dtypes"])}

    def _pack(self, request: Json) -> Json:
        masks = {mask["name"]: read_mask(mask) for mask in request["masks"]}
        packed = [oracle.pack(read_mask(mask)).hex() for mask in request["masks"]]
        return {"packed": packed, "digest": oracle.digest(masks)}

    def _read_masks(self, request: Json) -> Json:
        masks = read_file(bytes.fromhex(request["file"]))
        return {"named": {name: write_mask(mask) for name, mask in masks.items()}}

    def _module(self, request: Json) -> Json:
        module = Module(request["parameters"], self)
        return {"steps": [module.step(step) for step in request["steps"]]}


def _goal(request: Json) -> Json:
    return {name: read_amount(request.get(name)) for name in ("amount", "sparsity")}


def _in_pools(request: Json, tensors: list[Json], masks: list[Any], asked: Json) -> list[Any]:
    named = all("name" in tensor for tensor in tensors)
    names = [tensor["name"] for tensor in tensors] if named else None
    if request.get("method") == "random_unstructured":
        scores: list[Any] = [np.zeros(tuple(tensor["shape"])) for tensor in tensors]
        asked = asked | {"seed": request["seed"]}
    else:
        scores = list(_scores(request, tensors))
        asked = asked | {"signed": request.get("signed", False)}
    return oracle.pruned(scores, masks=masks, names=names, **asked)


def _in_order(tensors: list[Json]) -> tuple[list[Json], list[int]]:
    """Return tensors in the order of TIE-03 or TIE-04, and where each one came from."""
    order = list(range(len(tensors)))
    if tensors and all("name" in tensor for tensor in tensors):
        order.sort(key=lambda place: tensors[place]["name"])
    return [tensors[place] for place in order], order


def _scores(request: Json, tensors: list[Json]) -> list[Typed]:
    scores = request.get("scores")
    if scores is None:
        return [read_array(tensor) for tensor in tensors]
    names = [tensor["name"] for tensor in tensors]
    if set(scores) != set(names):
        raise Refused("scores-keys", "one score for each tensor, and no other")  # SCORE-03
    for tensor in tensors:
        if scores[tensor["name"]]["shape"] != tensor["shape"]:
            raise Refused("scores-shape", "scores in the tensor's shape")  # SCORE-02
    return [read_array(scores[name]) for name in names]


def _custom(request: Json) -> Any:
    custom = np.asarray(read_mask(request["custom"]))
    if list(custom.shape) != request["shape"]:
        raise Refused("mask-shape", "a mask in the tensor's shape")  # MASK-04
    if not np.isin(custom, (0, 1)).all():
        raise Refused("mask-values", "a mask holds 0 and 1 only")  # MASK-03
    return custom


def _norms(request: Json, prior: Any) -> Any:
    """Return the norm of each channel, entries removed earlier counting as zero (METH-10)."""
    name, bits = read_array(request)
    values = np.where(prior == 1, decode(name, bits) if name in FORMATS else bits, 0)
    if values.ndim < 2 or not -values.ndim <= request["dim"] < values.ndim:
        return np.zeros(0)  # refused by oracle.structured, with the right kind
    n = request["n"]
    rows = np.moveaxis(values, request["dim"], 0)
    if n == "nuc":
        if rows.ndim != 3:
            raise Refused("norm", "the nuclear norm takes two dimensions")
        return np.array([np.linalg.norm(row, "nuc") for row in rows])
    if n == "fro":
        n = 2
    elif isinstance(n, str):
        if n not in {"Infinity", "-Infinity"}:
            raise Refused("norm", f"{n} is not a norm")  # METH-11
        n = float(n)
    elif isinstance(n, bool):
        raise Refused("norm", f"{n} is not a norm")
    flat = rows.reshape(rows.shape[0], -1)
    return np.array([np.linalg.norm(row, n) if row.size else 0.0 for row in flat])
