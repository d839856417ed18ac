"""Global pruning: exact, deterministic, the same bits in every framework.

The algebra, for arrays of any framework. Models are pruned through a backend: ``multiprune_torch``
for modules, ``multiprune_checkpoints`` for files. Importing this loads no framework.
"""

from multiprune.cut import Cut
from multiprune.errors import (
    AllocationError,
    AmountError,
    AmountTypeError,
    BackendError,
    BoundsError,
    DimError,
    DtypeError,
    MaskError,
    MaskShapeError,
    MultipruneError,
    NormError,
    ParametersError,
    ParametersTypeError,
    PruningTypeError,
    ScopeError,
    ScoresError,
    ScoresShapeError,
    ScoresTypeError,
    SeedError,
    SparsityError,
    StructureError,
)
from multiprune.methods import (
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    PruningMethod,
    RandomStructured,
    RandomUnstructured,
)
from multiprune.one_tensor import mask_of
from multiprune.packed import MaskFileError
from multiprune.pruning import Pruned, apply_masks, global_unstructured
from multiprune.report import Report, TensorReport
from multiprune.verdict import Verification
from multiprune.verify import verify

__all__ = [
    "AllocationError",
    "AmountError",
    "AmountTypeError",
    "BackendError",
    "BoundsError",
    "CustomFromMask",
    "Cut",
    "DimError",
    "DtypeError",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "MaskError",
    "MaskFileError",
    "MaskShapeError",
    "MultipruneError",
    "NormError",
    "ParametersError",
    "ParametersTypeError",
    "Pruned",
    "PruningMethod",
    "PruningTypeError",
    "RandomStructured",
    "RandomUnstructured",
    "Report",
    "ScopeError",
    "ScoresError",
    "ScoresShapeError",
    "ScoresTypeError",
    "SeedError",
    "SparsityError",
    "StructureError",
    "TensorReport",
    "Verification",
    "apply_masks",
    "global_unstructured",
    "mask_of",
    "verify",
]
__version__ = "0.1.0"
