"""Room: what FSDP2 knows of the parameters that it manages, read and kept true.

FSDP2 puts a parameter into its module by module and name, sharded or whole, and says nowhere public
that it does; the hook that follows a loaded state_dict knows.
"""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["follow_names", "fsdp_state"]


def fsdp_state(module: nn.Module, name: str) -> Any:
    """Return what FSDP2 knows of a parameter that stands in a module by this name; else None."""
    found = (s for s in _states(module) if s._module_info.param_name == name)
    return next(found, None)


def follow_names(module: nn.Module) -> None:
    """Tell FSDP2 by what names its parameters stand in a module now, after they were renamed.

    A model that is pruned before ``fully_shard`` is managed by the name ``name_orig``; it goes back
    to `name` when its pruning ends.
    """
    for state in _states(module):
        ours = (state.sharded_param, getattr(state, "_unsharded_param", None))
        info = state._module_info
        info.param_name = _name_of(module, ours, info.param_name)
        shared = zip(info.shared_modules, info.shared_param_names, strict=True)
        info.shared_param_names[:] = [_name_of(holder, ours, name) for holder, name in shared]


def _name_of(module: nn.Module, parameters: tuple[Any, ...], known: str) -> str:
    standing = module._parameters.items()
    return next(
        (n for n, p in standing if p is not None and any(p is o for o in parameters)), known
    )


def _states(module: nn.Module) -> list[Any]:
    cells = [
        cell.cell_contents
        for hook in getattr(module, "_load_state_dict_post_hooks", {}).values()
        for cell in getattr(hook, "__closure__", None) or ()
    ]
    return [c for c in cells if type(c).__name__ == "FSDPParam" and hasattr(c, "_module_info")]
