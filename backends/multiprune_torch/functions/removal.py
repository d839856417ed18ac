"""A pruning made permanent, or asked about.

Source: the functions of the same names in ``torch.nn.utils.prune``.
"""

from __future__ import annotations

from torch import nn
from torch.nn.utils.prune import is_pruned as _is_reparametrized

from multiprune_torch.errors import NotPrunedError
from multiprune_torch.hooks.reparametrization import all_or_nothing
from multiprune_torch.models.names import held_names
from multiprune_torch.request.parameters import locate, read
from multiprune_torch.request.pruned import find_hook
from multiprune_torch.sharding import storage

__all__ = ["is_pruned", "remove"]


def is_pruned(module: nn.Module) -> bool:
    """Whether any parameter of a module, or of a module in it, is pruned.

    Notes
    -----
    In place, too. Source: ``torch.nn.utils.prune.is_pruned``.
    """
    return _is_reparametrized(module) or bool(held_names(module))


def remove(module: nn.Module, name: str) -> nn.Module:
    """Make the pruning of a parameter permanent.

    Parameters
    ----------
    module : nn.Module
    name : str

    Returns
    -------
    nn.Module
        The module, changed in place: `name` is the same parameter object again, now with its
        pruned values.

    Raises
    ------
    NotPrunedError
        If it is not pruned (a ValueError).

    Notes
    -----
    Clauses REP-06, REP-07. Source: ``torch.nn.utils.prune.remove``.
    """
    module, name = locate(module, name)
    keyed_hook, in_place = find_hook(module, name), storage().record_of(module, name)
    if in_place is not None:
        in_place.end()
        return module
    if keyed_hook is None:
        raise NotPrunedError(
            f"Parameter {name!r} of module {type(module).__name__} has to be pruned before pruning "
            "can be removed. Rule: remove takes the module and the name that were pruned [REP-07]."
        )
    key, hook = keyed_hook
    storage().refuse_unsharded(read(module, name))
    with all_or_nothing([module]):
        hook.remove(module)
        del module._forward_pre_hooks[key]
    return module
