"""(module, name) pairs, checked and read before anything is changed.

Clauses: ERR-01, ERR-03 to ERR-06, REP-10.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from multiprune.errors import ParametersError, ParametersTypeError
from multiprune_torch.errors import NameTakenError, NoParameterError, UnprunableError
from multiprune_torch.request.pruned import find_hook, masked
from multiprune_torch.request.refusals import about, check_dense, kind_of, not_found, show
from multiprune_torch.sharding import is_sharded, storage

__all__ = ["WRAPPED", "Place", "is_pair", "locate", "read", "read_all", "stored_in"]

WRAPPED = "_checkpoint_wrapped_module"
"""The child of a module that is wrapped for activation checkpointing; no state_dict names it."""

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
    where : str
        Its full name in a model, or its place in the call; for messages.
    """

    module: nn.Module
    name: str
    orig: nn.Parameter
    mask: torch.Tensor | None
    hook: Any
    shared: list[Place] = field(default_factory=list)
    where: str = ""

    def __str__(self) -> str:
        where = f" ({self.where})" if self.where else ""
        return f"{self.name!r} of {kind_of(self.module)}{where}"

    @property
    def stored(self) -> str:
        """The name under which the module holds its values now."""
        return self.name if self.hook is None else self.name + "_orig"

    @property
    def has_whole_mask(self) -> bool:
        """Whether it was pruned before ``fully_shard``: every process holds its mask whole."""
        return self.mask is not None and is_sharded(self.orig) and not is_sharded(self.mask)

    @property
    def pruned(self) -> torch.Tensor:
        """Its present value."""
        return self.orig if self.mask is None else masked(self.orig, self.mask)


def read(module: Any, name: Any, where: str = "") -> Place:
    """Find a parameter, and check that it can be pruned.

    Raises
    ------
    ParametersTypeError
        If it is not a module, or the name not text (a TypeError).
    NoParameterError
        If there is no such parameter (an AttributeError and a TypeError).
    UnprunableError
        If it is not a plain dense parameter (a TypeError and a ValueError).
    NameTakenError
        If ``name_orig`` or ``name_mask`` is the user's own (a ValueError and a KeyError).

    Notes
    -----
    Clauses ERR-04 to ERR-06, DEV-14, DEV-15, DEV-52.
    """
    module, name = locate(module, name)
    keyed_hook = find_hook(module, name)
    if keyed_hook is not None:
        return _read_pruned(module, name, keyed_hook[1], where)
    parameter = module._parameters.get(name)
    if parameter is None:
        raise not_found(module, name)
    record = storage().record_of(module, name)
    if record is not None:
        return Place(module, name, parameter, record.mask, None, where=where)
    if name.endswith("_orig") and find_hook(module, name.removesuffix("_orig")) is not None:
        raise NameTakenError(
            f"{name!r} of {kind_of(module)} is the original of a pruned parameter. Rule: a pruned "
            f"parameter is pruned further by its name, {name.removesuffix('_orig')!r} [ERR-06]."
        )
    for taken in (name + "_orig", name + "_mask"):
        if hasattr(module, taken):
            raise NameTakenError(
                f"{kind_of(module)} has an attribute {taken!r} already. Rule: pruning {name!r} "
                f"needs the names {name}_orig and {name}_mask for itself [ERR-06]. Rename yours."
            )
    check_dense(module, name, parameter)
    return Place(module, name, parameter, None, None, where=where)


def locate(module: Any, name: Any) -> tuple[nn.Module, str]:
    """Return the module that a name leads to, and the name there.

    Raises
    ------
    ParametersTypeError
        If it is not a module, or the name not text (a TypeError).
    NoParameterError
        If a dotted name leads nowhere (an AttributeError and a TypeError).
    UnprunableError
        If the module is scripted or traced (a TypeError and a ValueError).

    Notes
    -----
    Clauses ERR-05, DEV-14, DEV-52.
    """
    if not isinstance(module, nn.Module) or not isinstance(name, str):
        raise ParametersTypeError(f"the pair ({show(module)}, {show(name)}) was given. {_PAIRS}")
    path, _, leaf = name.rpartition(".")
    try:
        module = module.get_submodule(path) if path else module
        if isinstance(module, torch.jit.ScriptModule):
            raise UnprunableError(
                f"{leaf!r} is of a ScriptModule, {kind_of(module)}. Rule: what is scripted or "
                "traced takes no new parameter [DEV-52]. Prune the module and remove the pruning "
                "before torch.jit.script, or leave it out: exclude=..."
            )
        while module._modules.get(WRAPPED) is not None:
            module = module.get_submodule(WRAPPED)
        return module, leaf
    except AttributeError:
        raise NoParameterError(
            f"{kind_of(module)} has no module {path!r}. Rule: a dotted name leads to a parameter "
            "of a submodule [DEV-14]. See dict(module.named_parameters())."
        ) from None


def read_all(parameters: Any, names: Sequence[str] | None = None) -> list[Place]:
    """Find all parameters of a call; the same one twice, or shared by modules, is one place.

    Parameters
    ----------
    parameters : iterable of (nn.Module, str)
    names : sequence of str, optional
        Their full names in a model, for messages.

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
        where = f"parameters[{i}]" if names is None else names[i]
        with about(where):
            place = read(pair[0], pair[1], where)
        if (id(place.module), place.name) in seen:
            continue
        seen.add((id(place.module), place.name))
        first = places.setdefault(id(place.orig), place)
        if first is not place:
            first.shared.append(place)
    return [_with_every_mask(place) for place in places.values()]


def _with_every_mask(place: Place) -> Place:
    """Give a tied parameter the prior masks of all its names in the call: DEV-11."""
    masks = {id(p.mask): p.mask for p in (place, *place.shared) if p.mask is not None}
    if (len(masks) <= 1 and place.mask is not None) or not masks:
        return place
    every, *others = masks.values()
    for mask in others:
        every = torch.where(mask == 0, torch.zeros_like(every), every)
    return replace(place, mask=every)


def _read_pruned(module: nn.Module, name: str, hook: Any, where: str) -> Place:
    orig, mask = module._parameters.get(name + "_orig"), module._buffers.get(name + "_mask")
    if orig is None or mask is None:
        raise UnprunableError(
            f"{name!r} of {kind_of(module)} has a pruning hook, but {name}_orig or {name}_mask is "
            "gone. Rule: a pruned parameter has both [REP-01]. Was the module converted after "
            "pruning? Call prune.remove before converting."
        )
    return Place(module, name, orig, mask, hook, where=where)


def stored_in(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """Return a module's own parameters as they are stored; a ScriptModule has none of its own."""
    return {} if isinstance(module, torch.jit.ScriptModule) else module._parameters


def is_pair(value: Any) -> bool:
    """Whether something is a (module, name) pair, as far as one can see."""
    return isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[0], nn.Module)
