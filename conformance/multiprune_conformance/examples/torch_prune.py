"""torch.nn.utils.prune behind the Python door.

`--adapter multiprune_conformance.examples.torch_prune:TorchPrune`.
Only the errors that torch raises by its own checks are given a kind; whatever fails
elsewhere, with a message about something else, is left to the judge as it is.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import torch
from torch.nn.utils import prune

from multiprune_conformance.oracle_dtypes import FORMATS, Refused, Typed
from multiprune_conformance.oracle_encoding import (
    read_amount,
    read_array,
    read_mask,
    write_array,
    write_mask,
)

Json = dict[str, Any]
KINDS = {
    "Invalid type for amount": "amount-type",
    "should either be a float in the range": "amount-out-of-range",
    "should be smaller than the number of": "amount-too-large",
    'Only "unstructured" PRUNING_TYPE': "pruning-type",
    "importance_scores must be of type dict": "scores-type",
    "has to be pruned before": "not-pruned",
    "can only be applied to multidimensional": "not-structured",
    "Invalid index": "dim",
    "parameters is not an Iterable": "parameters-type",
    "not implemented for 'Bool'": "dtype",
    "Promotion for": "dtype",
    "has no attribute": "no-such-parameter",
    "expected a non-empty list of Tensors": "parameters-empty",
    "must match self.mask shape": "mask-shape",
    "already exists": "name-taken",
}
METHODS = {
    "l1_unstructured": "L1Unstructured",
    "identity": "Identity",
    "custom_from_mask": "CustomFromMask",
    "ln_structured": "LnStructured",
    "random_structured": "RandomStructured",
}
DTYPES = [
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "bfloat16", "float32", "float64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2",
    "float8_e4m3fnuz", "float8_e5m2fnuz",
]  # fmt: skip


def tensor(item: Json) -> torch.Tensor:
    """Return an array of the protocol as a tensor."""
    if item["dtype"] == "bool":
        return torch.tensor(item["data"], dtype=torch.bool).reshape(item["shape"])
    name, data = read_array(item)
    flat = np.ascontiguousarray(data).reshape(-1)
    if name in FORMATS:
        flat = flat.view(f"int{8 * flat.itemsize}")
        return torch.from_numpy(flat).view(getattr(torch, name)).reshape(data.shape)
    return torch.from_numpy(flat).reshape(data.shape)


def mask(item: Json | None, like: torch.Tensor) -> torch.Tensor:
    """Return a mask of the protocol as a tensor, of ones where there is none."""
    values = read_mask(item)
    return torch.ones(like.shape) if values is None else torch.from_numpy(values).float()


def array(held: torch.Tensor) -> Json:
    """Return a tensor of a float or integer dtype as an answer."""
    flat = held.detach().clone().reshape(-1)
    name = str(flat.dtype).removeprefix("torch.")
    bits = flat.view(getattr(torch, f"int{8 * flat.element_size()}")).numpy()
    unsigned = bits.view(f"uint{8 * bits.itemsize}")
    return write_array(Typed(name, unsigned.reshape(tuple(held.shape))))


class TorchPrune:
    """Stock torch: one module that holds all parameters of a request."""

    prune: Any = prune

    def describe(self) -> Json:
        """Torch has no rule for ties, no seeds, no cut, no mask files."""
        version = torch.__version__.partition("+")[0]
        return {
            "implementation": {"name": "torch", "version": version, "language": "python"},
            "profiles": ["parity", "module"],
            "dtypes": DTYPES,
            "operations": ["count", "prune", "structured", "promote", "module"],
        }

    def run(self, operation: str, request: Json) -> Json:
        """Answer one request."""
        if "sparsity" in request or request.get("signed"):
            return {"skipped": "torch has amounts and magnitudes only"}
        return self.answer(operation, request)

    def answer(self, operation: str, request: Json) -> Json:
        """Answer a request that is not skipped."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return dict(getattr(self, f"_{operation}")(request))
        except Exception as error:
            return {"error": self.kind(error)}

    def kind(self, error: Exception) -> str:
        """Return the kind of an error of torch's own checks; raise any other."""
        if isinstance(error, Refused):
            return error.kind
        for text, kind in KINDS.items():
            if text in str(error):
                return kind
        raise error

    def _count(self, request: Json) -> Json:
        amount = read_amount(request.get("amount"))
        self.prune._validate_pruning_amount_init(amount)
        count = self.prune._compute_nparams_toprune(amount, request["live"])
        self.prune._validate_pruning_amount(count, request["live"])
        return {"count": int(count)}

    def _promote(self, request: Json) -> Json:
        empty = [torch.empty(1, dtype=getattr(torch, name)) for name in request["dtypes"]]
        return {"dtype": str(torch.cat(empty).dtype).removeprefix("torch.")}

    def _prune(self, request: Json) -> Json:
        module, names = torch.nn.Module(), []
        for place, item in enumerate(request["tensors"]):
            names.append(f"p{place}")
            self._register(module, names[-1], tensor(item))
            if "mask" in item:
                held = mask(item["mask"], getattr(module, names[-1]))
                self.prune.custom_from_mask(module, names[-1], held)
        scores = None
        if "scores" in request:
            by_name = {item.get("name"): n for item, n in zip(request["tensors"], names)}  # noqa: B905
            scores = {(module, by_name.get(n, n)): tensor(s) for n, s in request["scores"].items()}
        self._global(module, names, request, scores)
        return {"masks": [self._mask(getattr(module, f"{name}_mask")) for name in names]}

    def _register(self, module: torch.nn.Module, name: str, value: torch.Tensor) -> None:
        floats = value.is_floating_point() or value.is_complex()
        module.register_parameter(name, torch.nn.Parameter(value, requires_grad=floats))

    def _mask(self, held: torch.Tensor) -> Json:
        values = (
            held.detach().abs().double().numpy() if held.is_complex() else held.double().numpy()
        )
        return write_mask(values)

    def _global(self, module: Any, names: Any, request: Json, scores: Any) -> None:
        name = METHODS[request.get("method", "l1_unstructured")]
        method = getattr(self.prune, name)
        options: Json = {k: request[k] for k in ("dim", "n") if k in request}
        if name == "LnStructured":
            options.setdefault("n", 2)
        if "amount" in request:
            options["amount"] = read_amount(request["amount"])
        if name == "CustomFromMask":
            options = {"mask": None}
        pairs = [(module, name) for name in names] if isinstance(names, list) else names
        self.prune.global_unstructured(pairs, method, importance_scores=scores, **options)

    def module_of(self, request: Json) -> Any:
        """Return a module with one parameter `w`, pruned by the request's mask if it has one."""
        module: Any = torch.nn.Module()
        self._register(module, "w", tensor(request))
        if "mask" in request:
            self.prune.custom_from_mask(module, "w", mask(request["mask"], module.w))
        return module

    def _structured(self, request: Json) -> Json:
        module = self.module_of(request)
        if request["method"] == "custom_from_mask":
            self.prune.custom_from_mask(module, "w", mask(request["custom"], module.w))
            return {"masks": [self._mask(module.w_mask)]}
        n = request["n"]
        n = float(n.replace("Infinity", "inf")) if re.fullmatch(r"-?Infinity", str(n)) else n
        self.prune.ln_structured(module, "w", read_amount(request["amount"]), n, request["dim"])
        return {"masks": [self._mask(module.w_mask)]}

    def _module(self, request: Json) -> Json:
        module = torch.nn.Module()
        for item in request["parameters"]:
            if "same_as" in item:
                module.register_parameter(item["name"], getattr(module, item["same_as"]))
            else:
                self._register(module, item["name"], tensor(item))
        names = [item["name"] for item in request["parameters"]]
        steps: list[Json] = []
        for step in request["steps"]:
            answer = self._step(module, step)
            if "skipped" in answer:
                return answer
            steps.append(answer | {"state": {name: self._state(module, name) for name in names}})
        return {"steps": steps}

    def _step(self, module: Any, step: Json) -> Json:
        if "sparsity" in step or "seed" in step:
            return {"skipped": "torch has neither targets nor seeds"}
        try:
            getattr(self, f"_do_{step['do']}")(module, step)
        except Exception as error:
            return {"error": self.kind(error)}
        return {}

    def _do_prune(self, module: Any, step: Json) -> None:
        names, scores = step["names"], step.get("scores")
        if step.get("scope") == "local" and step["method"] == "custom_from_mask":
            self.prune.custom_from_mask(module, names[0], mask(step["mask"], torch.empty(0)))
        elif step.get("scope") == "local":
            amount = read_amount(step["amount"])
            self.prune.ln_structured(module, names[0], amount, step["n"], step["dim"])
        else:
            if isinstance(scores, dict):
                scores = {(module, name): tensor(score) for name, score in scores.items()}
            self._global(module, names, step, scores)

    def _do_set(self, module: Any, step: Json) -> None:
        name = step["name"]
        held = getattr(module, f"{name}_orig", None)
        with torch.no_grad():
            (getattr(module, name) if held is None else held).copy_(tensor(step))

    def _do_remove(self, module: Any, step: Json) -> None:
        self.prune.remove(module, step["name"])

    def _state(self, module: Any, name: str) -> Json:
        held = module._buffers.get(f"{name}_mask")
        original = getattr(module, f"{name}_orig", None)
        return {
            "value": array(getattr(module, name)),
            "orig": None if held is None or original is None else array(original),
            "mask": None if held is None else self._mask(held),
        }
