"""Room: the errors that only modules can have; see `multiprune.errors`."""

from __future__ import annotations

from multiprune.errors import MultipruneError

__all__ = [
    "NameTakenError",
    "NoParameterError",
    "NotPrunedError",
    "StateError",
    "UnprunableError",
    "WriteError",
]


class NoParameterError(MultipruneError, AttributeError, TypeError):
    """A module has no such parameter, or it is None."""

    kind = "no-such-parameter"


class UnprunableError(MultipruneError, TypeError, ValueError):
    """A name is no plain parameter: a buffer, a tensor, parametrized, lazy, sparse, or meta."""

    kind = "no-such-parameter"


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
