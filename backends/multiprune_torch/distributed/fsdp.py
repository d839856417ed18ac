"""What FSDP2 knows of the parameters that it manages, read and kept true.

FSDP2 puts a parameter into its modules by module and name, sharded or whole, and says nowhere
public that it does; the hook that follows a loaded state_dict knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from multiprune_torch.request.refusals import check_model

__all__ = ["follow_names", "fsdp_state", "places_of", "reshard"]

_shared: WeakKeyDictionary[nn.Module, list[Any]] = WeakKeyDictionary()
"""For each module that was sharded what is known of parameters that several modules share."""


def fsdp_state(module: nn.Module, name: str) -> Any:
    """Return what FSDP2 knows of the parameter of this name in a module; else None."""
    for state in _states(module):
        if state._module_info.param_name == name:
            return state
    for state in _others():
        if (module, name) in places_of(state):
            return state
    return None


def places_of(state: Any) -> list[tuple[nn.Module, str]]:
    """Return the modules that share a parameter, and its name in each."""
    info = state._module_info
    shared = zip(info.shared_modules, info.shared_param_names, strict=True)
    return [(info.module, info.param_name), *shared]


def follow_names(module: nn.Module) -> None:
    """Tell FSDP2 the names of its parameters in a module, after they were renamed.

    A model that is pruned before ``fully_shard`` is managed by the name ``name_orig``; it goes back
    to `name` when its pruning ends.
    """
    for state in (*_states(module), *_others()):
        ours = (state.sharded_param, getattr(state, "_unsharded_param", None))
        info = state._module_info
        info.param_name = _name_of(info.module, ours, info.param_name)
        shared = zip(info.shared_modules, info.shared_param_names, strict=True)
        info.shared_param_names[:] = [_name_of(holder, ours, name) for holder, name in shared]


def reshard(model: nn.Module) -> None:
    """Put the shards of a model back into its modules, where FSDP2 left whole parameters.

    The root's stay whole after a forward without backward. What is needed is gathered again.
    """
    check_model(model)
    for module in model.modules():
        if callable(getattr(module, "unshard", None)) and callable(
            again := getattr(module, "reshard", None)
        ):
            again()


def _name_of(module: nn.Module, parameters: tuple[Any, ...], known: str) -> str:
    standing = module._parameters.items()
    return next(
        (n for n, p in standing if p is not None and any(p is o for o in parameters)), known
    )


def _states(module: nn.Module) -> list[Any]:
    """Return what FSDP2 knows of the parameters that it holds by this very module."""
    cells = [
        cell.cell_contents
        for hook in getattr(module, "_load_state_dict_post_hooks", {}).values()
        for cell in getattr(hook, "__closure__", None) or ()
    ]
    return [c for c in cells if type(c).__name__ == "FSDPParam" and hasattr(c, "_module_info")]


def _others() -> Iterator[Any]:
    """Return what it knows of shared parameters, which it holds by the module that came first."""
    from torch.distributed import _composable_state as composed

    for wrapped in list(getattr(composed, "_module_state_mapping", ())):
        if wrapped not in _shared:
            states = (state for module in wrapped.modules() for state in _states(module))
            _shared[wrapped] = [state for state in states if state._module_info.shared_modules]
        yield from _shared[wrapped]
