"""One class for each kind of error, each also the builtin that torch raises there.

``kind`` is the name that the conformance suite knows the error by (spec ERR). A message says
what was given, what the rule is, where, and what to do; the caller writes it whole.
"""

from __future__ import annotations

__all__ = [
    "AllocationError",
    "AmountError",
    "AmountTypeError",
    "BackendError",
    "BoundsError",
    "DimError",
    "DtypeError",
    "MaskError",
    "MaskShapeError",
    "MultipruneError",
    "NormError",
    "ParametersError",
    "ParametersTypeError",
    "PruningTypeError",
    "ScopeError",
    "ScoresError",
    "ScoresShapeError",
    "ScoresTypeError",
    "SeedError",
    "SparsityError",
    "StructureError",
]


class MultipruneError(Exception):
    """Base of every error that multiprune raises on purpose."""

    kind = "error"


class AmountTypeError(MultipruneError, TypeError):
    """An amount is neither an int nor a float, or not exactly one was given."""

    kind = "amount-type"


class AmountError(MultipruneError, ValueError):
    """An amount is NaN, negative, above 1.0, or more than remains."""

    kind = "amount-out-of-range"

    def __init__(self, message: str, *, kind: str = "amount-out-of-range") -> None:
        super().__init__(message)
        self.kind = kind


class SparsityError(MultipruneError, ValueError):
    """A target sparsity is below what is pruned already."""

    kind = "sparsity-below-current"


class ScopeError(MultipruneError, ValueError, TypeError):
    """A scope is invalid, or does not fit the tensors or the call."""

    kind = "scope"


class BoundsError(MultipruneError, ValueError, TypeError):
    """Bounds cannot be met, contradict each other, or do not fit the call."""

    kind = "bounds"


class AllocationError(MultipruneError, ValueError, TypeError):
    """An allocation is invalid, or does not fit the tensors or the call."""

    kind = "allocation"


class PruningTypeError(MultipruneError, TypeError):
    """A method's PRUNING_TYPE does not fit the call."""

    kind = "pruning-type"


class DtypeError(MultipruneError, TypeError):
    """A dtype cannot be ranked, alone or beside the others."""

    kind = "dtype"


class ParametersTypeError(MultipruneError, TypeError):
    """What should be a collection of tensors, or of (module, name) pairs, is not."""

    kind = "parameters-type"


class ScoresTypeError(MultipruneError, TypeError):
    """Importance scores are not of the kind that the call takes."""

    kind = "scores-type"


class ScoresError(MultipruneError, ValueError):
    """Importance scores are missing for a tensor, or given for one that is not pruned."""

    kind = "scores-keys"


class ScoresShapeError(MultipruneError, ValueError, AssertionError, IndexError):
    """Importance scores do not have their tensor's shape."""

    kind = "scores-shape"


class MaskError(MultipruneError, ValueError):
    """A mask has values other than 0 and 1."""

    kind = "mask-values"


class MaskShapeError(MaskError):
    """A mask has another shape than its tensor."""

    kind = "mask-shape"


class DimError(MultipruneError, IndexError):
    """A dimension is outside the tensor's."""

    kind = "dim"


class StructureError(MultipruneError, ValueError):
    """A structured method meets a tensor of fewer than two dimensions."""

    kind = "not-structured"


class NormError(MultipruneError, ValueError, RuntimeError):
    """The order of a norm is invalid, or does not fit the tensor."""

    kind = "norm"


class SeedError(MultipruneError, ValueError, TypeError):
    """A seed is not an unsigned integer of 64 bits."""

    kind = "seed"


class ParametersError(MultipruneError, ValueError):
    """There is nothing to prune in what was given."""

    kind = "parameters-empty"


class BackendError(MultipruneError, LookupError):
    """No backend serves the object in hand."""

    kind = "backend"
