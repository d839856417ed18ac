"""The torch backend: tensors, and `prune`, the drop-in for ``torch.nn.utils.prune``."""

from multiprune import errors as _errors
from multiprune.errors import *  # noqa: F403 - all of them
from multiprune.packed import MaskFileError
from multiprune_torch import errors as _own_errors
from multiprune_torch import prune
from multiprune_torch.backend import backend
from multiprune_torch.distributed.storage import Sharded
from multiprune_torch.errors import *  # noqa: F403 - all of them
from multiprune_torch.models.tied import SharedParameterWarning
from multiprune_torch.ranking.seeds import RandomSeedWarning
from multiprune_torch.sharding import register
from multiprune_torch.sparse import to_csr

__all__ = ["MaskFileError", "RandomSeedWarning", "SharedParameterWarning"]
__all__ += ["backend", "prune", "to_csr"]
__all__ += _errors.__all__
__all__ += _own_errors.__all__

register(Sharded())
