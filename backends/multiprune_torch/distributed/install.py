"""The masks of a sharded model, made ready on all processes, then installed on each.

Whatever may fail, memory above all, is done while processes can still go back together; what is
left changes names and writes zeros.
Clauses: SHARD-05 to SHARD-07.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from multiprune_torch.distributed.counting import Shard
from multiprune_torch.distributed.fsdp import fsdp_state
from multiprune_torch.distributed.layout import local_part
from multiprune_torch.distributed.packing import pieces, unpack
from multiprune_torch.distributed.processes import Processes
from multiprune_torch.distributed.records import dense_values, hold, record_of
from multiprune_torch.hooks.base import commit
from multiprune_torch.hooks.methods import CustomFromMask
from multiprune_torch.hooks.reparametrization import all_or_nothing
from multiprune_torch.request.parameters import Place

__all__ = ["Ready", "install_all", "make_ready"]


@dataclass(frozen=True)
class Ready:
    """A new mask, beside the parameter that it will prune.

    Attributes
    ----------
    place : Place
    mask : torch.Tensor
        As the module will hold it.
    part : torch.Tensor of bool
        This process's part of it.
    in_place : bool
        Whether FSDP2 keeps hold of the parameter, so that it cannot be reparametrized.
    dense : torch.Tensor or None
        In the memory of the CPU the values that will be zeroed, if `undo` is to have them.
    """

    place: Place
    mask: torch.Tensor
    part: torch.Tensor
    in_place: bool
    dense: torch.Tensor | None

    def fill(self, pieces: Iterable[Any]) -> None:
        """Put the parts of all processes into a mask that is whole on each of them."""
        flat, start = self.mask.view(-1), 0
        for packed in pieces:
            bits = unpack(packed, min(8 * len(packed), flat.numel() - start))
            flat[start : start + len(bits)] = torch.from_numpy(bits).to(flat.device)
            start += len(bits)

    def install(self) -> str:
        """Prune the parameter, and return the way: "in place" or "reparametrized"."""
        place = self.place
        if self.in_place:
            with torch.inference_mode(False):
                hold(place.module, place.name, self.mask, self.dense)
            return "in place"
        hook = CustomFromMask.__new__(CustomFromMask)
        with all_or_nothing(p.module for p in (place, *place.shared)):
            commit(place, self.mask, hook)
        return "reparametrized"


def make_ready(
    place: Place, part: torch.Tensor, dtype: torch.dtype, *, keep_dense: bool = False
) -> Ready:
    """Make a mask ready, in the way that the parameter bears.

    Parameters
    ----------
    place : Place
    part : torch.Tensor of bool
        This process's part of the mask.
    dtype : torch.dtype
        Of the mask where it is kept beside ``name_orig``.
    keep_dense : bool
        Keep the values that are pruned in place, for `undo`.
    """
    with torch.inference_mode(False), torch.no_grad():  # what is made here must train
        return _make_ready(place, part, dtype, keep_dense)


def _make_ready(place: Place, part: torch.Tensor, dtype: torch.dtype, keep_dense: bool) -> Ready:
    orig = place.orig.detach()
    if any(fsdp_state(p.module, p.name) is not None for p in (place, *place.shared)):
        mask = torch.empty_like(orig, dtype=torch.bool)
        local_part(mask).copy_(part)
        record = record_of(place.module, place.name)
        return Ready(place, mask, part, True, dense_values(place.orig, mask, record, keep_dense))
    if place.has_whole_mask:  # parts of other processes come later, by `Ready.fill`
        mask = torch.empty(orig.shape, dtype=dtype, device=part.device)
        if part.shape == mask.shape:
            mask.copy_(part)
    else:
        mask = torch.empty_like(orig, dtype=dtype)
        local_part(mask).copy_(part)
    return Ready(place, mask, part, False, None)


def install_all(
    processes: Processes, ready: Sequence[Ready], shards: Sequence[Shard], owned: Sequence[bool]
) -> str:
    """Install what all processes have made ready, and return the ways.

    Parameters
    ----------
    processes : Processes
    ready : sequence of Ready
    shards : sequence of Shard
        What this process holds of each parameter.
    owned : sequence of bool
        Whether this process's part is the one that counts.

    Notes
    -----
    Only of masks that are whole on every process bits go around, an eighth of a byte an entry.
    """
    for each, shard, mine in zip(ready, shards, owned, strict=True):
        if each.place.has_whole_mask:
            each.fill(pieces(shard.layout, each.part if mine else None, processes))
    return " and ".join(sorted({each.install() for each in ready}))
