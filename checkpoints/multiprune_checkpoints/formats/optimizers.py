"""Which tensors are the state of an optimizer, by their names: of torch, of optax, of trainers.

Clauses: ERR-03.
"""

from __future__ import annotations

import re
from collections.abc import Collection

__all__ = ["of_optimizers"]

_KEY = re.compile(r"(?:^|_)(?:optim(?:izer)?s?(?=_|$|[A-Z0-9])|opt_?states?(?=_|$))")
"""Keys that mean an optimizer whatever lies below them. A model may be called OPT, too, and ``opt``
is followed by a state's names or it is a module."""
_SHORT = re.compile(r"(?:^|_)opts?(?=_|$|[A-Z0-9])")
_FIELDS = re.compile(
    r"state|states|mu|nu|trace|count|fp32_.*|(max_)?exp_avg(_sq)?|exp_inf|momentum_buffer"
    r"|square_avg|acc_delta"
)
_MOMENTS = re.compile(r"(max_)?exp_avg(_sq)?|exp_inf|momentum_buffer|square_avg|grad_avg|acc_delta")
_OF_A_PARAMETER = re.compile(
    r"(^|.*[./])state[./]\d+[./](sum|prev|prev_flat_grad|step_size|ax|eta|row_var|col_var|variance"
    r"|preconditioner|momentum|d|al|old_dirs[./]\d+|old_stps[./]\d+)"
)
"""What torch's optimizers keep under the number of a parameter, in names that say little alone."""
_CHAIN = re.compile(r"(^|.*/)\d+/(mu|nu|trace)/.*")
"""A field of a state in optax's chain of transformations."""


def of_optimizers(names: Collection[str]) -> list[str]:
    """Return those names that are an optimizer's."""
    return [name for name in names if _is_of_one(name) or _has_both_moments(name, names)]


def _is_of_one(name: str) -> bool:
    *path, last = re.split(r"[./]", name)
    return (
        _MOMENTS.fullmatch(last) is not None
        or _OF_A_PARAMETER.fullmatch(name) is not None
        or _CHAIN.fullmatch(name) is not None
        or any(_KEY.search(part) for part in path)
        or any(
            _SHORT.search(part) and any(map(_FIELDS.fullmatch, (*path[i + 1 :], last)))
            for i, part in enumerate(path)
        )
    )


def _has_both_moments(name: str, names: Collection[str]) -> bool:
    """Whether Adam's first and second moment of one parameter lie side by side."""
    parts = re.split(r"([./])", name)
    return any(
        "".join([*parts[:i], other, *parts[i + 1 :]]) in names
        for i, part in enumerate(parts[:-1])
        if (other := {"mu": "nu", "nu": "mu"}.get(part))
    )
