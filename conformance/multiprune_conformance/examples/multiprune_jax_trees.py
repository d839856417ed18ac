"""multiprune on JAX behind the Python door, eager and traced.

`--adapter multiprune_conformance.examples.multiprune_jax_trees:OnJax`, or UnderJit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import multiprune_jax
import numpy as np

from multiprune_conformance.examples.multiprune_arrays import METHODS, Json, OnNumpy, Skipped
from multiprune_conformance.oracle_encoding import pruned_now, write_mask

# The protocol's arrays of 64 bits are JAX's only with this.
jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]


class OnJax(OnNumpy):
    """JAX arrays on the CPU, eager; trees are pruned by `multiprune_jax.global_unstructured`."""

    name = "JAX"

    def put(self, array: Any) -> Any:
        """Hand a NumPy array to JAX."""
        if array.dtype.name in {"longdouble", "float128"} or array.dtype.kind in "SU":
            raise Skipped(f"JAX has no {array.dtype.name}")
        return jax.numpy.asarray(array)

    def _counts(self, request: Json) -> Json:
        return {"counts": pruned_now(request["tensors"], self._prune(request)["masks"])}

    def options(self, request: Json) -> Json:
        """Return what is asked, in dimensions as the protocol has them by default."""
        options = super().options(request)
        if options.get("scope") == "row":
            return {"dim": 0} | options
        return {"dim": 1} | options if isinstance(options.get("scope"), tuple) else options

    def _prune(self, request: Json) -> Json:
        # A tree's leaves stand in the order of their names: a list's places become such.
        names = [item.get("name") for item in request["tensors"]]
        if None in names:
            digits = len(str(len(names) - 1))
            names = [f"{place:0{digits}}" for place in range(len(names))]
        held = {n: self.array(t) for n, t in zip(names, request["tensors"], strict=True)}
        masks = {
            name: self.mask(item["mask"])
            for name, item in zip(names, request["tensors"], strict=True)
            if "mask" in item
        }
        scores = None
        if "scores" in request:
            scores = {name: self.array(item) for name, item in request["scores"].items()}
        options = self.options(request)
        method = METHODS[request.get("method", "l1_unstructured")]

        def pruned(tree: Any, scores: Any) -> Any:
            return multiprune_jax.global_unstructured(
                tree, method=method, importance_scores=scores, masks=masks,
                where=lambda path, leaf: True, **options,
            ).masks  # fmt: skip

        answer = self.call(pruned, held, scores)
        return {"masks": [write_mask(np.asarray(answer[name])) for name in names]}

    def _structured(self, request: Json) -> Json:
        options = self.options(request)
        if "n" in request:
            n = request["n"]
            options["n"] = float(n) if n in ("Infinity", "-Infinity", "NaN") else n
        if "custom" in request:
            options["mask"] = self.mask(request["custom"])
        method = METHODS[request["method"]](**options)
        held = self.array(request) if "dtype" in request else self.put(np.ones(request["shape"]))
        masks = {"w": self.mask(request["mask"])} if "mask" in request else None

        def pruned(tree: Any) -> Any:
            whole = multiprune_jax.local(tree, method, masks=masks, where=lambda path, leaf: True)
            return whole.masks

        return {"masks": [write_mask(np.asarray(self.call(pruned, {"w": held})["w"]))]}

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of trees."""
        return function(*arguments)

    def load(self, path: Any) -> Any:
        """Read a mask file by the public function."""
        return multiprune_jax.load_masks(path)


class UnderJit(OnJax):
    """The same functions, traced: leaves and scores have no values, amounts and masks have."""

    name = "JAX, under jit"
    operations = ["prune", "counts", "structured"]  # noqa: RUF012

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Trace, compile and call a function of trees."""
        return jax.jit(function)(*arguments)
