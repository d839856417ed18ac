"""multiprune behind the Python door, once for each array framework.

`--adapter multiprune_conformance.examples.multiprune_arrays:OnNumpy`, or OnTorch, OnStrict; JAX has
a file of its own.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

import multiprune
from multiprune import packed
from multiprune.amount import Target
from multiprune.cut import Cut
from multiprune.draws import as_seed, draws
from multiprune.errors import MultipruneError
from multiprune.keys import promote
from multiprune.plan import Plan, plan
from multiprune.question import Question
from multiprune_conformance.oracle_dtypes import FORMATS, Refused
from multiprune_conformance.oracle_encoding import read_amount, read_array, read_mask, write_mask

Json = dict[str, Any]
METHODS = {
    "l1_unstructured": multiprune.L1Unstructured,
    "random_unstructured": multiprune.RandomUnstructured,
    "identity": multiprune.Identity,
    "custom_from_mask": multiprune.CustomFromMask,
    "ln_structured": multiprune.LnStructured,
    "random_structured": multiprune.RandomStructured,
}
OPTIONS = ("signed", "seed", "dim")
OPERATIONS = ["count", "prune", "cut", "structured", "draws", "promote", "pack", "read_masks"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES = [*INTEGERS, *FORMATS, "complex64", "complex128"]


class Skipped(Exception):  # noqa: N818 - no error: the framework has no such thing
    """The framework cannot hold what is asked."""


class OnNumpy:
    """NumPy arrays, ml_dtypes included."""

    name = "numpy"
    dtypes = DTYPES
    operations = OPERATIONS

    def describe(self) -> Json:
        """Everything but modules, which are a matter of multiprune_torch."""
        told = {"name": f"multiprune on {self.name}", "version": multiprune.__version__}
        return {
            "implementation": {**told, "language": "python"},
            "profiles": ["parity", "deterministic", "random"],
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
        tensors = request["tensors"]
        given: Any = [self.array(tensor) for tensor in tensors]
        masks: Any = [self.mask(tensor.get("mask")) for tensor in tensors]
        names = [tensor.get("name") for tensor in tensors]
        scores = None
        if names and None not in names:
            given = dict(zip(names, given, strict=True))
            masks = dict(zip(names, masks, strict=True))
            if "scores" in request:
                scores = {name: self.array(item) for name, item in request["scores"].items()}
        options = {key: request[key] for key in OPTIONS if key in request} | self.goal(request)
        method = METHODS[request.get("method", "l1_unstructured")]
        done = self.prune(given, method, scores, masks, options)
        found = done.values() if isinstance(done, dict) else done
        return {"masks": [write_mask(np.asarray(mask)) for mask in found]}

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
        options = {key: request[key] for key in OPTIONS if key in request} | self.goal(request)
        if "n" in request:
            n = request["n"]
            options["n"] = float(n) if n in ("Infinity", "-Infinity", "NaN") else n
        if "custom" in request:
            options["mask"] = self.mask(request["custom"])
        method = METHODS[request["method"]](**options)
        held = self.array(request) if "dtype" in request else self.put(np.ones(request["shape"]))
        kept = multiprune.mask_of(held, method, self.mask(request.get("mask")))
        return {"masks": [write_mask(np.asarray(kept))]}

    def _pack(self, request: Json) -> Json:
        arrays = {item["name"]: np.asarray(read_mask(item)) == 1 for item in request["masks"]}
        masks = {name: (array.shape, array.tobytes()) for name, array in arrays.items()}
        held, metadata = packed.encode(masks)
        if packed.decode(held, metadata) != masks:
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
            found = packed.decode(held, file.metadata() or {})
        return {
            name: np.frombuffer(bits, dtype=bool, count=math.prod(shape)).reshape(shape)
            for name, (shape, bits) in found.items()
        }


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
