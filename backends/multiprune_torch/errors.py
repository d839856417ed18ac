"""The errors that only modules can have; see `multiprune.errors`."""

from __future__ import annotations

import sys
import warnings

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
    "StateError",
    "UndoError",
    "UnprunableError",
    "WriteError",
    "about",
    "warn",
]


class NoParameterError(MultipruneError, AttributeError, TypeError):
    """A module has no such parameter, or it is None."""

    kind = "no-such-parameter"


class UnprunableError(MultipruneError, TypeError, ValueError):
    """A name is no plain parameter: a buffer, a tensor, parametrized, lazy, sparse, or meta."""

    kind = "no-such-parameter"


class DimTypeError(DimError, TypeError):
    """A dimension is no int."""


class MaskTypeError(MaskError, TypeError):
    """A mask is no dense tensor with values."""


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


class about:  # noqa: N801 - it is read as a word: ``with about(place):``
    """Say in an error of ours which parameter it concerns, where it does not say so itself."""

    __slots__ = ("where",)

    def __init__(self, where: object) -> None:
        self.where = where

    def __enter__(self) -> None:
        """Nothing: calls over thousands of parameters pay for this."""

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if isinstance(error, MultipruneError) and str(self.where) not in str(error):
            error.args = (f"{self.where}: {error}",)


class LayoutError(MultipruneError, TypeError, ValueError):
    """A sharded tensor is cut in a way that cannot be ranked, or not as its partners are."""

    kind = "layout"


class ProcessesError(MultipruneError, RuntimeError):
    """The processes of a group disagree: on what to prune, on how much, or on the values."""

    kind = "processes"


class UndoError(MultipruneError, RuntimeError):
    """A pruning in place is taken back whose dense values nobody kept."""

    kind = "state"


def warn(message: str, category: type[Warning]) -> None:
    """Warn of the line that called the library, however deep in it this is."""
    frame, depth = sys._getframe(1), 2
    while frame.f_back and str(frame.f_globals.get("__name__")).startswith("multiprune_torch."):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, category, stacklevel=depth)
