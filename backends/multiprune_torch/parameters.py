"""Room: (module, name) pairs, checked and read before anything is changed.

Clauses: ERR-01, ERR-03 to ERR-06, REP-10.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from multiprune.errors import ParametersError, ParametersTypeError
from multiprune_torch.buffers import find_hook, masked
from multiprune_torch.errors import NameTakenError, NoParameterError, UnprunableError

__all__ = ["Place", "is_pair", "read", "read_all", "show"]

_PAIRS = (
    "Rule: parameters is an iterable of (module, name) pairs [ERR-05]. Write, for example, "
    "[(m, 'weight') for m in model.modules() if isinstance(m, torch.nn.Linear)]."
)


@dataclass(frozen=True)
class Place:
    """One parameter of one module, pruned or not.

    Attributes
    ----------
    module : nn.Module
    name : str
    orig : nn.Parameter
        All its values.
    mask : torch.Tensor or None
        Its present mask.
    hook : BasePruningMethod or None
        By which it is pruned now, ours or torch's.
    shared : list of Place
        Further modules of the call that hold the same parameter: they get the same mask.
    """

    module: nn.Module
    name: str
    orig: nn.Parameter
    mask: torch.Tensor | None
    hook: Any
    shared: list[Place] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.name!r} of {_kind(self.module)}"

    @property
    def pruned(self) -> torch.Tensor:
        """Its present value."""
        return self.orig if self.mask is None else masked(self.orig, self.mask)


def read(module: Any, name: Any) -> Place:
    """Find a parameter, and check that it can be pruned.

    Raises
    ------
    ParametersTypeError
        If it is no module and no text (a TypeError).
    NoParameterError
        If there is no such parameter (an AttributeError and a TypeError).
    UnprunableError
        If it is no plain dense parameter (a TypeError and a ValueError).
    NameTakenError
        If ``name_orig`` or ``name_mask`` is the user's own (a ValueError and a KeyError).

    Notes
    -----
    Clauses ERR-04 to ERR-06, DEV-14, DEV-15, DEV-52.
    """
    if not isinstance(module, nn.Module) or not isinstance(name, str):
        raise ParametersTypeError(f"the pair ({show(module)}, {show(name)}) was given. {_PAIRS}")
    path, _, leaf = name.rpartition(".")
    if path:
        try:
            module, name = module.get_submodule(path), leaf
        except AttributeError:
            raise NoParameterError(
                f"{_kind(module)} has no module {path!r}. Rule: a dotted name leads to a parameter "
                "of a submodule [DEV-14]. See dict(module.named_parameters())."
            ) from None
    found = find_hook(module, name)
    if found is not None:
        return _read_pruned(module, name, found[1])
    parameter = module._parameters.get(name)
    if parameter is None:
        raise _not_found(module, name)
    if name.endswith("_orig") and find_hook(module, name.removesuffix("_orig")) is not None:
        raise NameTakenError(
            f"{name!r} of {_kind(module)} is the original of a pruned parameter. Rule: a pruned "
            f"parameter is pruned further by its name, {name.removesuffix('_orig')!r} [ERR-06]."
        )
    for taken in (name + "_orig", name + "_mask"):
        if hasattr(module, taken):
            raise NameTakenError(
                f"{_kind(module)} has an attribute {taken!r} already. Rule: pruning {name!r} needs "
                f"the names {name}_orig and {name}_mask for itself [ERR-06]. Rename yours."
            )
    _check_dense(module, name, parameter)
    return Place(module, name, parameter, None, None)


def read_all(parameters: Any) -> list[Place]:
    """Find all parameters of a call; the same one twice, or shared by modules, is one place.

    Raises
    ------
    ParametersTypeError
        If these are no pairs (a TypeError).
    ParametersError
        If there are none (a ValueError).

    Notes
    -----
    Clauses ERR-03 to ERR-06, REP-10, DEV-08 to DEV-13.
    """
    if isinstance(parameters, Mapping) and not all(is_pair(key) for key in parameters):
        raise ParametersTypeError(f"a {type(parameters).__name__} was given. {_PAIRS}")
    if not isinstance(parameters, Iterable) or isinstance(parameters, (str, nn.Module)):
        raise ParametersTypeError(f"{show(parameters)} was given. {_PAIRS}")
    pairs = list(parameters)
    if not pairs:
        raise ParametersError(
            "no parameters were given. Rule: there is at least one to prune [ERR-03]. Was an "
            "iterator used up, or a filter too narrow?"
        )
    places: dict[int, Place] = {}
    seen: set[tuple[int, str]] = set()
    for i, pair in enumerate(pairs):
        if not is_pair(pair):
            raise ParametersTypeError(f"parameters[{i}] is {show(pair)}. {_PAIRS}")
        place = read(*pair)
        if (id(place.module), place.name) in seen:
            continue
        seen.add((id(place.module), place.name))
        first = places.setdefault(id(place.orig), place)
        if first is not place:
            first.shared.append(place)
    return list(places.values())


def _read_pruned(module: nn.Module, name: str, hook: Any) -> Place:
    orig, mask = module._parameters.get(name + "_orig"), module._buffers.get(name + "_mask")
    if orig is None or mask is None:
        raise UnprunableError(
            f"{name!r} of {_kind(module)} has a pruning hook, but {name}_orig or {name}_mask is "
            "gone. Rule: a pruned parameter has both [REP-01]. Was the module converted after "
            "pruning? Call prune.remove before converting."
        )
    return Place(module, name, orig, mask, hook)


def _not_found(module: nn.Module, name: str) -> Exception:
    where = f"{name!r} of {_kind(module)}"
    if name in module._parameters:
        return NoParameterError(
            f"{where} is None. Rule: there must be a parameter to prune [ERR-04]. The layer was "
            "made without it (bias=False, say): leave the pair out."
        )
    parametrized = getattr(module, "parametrizations", None)
    if isinstance(parametrized, nn.Module) and hasattr(parametrized, name):
        return UnprunableError(
            f"{where} is parametrized. Rule: pruning needs a plain parameter [DEV-52]. Prune "
            f"(module.parametrizations.{name}, 'original'), or remove the parametrization first."
        )
    if name in module._buffers:
        return UnprunableError(f"{where} is a buffer. Rule: only parameters are pruned [DEV-52].")
    if hasattr(module, name):
        return UnprunableError(
            f"{where} is a {type(getattr(module, name)).__name__}, no parameter of its own. "
            "Rule: only parameters are pruned [DEV-52]. If weight_norm made it, remove that first."
        )
    names = [n for n, p in module.named_parameters() if p is not None]
    return NoParameterError(
        f"{_kind(module)} has no parameter {name!r}. Rule: the name is one of its own parameters "
        f"[ERR-04]: {names}."
    )


def _check_dense(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
    where = f"{name!r} of {_kind(module)}"
    if isinstance(parameter, UninitializedParameter):
        raise UnprunableError(
            f"{where} is lazy and has no values yet. Rule: only initialised parameters are pruned "
            "[DEV-52]. Run one forward first."
        )
    if parameter.layout != torch.strided:
        raise UnprunableError(
            f"{where} is sparse ({parameter.layout}). Rule: only dense parameters are pruned "
            "[DEV-28]. Convert it: parameter.to_dense()."
        )
    if parameter.is_meta:
        raise UnprunableError(
            f"{where} is on the meta device and has no values. Rule: entries are ranked by their "
            "values. Materialise the model first: module.to_empty(device=...) and load its weights."
        )


def is_pair(value: Any) -> bool:
    """Whether something is a (module, name) pair, as far as one can see."""
    return isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[0], nn.Module)


def _kind(module: Any) -> str:
    return type(module).__name__


def show(value: Any) -> str:
    """Say briefly what was given, for messages."""
    if isinstance(value, torch.Tensor):
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    if isinstance(value, nn.Module):
        return f"a {type(value).__name__}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(show, value))})"
    text = repr(value)
    return text if len(text) < 60 else f"a {type(value).__name__}"
