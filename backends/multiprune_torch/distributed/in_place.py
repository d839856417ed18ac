"""Masks of parameters that cannot be reparametrized, for FSDP2 keeps hold of their names.

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

from multiprune_torch.distributed.fsdp import fsdp_state, places_of
from multiprune_torch.distributed.layout import is_cut_alike, local_part, zero
from multiprune_torch.errors import UndoError
from multiprune_torch.hooks.gradients import hook_gradient
from multiprune_torch.sharding import is_sharded

__all__ = ["RECORDS", "InPlace", "by_parameter", "by_place"]

RECORDS = "_multiprune_in_place"
"""Attribute of a module, with all its records by name."""

by_parameter: WeakValueDictionary[int, InPlace] = WeakValueDictionary()
"""Records by the id of their parameter. Not kept in the parameter, for a pickle would carry the
module, and ``.float()`` swaps what it holds; nor by weak references to it, which forbid a swap."""

by_place: WeakValueDictionary[tuple[int, str], InPlace] = WeakValueDictionary()
"""The same by module and name: a weight that is tied has several places, and one record."""


class InPlace:
    """What keeps one parameter's pruned entries zero.

    Attributes
    ----------
    module, name
        Of the parameter; the mask is the buffer ``name_mask``.
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
        """Put the hooks on the parameter that the module holds now."""
        parameter = self.module._parameters[self.name]
        assert parameter is not None
        self.parameter = parameter
        self.handle = hook_gradient(parameter, _masking(ref(self)))
        by_parameter[id(parameter)] = self
        for module, name in self.places:
            by_place[id(module), name] = self

    def follow(self) -> None:
        """Take the parameter that was loaded in the place of the one known, if one was."""
        parameter = self.module._parameters.get(self.name)
        # It holds a plain one only while FSDP2 has it unsharded.
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
        _zero_pruned(self.parameter, mask)

    def end(self) -> None:
        """Stop masking: the parameter keeps its zeros, and may train them."""
        self._leave()
        self.loading.remove()
        del self.module._buffers[self.name + "_mask"]
        self.module._non_persistent_buffers_set.discard(self.name + "_mask")
        del self.module.__dict__[RECORDS][self.name]

    def undo(self) -> None:
        """Give the pruned entries their values back, and stop masking."""
        kept, values = self.kept, local_part(self.parameter)
        assert kept is not None
        values[~local_part(self.mask)] = kept.to(values.device)
        self.end()

    def check_dense(self, full: str) -> None:
        """Refuse to go back where nothing was kept.

        Raises
        ------
        UndoError
            If it was not pruned with ``keep_dense=True`` (a RuntimeError).
        """
        if self.kept is None:
            raise UndoError(
                f"{full!r} is pruned in place, and its dense values were not kept. Rule: a pruning "
                "in place goes back only if it was made with keep_dense=True, each of its rounds, "
                "and no other masks were loaded since [SHARD-07]. Load a checkpoint from before, "
                "or make it permanent: prune.remove_all(model)."
            )

    def mask_again(self) -> None:
        """Zero the pruned entries of the parameter: an optimizer has stepped."""
        _zero_pruned(self.parameter, self.mask)

    @property
    def kept(self) -> torch.Tensor | None:
        """The dense values, if they were kept under the present mask."""
        is_current = self.dense is not None and _digest(self.mask) == self.kept_under
        return self.dense if is_current else None

    def _loaded(self, *_: Any) -> None:
        """Follow a loaded state, and mask it; dense values of other weights are no use for it."""
        self.follow()
        if is_sharded(self.module._parameters[self.name]):
            if local_part(self.parameter)[~local_part(self.mask)].any():
                self.dense = None
            self.mask_again()

    def _leave(self) -> None:
        if self.handle is not None:
            self.handle.remove()
        if by_parameter.get(id(self.parameter)) is self:
            del by_parameter[id(self.parameter)]


def _masking(record: ref[InPlace]) -> Callable[[torch.Tensor], None]:
    """Return a hook that does not keep the model alive: nobody collects circles through hooks."""

    def mask_gradient(parameter: torch.Tensor) -> None:
        pruned = record()
        if pruned is not None and parameter.grad is not None:
            _zero_pruned(parameter.grad, pruned.mask)

    return mask_gradient


def _zero_pruned(values: torch.Tensor, mask: torch.Tensor) -> None:
    if is_cut_alike(values, mask):  # an operation on DTensors costs more than most shards
        values, mask = local_part(values), local_part(mask)
    zero(values, ~mask)


def _digest(mask: torch.Tensor) -> str:
    """Tell one mask of this process from another."""
    return hashlib.sha256(local_part(mask).cpu().contiguous().numpy().data).hexdigest()
