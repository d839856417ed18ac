"""The oracle's module: parameters, originals and masks over successive steps (SPEC.md 10)."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from multiprune_conformance.oracle_dtypes import Refused, Typed
from multiprune_conformance.oracle_encoding import read_array, read_mask, write_array, write_mask

Json = dict[str, Any]
PRUNE_KEYS = ("method", "amount", "sparsity", "signed", "seed", "dim", "n")


class Module:
    """Named parameters, each an array and perhaps a mask.

    Parameters
    ----------
    parameters
        Of the form {"name", array} or {"name", "same_as"} for a shared parameter.
    implementation
        What answers the operations `prune` and `structured` on arrays.
    """

    def __init__(self, parameters: list[Json], implementation: Any) -> None:
        self.implementation = implementation
        self.owner = {p["name"]: p.get("same_as", p["name"]) for p in parameters}
        self.arrays = {p["name"]: read_array(p) for p in parameters if "same_as" not in p}
        self.masks: dict[str, Any] = {}

    def step(self, step: Json) -> Json:
        """Do one step and return the state after it, with the kind of an error."""
        before = copy.deepcopy((self.arrays, self.masks))
        try:
            getattr(self, f"_{step['do']}")(step)
        except Refused as refused:
            self.arrays, self.masks = before  # ERR-01
            return {"error": refused.kind, "state": self.state()}
        return {"state": self.state()}

    def state(self) -> Json:
        """Return value, original and mask of each parameter (REP-01, REP-03)."""
        state = {}
        for name, owner in self.owner.items():
            array, mask = self.arrays[owner], self.masks.get(name)
            kept = array if mask is None else Typed(array.name, _masked(array.data, mask))
            state[name] = {
                "value": write_array(kept),
                "orig": None if mask is None else write_array(array),
                "mask": None if mask is None else write_mask(mask),
            }
        return state

    def _prune(self, step: Json) -> None:
        names = step["names"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise Refused("parameters-type", "a list of names")  # ERR-05
        for name in names:
            self._check(name)
        called: dict[Any, list[str]] = {}
        for name in names:
            called.setdefault(self.owner[name], []).append(name)
        distinct = [first for first, *_ in called.values()]  # REP-10
        requests = []
        for owner, same in called.items():
            tensor = write_array(self.arrays[owner])
            masks = [self.masks[name] for name in same if name in self.masks]
            if masks:
                tensor["mask"] = write_mask(np.logical_and.reduce(masks))  # DEV-11
            requests.append(tensor)
        answer = self._ask(step, requests, distinct)
        if "error" in answer:
            raise Refused(answer["error"], "as the arrays are refused")
        done = dict(zip(distinct, answer["masks"], strict=True))
        by_owner = {self.owner[name]: mask for name, mask in done.items()}
        for name in names:
            self.masks[name] = read_mask(by_owner[self.owner[name]]) == 1  # REP-05, REP-10

    def _ask(self, step: Json, tensors: list[Json], names: list[str]) -> Json:
        options = {key: step[key] for key in PRUNE_KEYS if key in step}
        method = step.get("method", "l1_unstructured")
        if step.get("scope") == "local" and method.endswith("_structured"):
            return dict(self.implementation.run("structured", tensors[0] | options))
        if step.get("scope") == "local" and method == "custom_from_mask":
            custom = {"method": method, "custom": step["mask"]}
            return dict(self.implementation.run("structured", tensors[0] | custom))
        request: Json = options | {"tensors": tensors}
        if "scores" in step:
            if not isinstance(step["scores"], dict):
                raise Refused("scores-type", "a mapping from parameters")  # SCORE-08
            # The places stand for the names: a list keeps its own order (TIE-03).
            places = {name: f"{place:04}" for place, name in enumerate(names)}
            for name, tensor in zip(names, tensors, strict=True):
                tensor["name"] = places[name]
            request["scores"] = {places.get(n, n): s for n, s in step["scores"].items()}
        return dict(self.implementation.run("prune", request))

    def _check(self, name: str) -> None:
        base = name.removesuffix("_orig")
        if name not in self.owner:
            if base != name and base in self.masks:
                raise Refused("name-taken", f"{name} is the original of a pruning")  # ERR-06
            raise Refused("no-such-parameter", name)  # ERR-04
        if f"{name}_orig" in self.owner or f"{name}_mask" in self.owner:
            raise Refused("name-taken", f"{name}_orig or {name}_mask exists")

    def _set(self, step: Json) -> None:
        self.arrays[self.owner[step["name"]]] = read_array(step)

    def _remove(self, step: Json) -> None:
        name = step["name"]
        if name not in self.masks:
            raise Refused("not-pruned", name)  # REP-07
        owner = self.owner[name]
        array = self.arrays[owner]
        self.arrays[owner] = Typed(array.name, _masked(array.data, self.masks.pop(name)))


def _masked(data: Any, mask: Any) -> Any:
    return np.where(mask, data, data.dtype.type(0))  # REP-03
