"""multiprune behind the Python door, once for each array framework.

`--adapter multiprune_conformance.examples.multiprune_arrays:OnNumpy`, or OnTorch, OnStrict; JAX has
a file of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import multiprune
from multiprune.amount import Target
from multiprune.cut import Cut
from multiprune.draws import as_seed, draws
from multiprune.errors import MultipruneError
from multiprune.keys import promote
from multiprune.plan import Plan, plan
from multiprune.question import Question
from multiprune_conformance.examples.multiprune_files import Files
from multiprune_conformance.oracle_dtypes import FORMATS, Refused
from multiprune_conformance.oracle_encoding import (
    read_amount,
    read_array,
    read_mask,
    read_pools,
    write_mask,
)

Json = dict[str, Any]
ONE: Json = {"shape": [1], "data": [1]}
METHODS = {
    "l1_unstructured": multiprune.L1Unstructured,
    "random_unstructured": multiprune.RandomUnstructured,
    "identity": multiprune.Identity,
    "custom_from_mask": multiprune.CustomFromMask,
    "ln_structured": multiprune.LnStructured,
    "random_structured": multiprune.RandomStructured,
}
OPTIONS = ("signed", "seed", "dim")
POOLS = ["scope", "groups", "bounds", "allocation"]
OPERATIONS = [
    "count", "prune", "counts", "cut", "structured", "draws", "promote", "pack", "read_masks",
]  # fmt: skip
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES = [*INTEGERS, *FORMATS, "complex64", "complex128"]


class Skipped(Exception):  # noqa: N818 - no error: the framework has no such thing
    """The framework cannot hold what is asked."""


class OnNumpy(Files):
    """NumPy arrays, ml_dtypes included."""

    name = "numpy"
    dtypes = DTYPES
    operations = OPERATIONS

    def describe(self) -> Json:
        """Everything but modules, which are a matter of multiprune_torch."""
        known = {"name": f"multiprune on {self.name}", "version": multiprune.__version__}
        return {
            "implementation": {**known, "language": "python"},
            "profiles": ["parity", "deterministic", "random", *POOLS],
            "dtypes": self.dtypes,
            "operations": self.operations,
        }

    def run(self, operation: str, request: Json) -> Json:
        """Answer one request."""
        try:
            return dict(getattr(self, f"_{operation}")(request))
        except MultipruneError as error:
            return {"error": error.kind}
        except Skipped as skipped:
            return {"skipped": str(skipped)}

    def array(self, item: Json) -> Any:
        """Return an array of the protocol as the framework's."""
        try:
            name, data = read_array(item)
        except Refused:
            return self._odd(item)
        return self.put(data.view(_numpy(name)) if name in FORMATS else data)

    def put(self, array: Any) -> Any:
        """Hand a NumPy array to the framework."""
        return array

    def _odd(self, item: Json) -> Any:
        """Return an array of a dtype that cannot be ranked."""
        if item["dtype"] == "float128":
            return self.put(np.array(item["data"], dtype=np.longdouble))
        return self.put(np.array(item["data"]).astype(_numpy(item["dtype"])))

    def mask(self, item: Json | None) -> Any:
        """Return a mask of the protocol as the framework's array."""
        values = read_mask(item)
        return None if values is None else self.put(values)

    def goal(self, request: Json) -> Json:
        """Return what of amount and sparsity is given, as Python numbers or NumPy's."""
        return {k: read_amount(request[k]) for k in ("amount", "sparsity") if k in request}

    def _count(self, request: Json) -> Json:
        return {
            "count": Target(**self.goal(request)).count(request.get("total", 0), request["live"])
        }

    def _promote(self, request: Json) -> Json:
        return {"dtype": promote(request["dtypes"]).name}

    def _draws(self, request: Json) -> Json:
        seed = request["seed"]
        seed = as_seed(int(seed, 16) if isinstance(seed, str) else seed)
        places = [int(place, 16) for place in request["positions"]]
        return {"draws": [int(draws(seed, p, p + 1, xp=np)[0]) for p in places]}

    def _prune(self, request: Json) -> Json:
        tensors, method, scores, masks, options = self._asked(request)
        done = self.prune(tensors, method, scores, masks, options)
        made = done.values() if isinstance(done, dict) else done
        return {"masks": [write_mask(np.asarray(mask)) for mask in made]}

    def _counts(self, request: Json) -> Json:
        """Tell what the report says, less what was pruned before."""
        tensors, method, scores, masks, options = self._asked(request)
        done = multiprune.global_unstructured(tensors, method, scores, masks=masks, **options)
        pruned = {each.name: each.pruned for each in done.report.tensors}
        priors: Any = [read_mask(item.get("mask", ONE)) for item in request["tensors"]]
        before = [int((prior == 0).sum()) for prior in priors]
        names = [item.get("name", str(i)) for i, item in enumerate(request["tensors"])]
        return {"counts": [pruned[name] - n for name, n in zip(names, before, strict=True)]}

    def _asked(self, request: Json) -> tuple[Any, ...]:
        """Return tensors, method, scores, masks and options of a pruning."""
        tensors = request["tensors"]
        arrays: Any = [self.array(tensor) for tensor in tensors]
        masks: Any = [self.mask(tensor.get("mask")) for tensor in tensors]
        names = [tensor.get("name") for tensor in tensors]
        scores = None
        if names and None not in names:
            arrays = dict(zip(names, arrays, strict=True))
            masks = dict(zip(names, masks, strict=True))
            if "scores" in request:
                scores = {name: self.array(item) for name, item in request["scores"].items()}
        method = METHODS[request.get("method", "l1_unstructured")]
        return arrays, method, scores, masks, self.options(request)

    def options(self, request: Json) -> Json:
        """Return what is asked of a pruning, as the doors take it."""
        plain = {key: request[key] for key in OPTIONS if key in request}
        return plain | read_pools(request) | self.goal(request)

    def prune(self, tensors: Any, method: Any, scores: Any, masks: Any, options: Json) -> Any:
        """Prune arrays together and return their masks in the structure that was given."""
        done = multiprune.global_unstructured(tensors, method, scores, masks=masks, **options)
        return done.masks

    def _cut(self, request: Json) -> Json:
        tensors = request["tensors"]
        method = multiprune.L1Unstructured(
            signed=request.get("signed", False), **self.goal(request)
        )
        masks = [self.mask(tensor.get("mask")) for tensor in tensors]
        scores = [self.array(tensor) for tensor in tensors]
        cut = self.cut(plan(scores, Question(method.target), method, masks))
        threshold = "-1" if cut.threshold < 0 else f"{cut.threshold:x}"
        return {"threshold": threshold, "position": cut.position}

    def cut(self, ranked: Plan) -> Cut:
        """Return the cut."""
        return ranked.cuts[0]

    def _structured(self, request: Json) -> Json:
        options = self.options(request)
        if "n" in request:
            n = request["n"]
            options["n"] = float(n) if n in ("Infinity", "-Infinity", "NaN") else n
        if "custom" in request:
            options["mask"] = self.mask(request["custom"])
        method = METHODS[request["method"]](**options)
        held = self.array(request) if "dtype" in request else self.put(np.ones(request["shape"]))
        kept = multiprune.mask_of(held, method, self.mask(request.get("mask")))
        return {"masks": [write_mask(np.asarray(kept))]}


def _numpy(name: str) -> Any:
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name, name))


class OnTorch(OnNumpy):
    """Torch tensors on the CPU."""

    name = "torch"

    def put(self, array: Any) -> Any:
        """Hand a NumPy array to torch, by its bits where NumPy has no such dtype."""
        import torch

        dtype = getattr(torch, array.dtype.name, None)
        if dtype is None or array.dtype.name in {"int4", "uint4", "float4_e2m1fn", "str"}:
            raise Skipped(f"torch has no {array.dtype.name} on the CPU")
        if array.dtype.isbuiltin == 1:  # NumPy's own; those of ml_dtypes are handed over as bits
            return torch.from_numpy(np.array(array))
        bits = torch.from_numpy(np.array(array).view(f"int{8 * array.dtype.itemsize}"))
        return bits.view(dtype)


class OnStrict(OnNumpy):
    """array-api-strict: what the Array API standard promises, and nothing else."""

    name = "array-api-strict"
    dtypes = [*INTEGERS, "float32", "float64", "complex64", "complex128"]  # noqa: RUF012

    def put(self, array: Any) -> Any:
        """Hand a NumPy array to the strict namespace."""
        import array_api_strict

        if array.dtype.name not in {*self.dtypes, "bool"}:
            raise Skipped(f"the standard has no {array.dtype.name}")
        return array_api_strict.asarray(array)
