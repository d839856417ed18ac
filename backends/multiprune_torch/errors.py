"""The errors that only modules can have; see `multiprune.errors`."""

from __future__ import annotations

from multiprune.errors import DimError, MaskError, MultipruneError

__all__ = [
    "DimTypeError",
    "LayoutError",
    "MaskTypeError",
    "NameTakenError",
    "NoParameterError",
    "NotPrunedError",
    "ProcessesError",
    "ScriptError",
    "StaleValueError",
    "StateError",
    "UndoError",
    "UnprunableError",
    "WriteError",
]


class NoParameterError(MultipruneError, AttributeError, TypeError):
    """A module has no such parameter, or it is None."""

    kind = "no-such-parameter"


class UnprunableError(MultipruneError, TypeError, ValueError):
    """A name is not a plain parameter: a buffer, a tensor, parametrized, lazy, sparse, or meta."""

    kind = "no-such-parameter"


class DimTypeError(DimError, TypeError):
    """A dimension is not an int."""


class MaskTypeError(MaskError, TypeError):
    """A mask is not a dense tensor with values."""


class ScriptError(MultipruneError, AttributeError):
    """A pruned module is handed to torch.jit.script."""


class NameTakenError(MultipruneError, ValueError, KeyError):
    """A name that the reparametrization needs is taken."""

    kind = "name-taken"

    __str__ = ValueError.__str__  # KeyError would show the message quoted


class NotPrunedError(MultipruneError, ValueError):
    """A pruning is removed where there is none."""

    kind = "not-pruned"


class StateError(MultipruneError, RuntimeError):
    """A state_dict does not fit a model."""

    kind = "state"


class WriteError(MultipruneError, TypeError, AttributeError):
    """A pruned name is written to, which is computed at each reading."""

    kind = "name-taken"


class StaleValueError(MultipruneError, RuntimeError):
    """Weights were changed while their pruned values were cached."""

    kind = "state"


class LayoutError(MultipruneError, TypeError, ValueError):
    """A sharded tensor is cut in a way that cannot be ranked, or not as its partners are."""

    kind = "layout"


class ProcessesError(MultipruneError, RuntimeError):
    """The processes of a group disagree: on what to prune, on how much, or on the values."""

    kind = "processes"


class UndoError(MultipruneError, RuntimeError):
    """A pruning in place is taken back, but its dense values were not kept."""

    kind = "state"
