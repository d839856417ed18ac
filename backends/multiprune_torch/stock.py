"""Torch's own pruning as a peer, for `multiprune.verify` to compare with.

Source: ``torch.nn.utils.prune.global_unstructured``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from multiprune_torch.backend import TorchBackend

__all__ = ["StockPrune", "stock"]


class StockPrune:
    """``torch.nn.utils.prune`` under its own name; see `multiprune.verify.Peer`."""

    to_numpy = TorchBackend.to_numpy
    from_numpy = TorchBackend.from_numpy
    dtype_name = TorchBackend.dtype_name

    def global_masks(
        self, tensors: Mapping[str, torch.Tensor], amount: float
    ) -> Mapping[str, torch.Tensor]:
        """Return the masks that torch itself makes."""
        holders = {name: nn.Module() for name in tensors}
        for name, tensor in tensors.items():
            holders[name].register_parameter("x", nn.Parameter(tensor, requires_grad=False))
        torch_prune.global_unstructured(
            [(holder, "x") for holder in holders.values()],
            pruning_method=torch_prune.L1Unstructured,
            amount=amount,
        )
        return {name: holder.get_buffer("x_mask") for name, holder in holders.items()}


stock = StockPrune()
