"""The drop-in of multiprune for torch: `--adapter examples.multiprune_torch_prune:DropIn`.

The same door as stock torch; only the namespace and the kinds of its own errors differ.
"""

from __future__ import annotations

from typing import Any

from examples.torch_prune import TorchPrune
from multiprune_torch import prune

import multiprune
from multiprune.errors import MultipruneError

Json = dict[str, Any]


class DropIn(TorchPrune):
    """multiprune_torch.prune in the place of torch.nn.utils.prune."""

    prune = prune

    def describe(self) -> Json:
        """It answers as torch does, and names itself."""
        told = {"name": "multiprune_torch.prune", "version": multiprune.__version__}
        return super().describe() | {"implementation": {**told, "language": "python"}}

    def kind(self, error: Exception) -> str:
        """Return the kind that multiprune's own errors carry."""
        return error.kind if isinstance(error, MultipruneError) else super().kind(error)
