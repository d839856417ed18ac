"""The drop-in of multiprune for torch.

`--adapter multiprune_conformance.examples.multiprune_torch_prune:DropIn`.
The same door as stock torch; what differs is the namespace, the kinds of its own errors, and what
torch has not: seeds, targets over all entries, and a rule for ties.
"""

from __future__ import annotations

from typing import Any

import torch
from multiprune_torch import prune

import multiprune
from multiprune.errors import MultipruneError
from multiprune_conformance.examples.torch_prune import METHODS, TorchPrune, mask, tensor
from multiprune_conformance.oracle_encoding import pruned_now, read_amount, read_pools

Json = dict[str, Any]
POOLS = ("scope", "groups", "bounds", "allocation")
NAMES = METHODS | {"random_unstructured": "RandomUnstructured"}


class DropIn(TorchPrune):
    """multiprune_torch.prune in the place of torch.nn.utils.prune."""

    prune = prune

    def describe(self) -> Json:
        """It answers as torch does, names itself, and declares more."""
        known = {"name": "multiprune_torch.prune", "version": multiprune.__version__}
        return super().describe() | {
            "implementation": {**known, "language": "python"},
            "profiles": ["parity", "deterministic", "module", "random", *POOLS],
            "operations": ["count", "prune", "counts", "structured", "module"],
        }

    def run(self, operation: str, request: Json) -> Json:
        """Answer one request."""
        if request.get("signed"):
            return {"skipped": "torch's L1Unstructured has no signed scores"}
        if operation == "count" and "sparsity" in request:
            return {"skipped": "the counting functions of torch take amounts"}
        if _asks_for_names(request) and not _fits_a_model(request):
            return {"skipped": "pairs have no names, and stand in the order of their list"}
        return self.answer(operation, request)

    def kind(self, error: Exception) -> str:
        """Return the kind that multiprune's own errors carry."""
        return error.kind if isinstance(error, MultipruneError) else super().kind(error)

    def _global(self, module: Any, names: Any, request: Json, scores: Any) -> None:
        name = NAMES[request.get("method", "l1_unstructured")]
        pairs = [(module, name) for name in names] if isinstance(names, list) else names
        options = _options(request)
        if name == "CustomFromMask":
            options = {"mask": None}
        method = getattr(self.prune, name)
        self.prune.global_unstructured(pairs, method, importance_scores=scores, **options)

    def _prune(self, request: Json) -> Json:
        """Prune pairs; where names matter, a model whose parameters have them."""
        if not _asks_for_names(request):
            return super()._prune(request)
        model, places = torch.nn.Module(), []
        for item in request["tensors"]:
            *path, name = item["name"].split(".")
            holder = model
            for part in path:
                if part not in dict(holder.named_children()):
                    holder.add_module(part, torch.nn.Module())
                holder = holder.get_submodule(part)
            self._register(holder, name, tensor(item))
            if "mask" in item:
                self.prune.custom_from_mask(holder, name, mask(item["mask"], torch.empty(0)))
            places.append((holder, name))
        scores = {name: tensor(item) for name, item in request.get("scores", {}).items()} or None
        method = getattr(self.prune, NAMES[request.get("method", "l1_unstructured")])
        self.prune.prune_model(model, method, scores, where=lambda *_: True, **_options(request))
        return {"masks": [self._mask(getattr(holder, f"{name}_mask")) for holder, name in places]}

    def _counts(self, request: Json) -> Json:
        return {"counts": pruned_now(request["tensors"], self._prune(request)["masks"])}

    def _structured(self, request: Json) -> Json:
        if request["method"] != "random_structured":
            return super()._structured(request)
        ones = {"dtype": "float32", "shape": request["shape"]}
        ones["lcg"] = {"start": 0, "shift": 31, "mask": "0"}
        module: Any = self.module_of(request if "dtype" in request else request | ones)
        options = _options(request)
        self.prune.random_structured(module, "w", options.pop("amount"), **options)
        return {"masks": [self._mask(module.w_mask)]}

    def _step(self, module: Any, step: Json) -> Json:
        try:
            getattr(self, f"_do_{step['do']}")(module, step)
        except Exception as error:
            return {"error": self.kind(error)}
        return {}


def _asks_for_names(request: Json) -> bool:
    """Whether the names of tensors decide, by their order or by settings."""
    names = [item.get("name", "") for item in request.get("tensors", [])]
    by_name = any(isinstance(each, dict) for each in read_pools(request).values())
    return names != sorted(names) or (any(names) and by_name)


def _fits_a_model(request: Json) -> bool:
    """Whether a model can have parameters of these names, and `prune_model` selects them."""
    names = [item["name"] for item in request["tensors"]]
    nested = any(one.startswith(f"{other}.") for one in names for other in names)
    floats = all("float" in item["dtype"] for item in request["tensors"])
    return all(names) and not nested and floats


def _options(request: Json) -> Json:
    goal = {k: read_amount(request[k]) for k in ("amount", "sparsity") if k in request}
    return (
        goal | read_pools(request) | {k: request[k] for k in ("seed", "dim", "n") if k in request}
    )
