"""Parameters that several modules share, and those of them that were not listed.

Clauses: DEV-11, DEV-12.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from torch import nn

from multiprune_torch.request.parameters import Place
from multiprune_torch.request.refusals import warn
from multiprune_torch.sharding import storage

__all__ = ["SharedParameterWarning", "warn_of_sharing"]

_PLAIN = 3
"""References to a parameter that only its module and its place hold, the count's own included."""


class SharedParameterWarning(UserWarning):
    """A parameter is pruned in some of the modules that share it, and dense in others."""


def warn_of_sharing(places: Sequence[Place]) -> None:
    """Warn of modules that hold a listed parameter, but are not listed themselves.

    They go on with the dense value, and a later `remove` writes zeros into it.

    Notes
    -----
    Clause DEV-12. Looked for in global prunings only, at the first, and only where somebody else
    holds the parameter (an optimizer does): asking the collector takes a tenth of a second.
    """
    suspects = {
        id(p.orig): p
        for p in places
        if p.mask is None
        and sys.getrefcount(p.orig) > _PLAIN
        and not storage().is_managed(p.module, p.name)  # pruned in place: by all its names
    }
    if not suspects:
        return
    listed = {(id(q.module), q.name) for p in suspects.values() for q in (p, *p.shared)}
    for module in _modules_holding([p.orig for p in suspects.values()]):
        for name, parameter in module._parameters.items():
            place = suspects.get(id(parameter))
            if place is not None and (id(module), name) not in listed:
                warn(
                    f"{place} is shared with {name!r} of {type(module).__name__}, which is not "
                    "among the parameters. It stays dense there, and removing the pruning will "
                    "write zeros into it, too [DEV-12]. List it as well to prune both alike.",
                    SharedParameterWarning,
                )


def _modules_holding(parameters: list[nn.Parameter]) -> list[nn.Module]:
    """Return the modules in whose `_parameters` any of these is."""
    mappings = [m for m in gc.get_referrers(*parameters) if isinstance(m, dict)]
    owners = [d for d in gc.get_referrers(*mappings) if isinstance(d, dict | nn.Module)]
    owners += gc.get_referrers(*[d for d in owners if isinstance(d, dict)]) if owners else []
    modules = {id(m): m for m in owners if isinstance(m, nn.Module)}
    return list(modules.values())
