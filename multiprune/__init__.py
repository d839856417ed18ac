"""Global pruning: exact, deterministic, the same bits in every framework.

The algebra, for arrays of any framework. Models are pruned through a backend: ``multiprune_torch``
for modules, ``multiprune_numpy`` for checkpoint files. Importing this loads no framework.
"""

from multiprune.cut import Cut
from multiprune.errors import MultipruneError
from multiprune.methods import (
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    PruningMethod,
    RandomStructured,
    RandomUnstructured,
)
from multiprune.pruning import Pruned, global_unstructured, mask_of
from multiprune.report import Report, TensorReport
from multiprune.verdict import Verification
from multiprune.verify import verify

__all__ = [
    "CustomFromMask",
    "Cut",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "MultipruneError",
    "Pruned",
    "PruningMethod",
    "RandomStructured",
    "RandomUnstructured",
    "Report",
    "TensorReport",
    "Verification",
    "global_unstructured",
    "mask_of",
    "verify",
]
__version__ = "0.1.0"
