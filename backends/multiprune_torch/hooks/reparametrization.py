"""Where a mask is kept in a module, and how its pruned value is read.

A pruned parameter `name` is held as the parameter `name_orig` (the same object) and the buffer
`name_mask`. The name itself is not a stored tensor: whoever reads ``module.name`` gets the current
original under the current mask, in or out of a forward. `PrunedBuffers` answers for it, since
``nn.Module`` asks its buffers for names that are no attributes; so the module keeps its class, can
be copied and pickled at any time, and holds no tensor that could go stale.
Clauses: REP-01 to REP-10, ERR-01. Source: ``torch.nn.utils.prune.BasePruningMethod``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from multiprune_torch.hooks.buffers import PrunedBuffers, read_weights
from multiprune_torch.request.pruned import find_hook
from multiprune_torch.sharding import storage

__all__ = ["all_or_nothing", "install", "read_again", "refresh", "uninstall"]


def install(module: nn.Module, name: str, mask: torch.Tensor, hook: Any) -> None:
    """Make a parameter pruned by `mask`, or give a pruned one a new mask and hook.

    Notes
    -----
    Clauses REP-01, REP-02, REP-05. Call it under `all_or_nothing`.
    """
    buffers = module._buffers
    if not isinstance(buffers, PrunedBuffers):
        buffers = module.__dict__["_buffers"] = PrunedBuffers(module, buffers)
        module.register_load_state_dict_post_hook(read_again)
    if name in module._parameters:
        order = list(module._parameters)  # in which pruned ones have moved to the end
        after = [n for n in order[order.index(name) + 1 :] if n[:-5] not in buffers.followers]
        after += [n for n, later in buffers.followers.items() if name not in later]
        buffers.followers[name] = tuple(after)
        module._parameters[name + "_orig"] = module._parameters.pop(name)
    module.__dict__.pop(name, None)  # where torch's own hook had put it
    if mask.is_inference():  # nothing that was made in inference mode can be trained: DEV-60
        with torch.inference_mode(False):
            mask = mask.clone()
    dict.__setitem__(buffers, name + "_mask", mask)
    buffers.hooks[name] = hook
    buffers.masks_read[name] = mask, mask._version
    keyed_hook = find_hook(module, name)
    if keyed_hook is None:
        module.register_forward_pre_hook(hook)
    else:
        module._forward_pre_hooks[keyed_hook[0]] = hook  # in its place: the order of hooks is kept
    refresh(module)


def uninstall(module: nn.Module, name: str, value: torch.Tensor) -> None:
    """Give a pruned parameter its name back, with `value` as its data.

    Notes
    -----
    Clauses REP-02, REP-06, DEV-45. The hook is left to the caller, as torch does it.
    """
    buffers = module._buffers
    orig = module._parameters.pop(name + "_orig")
    assert orig is not None
    followers: tuple[str, ...] = ()
    if isinstance(buffers, PrunedBuffers):
        del buffers.hooks[name]
        followers = buffers.followers.pop(name, ())
    module.__dict__.pop(name, None)
    del buffers[name + "_mask"]
    if isinstance(buffers, PrunedBuffers) and not buffers.hooks:
        module.__dict__["_buffers"] = dict(buffers)
        hooks = module._load_state_dict_post_hooks
        for key in [key for key, hook in hooks.items() if hook is read_again]:
            del hooks[key]
    storage().assign(orig, value)
    later = [n for n in module._parameters if n.removesuffix("_orig") in followers]
    module._parameters[name] = orig
    first = list(module._parameters).index(later[0]) if later else None
    if first is not None:
        for other in list(module._parameters)[first:-1]:
            module._parameters[other] = module._parameters.pop(other)
    storage().renamed(module)
    refresh(module)


def read_again(module: nn.Module, *_: Any) -> None:
    """Look again at a module's masks; torch calls it after a state was loaded.

    A loaded mask may hold other values than 0 and 1; such a one multiplies, as in torch.

    Notes
    -----
    Clauses DEV-50, DEV-55, DEV-59.
    """
    buffers = module._buffers
    if isinstance(buffers, PrunedBuffers):
        for name in buffers.hooks:
            buffers.look_at(name)
    refresh(module)


def refresh(module: nn.Module) -> None:
    """Put current values into the list of weights that an RNN passes to its kernel."""
    if isinstance(module, nn.RNNBase):
        read_weights(module)


@contextmanager
def all_or_nothing(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Put every module back as it was, hooks included, if anything is raised inside.

    Notes
    -----
    Clause ERR-01.
    """
    own = [m for m in dict.fromkeys(modules) if not isinstance(m, torch.jit.ScriptModule)]
    before = [(module, _state(module)) for module in own]
    try:
        yield
    except BaseException:
        for module, (attributes, mappings, buffers, values) in before:
            module.__dict__.clear()
            module.__dict__.update(attributes)
            for mapping, items in mappings:
                mapping.clear()
                # Not so for hooks: `dict.update` would leave an OrderedDict without its order.
                plain = dict if isinstance(mapping, PrunedBuffers) else type(mapping)
                plain.update(mapping, items)
            for parameter, value in values:
                parameter.data = value
            if buffers is not None:
                hooks, followers = buffers
                module._buffers.hooks, module._buffers.followers = hooks, followers  # type: ignore[attr-defined]
            storage().renamed(module)
        raise


def _state(module: nn.Module) -> tuple[dict[str, Any], list[tuple[Any, Any]], Any, list[Any]]:
    """Note what pruning may change of a module; tensors are replaced by it, so none is copied."""
    names = ("_parameters", "_buffers", "_forward_pre_hooks", "_load_state_dict_post_hooks")
    mappings = [(module.__dict__[n], list(dict.items(module.__dict__[n]))) for n in names]
    values = [(p, p.data) for p in module._parameters.values() if p is not None and not is_lazy(p)]
    buffers = module._buffers
    if not isinstance(buffers, PrunedBuffers):
        return dict(module.__dict__), mappings, None, values
    owned = dict(buffers.hooks), dict(buffers.followers)
    return dict(module.__dict__), mappings, owned, values
