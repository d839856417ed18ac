"""The torch backend: tensors, and `prune`, the drop-in for ``torch.nn.utils.prune``."""

from multiprune_torch import prune
from multiprune_torch.backend import backend

__all__ = ["backend", "prune"]
