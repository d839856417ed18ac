"""The names of a state_dict: of what was pruned in place, and of what is tied to another.

Clause: DEV-50.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from multiprune_torch.models.names import every_path
from multiprune_torch.request.parameters import stored_in

__all__ = ["holders_of", "reparametrized", "tie"]


class _Holder(NamedTuple):
    """A module that holds a parameter, pruned or not, and its full name in the model."""

    full: str
    module: nn.Module
    name: str


def holders_of(model: nn.Module) -> list[list[_Holder]]:
    """Return who holds each parameter."""
    holders: dict[int, list[_Holder]] = {}
    for module, paths in every_path(model).items():
        for stored, parameter in stored_in(module).items():
            name = stored.removesuffix("_orig")
            name = name if f"{name}_mask" in module._buffers else stored
            if parameter is not None:
                holders.setdefault(id(parameter), []).extend(
                    _Holder(f"{path}.{name}" if path else name, module, name) for path in paths
                )
    return list(holders.values())


def tie(holders: list[_Holder]) -> None:
    """Let all hold the parameter that the last one was given: torch gives each its own."""
    stored = [n + "_orig" if n + "_orig" in m._parameters else n for _, m, n in holders]
    parameter = holders[-1].module._parameters[stored[-1]]
    for holder, name in zip(holders, stored, strict=True):
        holder.module._parameters[name] = parameter


def reparametrized(
    tied: list[list[_Holder]], theirs: Mapping[str, Any], own: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Give what is pruned its two names: what was pruned in place, and what is tied to another."""
    state = OrderedDict(theirs)
    if hasattr(theirs, "_metadata"):  # the versions by which modules read older states
        state._metadata = theirs._metadata  # type: ignore[attr-defined]
    names = [[holder.full for holder in holders] for holders in tied]
    for key, mask in theirs.items():
        name = key.removesuffix("_mask")
        if key == name or name not in theirs or (key in own and f"{name}_orig" not in own):
            continue  # no mask, or a buffer of the user's
        if getattr(mask, "dtype", None) == torch.bool and mask.shape == theirs[name].shape:
            for each in next((all_ for all_ in names if name in all_), [name]):
                if each in theirs:  # in place there is one mask for all names
                    state[f"{each}_orig"], state[f"{each}_mask"] = state.pop(each), mask
    for all_ in names:
        kept = next((n for n in all_ if n in state or f"{n}_orig" in state), None)
        for each in all_:
            if kept is not None and each not in state and f"{each}_orig" not in state:
                for end in ("", "_orig", "_mask"):
                    if kept + end in state:
                        state.setdefault(each + end, state[kept + end])
    return state
