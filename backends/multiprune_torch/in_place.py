"""Room: masks of parameters that cannot be reparametrized, for FSDP2 keeps hold of their names.

Pruned entries are zero in the parameter itself. Their gradients are masked as soon as they are
accumulated, so that clipping sees the right norm, and after each step of any optimizer they are
zero again. The mask is a buffer of the parameter's own layout: a state_dict holds it beside the
weight, and a distributed checkpoint saves and reshards it. No full weight outlives its layer.
Clauses: SHARD-06, SHARD-07.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from multiprune_torch.errors import UndoError
from multiprune_torch.layout import is_sharded, local_part

__all__ = ["InPlace", "dense_values", "held", "hold", "record_of"]

_RECORDS, _RECORD = "_multiprune_in_place", "_multiprune_record"
"""Attributes of a module, with all its records by name, and of a parameter."""

_watching: list[Any] = []


class InPlace:
    """What keeps one parameter's pruned entries zero.

    Attributes
    ----------
    module, name
        Where it stands; the mask is the buffer ``name_mask``.
    parameter : nn.Parameter
    dense : torch.Tensor or None
        In the memory of the CPU the values that this process's pruned entries had, row-major.
    """

    def __init__(self, module: nn.Module, name: str) -> None:
        self.module, self.name = module, name
        self.dense: torch.Tensor | None = None
        self.follow()

    def follow(self) -> None:
        """Put the hooks on the parameter that stands in the module now."""
        parameter = self.module._parameters[self.name]
        assert parameter is not None
        self.parameter = parameter
        self.handle: Any = None
        if parameter.requires_grad:
            self.handle = parameter.register_post_accumulate_grad_hook(_mask_gradient)
        setattr(parameter, _RECORD, self)

    def leave(self) -> None:
        """Take the hooks off."""
        if self.handle is not None:
            self.handle.remove()
        self.parameter.__dict__.pop(_RECORD, None)

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
        self.dense = dense
        _zero(local_part(self.parameter), local_part(mask))

    def end(self) -> None:
        """Stop masking: the parameter keeps its zeros, and may train them."""
        self.leave()
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
                "in place goes back only if it was made with keep_dense=True [SHARD-07]. Load a "
                "checkpoint from before, or make it permanent: prune.remove_all(model)."
            )


def held(module: nn.Module, name: str | None = None) -> list[InPlace]:
    """Return what is pruned in place in a module: all of it, or by one name."""
    records = module.__dict__.get(_RECORDS, {})
    found = [r for n, r in records.items() if name in (None, n)]
    for record in found:
        parameter = module._parameters.get(record.name)
        # Loaded by assignment. A plain one stands there only while FSDP2 has it unsharded.
        if parameter is not record.parameter and is_sharded(parameter):
            record.leave()
            record.follow()
    return found


def record_of(module: nn.Module, name: str) -> InPlace | None:
    """Return what keeps a parameter's pruned entries zero, wherever it is shared; else None."""
    held(module, name)
    parameter = module._parameters.get(name)
    return None if parameter is None else parameter.__dict__.get(_RECORD)


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


def _mask_gradient(parameter: torch.Tensor) -> None:
    if parameter.grad is not None:
        _zero(parameter.grad, getattr(parameter, _RECORD).mask)


def _zero_again(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Run after each step of each optimizer; it looks at one attribute of other parameters."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            record = parameter.__dict__.get(_RECORD)
            if record is not None:
                _zero(parameter, record.mask)


@torch.no_grad()
def _zero(values: torch.Tensor, mask: torch.Tensor) -> None:
    """Write zeros where the mask is False: on the shard, where both are cut alike."""
    if is_sharded(values) and values.placements == mask.placements:  # type: ignore[attr-defined]
        values, mask = local_part(values), local_part(mask)
    values.masked_fill_(mask.logical_not(), 0)
