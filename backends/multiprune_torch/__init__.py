"""The torch backend: tensors, and `prune`, the drop-in for ``torch.nn.utils.prune``."""

from multiprune_torch import prune
from multiprune_torch.backend import backend
from multiprune_torch.distributed.storage import Sharded
from multiprune_torch.sharding import register
from multiprune_torch.sparse import to_csr

__all__ = ["backend", "prune", "to_csr"]

register(Sharded())
