"""Room: masks of parameters that cannot be reparametrized, for FSDP2 keeps hold of their names.

Pruned entries are zero in the parameter itself. Their gradients are masked as soon as they are
accumulated, so that clipping sees the right norm, and after each step of any optimizer they are
zero again. The mask is a buffer of the parameter's own layout: a state_dict holds it beside the
weight, and a distributed checkpoint saves and reshards it. No full weight outlives its layer.
Clauses: SHARD-06, SHARD-07.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary, ref

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from multiprune_torch.errors import UndoError
from multiprune_torch.fsdp import fsdp_state, places_of
from multiprune_torch.layout import is_sharded, local_part

__all__ = ["InPlace", "dense_values", "held", "hold", "record_of"]

_RECORDS = "_multiprune_in_place"
"""Attribute of a module, with all its records by name."""

_by_parameter: WeakValueDictionary[int, InPlace] = WeakValueDictionary()
"""Records by the id of their parameter. Not kept in the parameter, for a pickle would carry the
module, and ``.float()`` swaps what it holds; nor by weak references to it, which forbid a swap."""

_watching: list[Any] = []


class InPlace:
    """What keeps one parameter's pruned entries zero.

    Attributes
    ----------
    module, name
        Where it stands; the mask is the buffer ``name_mask``.
    places : list of (nn.Module, str)
        Every module that shares the parameter, and its name there.
    parameter : nn.Parameter
    dense : torch.Tensor or None
        In the memory of the CPU the values that this process's pruned entries had, row-major.
    """

    def __init__(self, module: nn.Module, name: str) -> None:
        self.module, self.name = module, name
        self.dense: torch.Tensor | None = None
        self.kept_under = ""
        self.handle: Any = None
        self.places = places_of(fsdp_state(module, name))
        self.take()
        self.loading = module.register_load_state_dict_post_hook(self._loaded)

    def take(self) -> None:
        """Put the hooks on the parameter that stands in the module now."""
        parameter = self.module._parameters[self.name]
        assert parameter is not None
        self.parameter = parameter
        trained = parameter.requires_grad
        if parameter.is_floating_point():  # one that is not trained may be some day
            parameter.requires_grad_(True)
            self.handle = parameter.register_post_accumulate_grad_hook(_masking(ref(self)))
            parameter.requires_grad_(trained)
        _by_parameter[id(parameter)] = self

    def follow(self) -> None:
        """Take the parameter that was loaded in the place of the one known, if one was."""
        parameter = self.module._parameters.get(self.name)
        # A plain one stands there only while FSDP2 has it unsharded.
        if parameter is not self.parameter and is_sharded(parameter):
            self._leave()
            self.take()

    @property
    def mask(self) -> torch.Tensor:
        """The present mask, of dtype bool, in the parameter's layout."""
        mask = self.module._buffers[self.name + "_mask"]
        assert mask is not None
        return mask

    def prune(self, mask: torch.Tensor, dense: torch.Tensor | None) -> None:
        """Take over a mask, which keeps no more than the present one does, and zero the rest."""
        if self.name + "_mask" in self.module._buffers:
            self.module._buffers[self.name + "_mask"] = mask
        else:
            self.module.register_buffer(self.name + "_mask", mask)
        self.dense, self.kept_under = dense, "" if dense is None else _digest(mask)
        _zero(local_part(self.parameter), local_part(mask))

    def end(self) -> None:
        """Stop masking: the parameter keeps its zeros, and may train them."""
        self._leave()
        self.loading.remove()
        del self.module._buffers[self.name + "_mask"]
        self.module._non_persistent_buffers_set.discard(self.name + "_mask")
        del self.module.__dict__[_RECORDS][self.name]

    def undo(self) -> None:
        """Give the pruned entries their values back, and stop masking."""
        assert self.dense is not None
        values = local_part(self.parameter)
        values[~local_part(self.mask)] = self.dense.to(values.device)
        self.end()

    def check_dense(self, full: str) -> None:
        """Refuse to go back where nothing was kept.

        Raises
        ------
        UndoError
            If it was not pruned with ``keep_dense=True`` (a RuntimeError).
        """
        if self.dense is None:
            raise UndoError(
                f"{full!r} is pruned in place, and its dense values were not kept. Rule: a pruning "
                "in place goes back only if it was made with keep_dense=True, each of its rounds, "
                "and no other masks were loaded since [SHARD-07]. Load a checkpoint from before, "
                "or make it permanent: prune.remove_all(model)."
            )

    def mask_again(self) -> None:
        """Zero the pruned entries of the parameter: an optimizer has stepped."""
        _zero(self.parameter, self.mask)

    def _loaded(self, *_: Any) -> None:
        """Follow a loaded state; values kept under another mask are no use for this one."""
        self.follow()
        if self.dense is not None and _digest(self.mask) != self.kept_under:
            self.dense = None

    def _leave(self) -> None:
        if self.handle is not None:
            self.handle.remove()
        if _by_parameter.get(id(self.parameter)) is self:
            del _by_parameter[id(self.parameter)]


def _masking(record: ref[InPlace]) -> Callable[[torch.Tensor], None]:
    """Return a hook that does not keep the model alive: nobody collects circles through hooks."""

    def mask_gradient(parameter: torch.Tensor) -> None:
        pruned = record()
        if pruned is not None and parameter.grad is not None:
            _zero(parameter.grad, pruned.mask)

    return mask_gradient


def held(module: nn.Module, name: str | None = None) -> list[InPlace]:
    """Return what is pruned in place in a module: all of it, or by one name."""
    records = module.__dict__.get(_RECORDS, {})
    found = [r for n, r in records.items() if name in (None, n)]
    for record in found:
        record.follow()
    return found


def record_of(module: nn.Module, name: str) -> InPlace | None:
    """Return what keeps a parameter's pruned entries zero, wherever it is shared; else None."""
    for record in held(module, name):
        return record
    return _record(module._parameters.get(name))


def _record(parameter: Any) -> InPlace | None:
    record = _by_parameter.get(id(parameter))
    return record if record is not None and record.parameter is parameter else None


def dense_values(
    parameter: torch.Tensor, mask: torch.Tensor, record: InPlace | None, keep: bool
) -> torch.Tensor | None:
    """Return what this process's entries have that a mask prunes, if it is to be kept.

    Parameters
    ----------
    parameter, mask : torch.Tensor
        In the same layout.
    record : InPlace or None
        By which the parameter is pruned now: what it kept goes on being kept.
    keep : bool

    Returns
    -------
    torch.Tensor or None
        In the memory of the CPU, row-major.
    """
    known = None if record is None else record.dense
    if record is not None and known is None and not local_part(record.mask).all():
        if keep:
            record.check_dense(record.name)
        return None
    if not keep and known is None:
        return None
    gone = ~local_part(mask)
    pruned = local_part(parameter)[gone].cpu()
    if record is not None and known is not None:
        pruned[~local_part(record.mask)[gone].cpu()] = known
    return pruned


def hold(module: nn.Module, name: str, mask: torch.Tensor, dense: torch.Tensor | None) -> None:
    """Prune a parameter in place, or further.

    Parameters
    ----------
    module : nn.Module
    name : str
    mask : torch.Tensor of bool
        In the parameter's layout; keeps nothing that is pruned already.
    dense : torch.Tensor or None
        See `dense_values`.

    Notes
    -----
    Clauses SHARD-06, SHARD-07.
    """
    if not _watching:
        _watching.append(register_optimizer_step_post_hook(_zero_again))
    record = record_of(module, name)
    if record is None:
        record = InPlace(module, name)
        module.__dict__.setdefault(_RECORDS, {})[name] = record
    record.prune(mask, dense)


def _zero_again(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Run after each step of each optimizer; of parameters not pruned it looks up one id."""
    for group in optimizer.param_groups if _by_parameter else ():
        for parameter in group["params"]:
            record = _record(parameter)
            if record is not None:
                record.mask_again()


def _digest(mask: torch.Tensor) -> str:
    """Tell one mask of this process from another."""
    return hashlib.sha256(local_part(mask).cpu().contiguous().numpy().data).hexdigest()


@torch.no_grad()
def _zero(values: torch.Tensor, mask: torch.Tensor) -> None:
    """Write zeros where the mask is False: on the shard, where both are cut alike."""
    if is_sharded(values) and values.placements == mask.placements:  # type: ignore[attr-defined]
        values, mask = local_part(values), local_part(mask)
    values.masked_fill_(mask.logical_not(), 0)
