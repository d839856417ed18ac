"""The drop-in of multiprune for torch.

`--adapter multiprune_conformance.examples.multiprune_torch_prune:DropIn`.
The same door as stock torch; what differs is the namespace, the kinds of its own errors, and what
torch has not: seeds, targets over all entries, and a rule for ties.
"""

from __future__ import annotations

from typing import Any

from multiprune_torch import prune

import multiprune
from multiprune.errors import MultipruneError
from multiprune_conformance.examples.torch_prune import METHODS, TorchPrune
from multiprune_conformance.oracle_encoding import pruned_now, read_amount, read_pools

Json = dict[str, Any]
POOLS = ("scope", "groups", "bounds", "allocation")
NAMES = METHODS | {"random_unstructured": "RandomUnstructured"}


class DropIn(TorchPrune):
    """multiprune_torch.prune in the place of torch.nn.utils.prune."""

    prune = prune

    def describe(self) -> Json:
        """It answers as torch does, names itself, and declares more."""
        told = {"name": "multiprune_torch.prune", "version": multiprune.__version__}
        return super().describe() | {
            "implementation": {**told, "language": "python"},
            "profiles": ["parity", "deterministic", "module", "random", *POOLS],
            "operations": ["count", "prune", "counts", "structured", "module"],
        }

    def run(self, operation: str, request: Json) -> Json:
        """Answer one request."""
        if request.get("signed"):
            return {"skipped": "torch's L1Unstructured has no signed scores"}
        if operation == "count" and "sparsity" in request:
            return {"skipped": "the counting functions of torch take amounts"}
        names = [item.get("name", "") for item in request.get("tensors", [])]
        if names != sorted(names):
            return {"skipped": "pairs stand in the order of their list (TIE-03)"}
        if any(names) and any(isinstance(each, dict) for each in read_pools(request).values()):
            return {"skipped": "pairs have the names of their places (SCOPE-05)"}
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


def _options(request: Json) -> Json:
    goal = {k: read_amount(request[k]) for k in ("amount", "sparsity") if k in request}
    return (
        goal | read_pools(request) | {k: request[k] for k in ("seed", "dim", "n") if k in request}
    )
