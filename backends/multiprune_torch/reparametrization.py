"""Room: where a mask is kept in a module, and how its pruned value is read.

A pruned parameter `name` stands as the parameter `name_orig` (the same object) and the buffer
`name_mask`. The name itself is no stored tensor: whoever reads ``module.name`` gets the current
original under the current mask, in or out of a forward. `PrunedBuffers` answers for it, since
``nn.Module`` asks its buffers for names that are no attributes; so the module keeps its class, can
be copied and pickled at any time, and holds no tensor that could go stale.
Clauses: REP-01 to REP-10, ERR-01. Source: ``torch.nn.utils.prune.BasePruningMethod``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from multiprune_torch.errors import WriteError

__all__ = [
    "PrunedBuffers",
    "all_or_nothing",
    "find_hook",
    "install",
    "masked",
    "refresh",
    "uninstall",
]


def masked(orig: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return `orig` where the mask is 1, and +0 where it is 0, differentiably.

    Notes
    -----
    Clause REP-03: chosen, not multiplied, so a pruned NaN or infinity is 0, too.
    """
    if mask.dtype == orig.dtype and orig.is_floating_point() and orig.element_size() > 1:
        # ReLU's backward kernel is this very choice on a mask of the weight's dtype: one pass, and
        # the graph keeps nothing but the mask; `where` would keep a boolean copy of it.
        chosen: torch.Tensor = torch.ops.aten.threshold_backward(orig, mask, 0)
        return chosen
    return torch.where(mask if mask.dtype == torch.bool else mask != 0, orig, 0)


class PrunedBuffers(dict[str, Any]):
    """A module's buffers, which also answer for its pruned names.

    Parameters
    ----------
    module : nn.Module
        Whose buffers these are.
    buffers : dict
        The buffers until now.

    Attributes
    ----------
    hooks : dict of str to BasePruningMethod
        For each pruned name the hook that applies its mask.
    followers : dict of str to tuple of str
        The parameters that came after it, so that `uninstall` can restore the order.
    """

    def __init__(self, module: nn.Module, buffers: dict[str, Any]) -> None:
        super().__init__(buffers)
        self.module = module
        self.hooks: dict[str, Any] = {}
        self.followers: dict[str, tuple[str, ...]] = {}

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or name in self.hooks

    def __getitem__(self, name: str) -> Any:
        if name in self.hooks:
            return self.hooks[name].apply_mask(self.module)
        return dict.__getitem__(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self.hooks:
            dict.__setitem__(self, name, value)
        elif not self._handed_over(name):
            raise WriteError(
                f"{type(self.module).__name__}.{name} was assigned to, but it is pruned. Rule: it "
                f"is computed from {name}_orig and {name}_mask at each reading [REP-04]. Write to "
                f"{name}_orig, or make the pruning permanent first: prune.remove(module, {name!r})."
            )

    def __delitem__(self, name: str) -> None:
        if name not in self.hooks:
            dict.__delitem__(self, name)
        elif self._handed_over(name):
            del self.hooks[name], self.followers[name]
        else:
            raise WriteError(
                f"{type(self.module).__name__}.{name} was deleted or replaced, but it is pruned. "
                f"Rule: a pruned name goes by prune.remove(module, {name!r}) [REP-06]."
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> PrunedBuffers:
        # An RNN's list of weights holds computed ones, which torch refuses to copy.
        for weight in self.module.__dict__.get("_flat_weights") or ():
            if isinstance(weight, torch.Tensor) and not weight.is_leaf:
                memo[id(weight)] = weight.detach().clone()
        twin = memo[id(self)] = _empty()
        twin.__setstate__(deepcopy(self.__reduce__()[2], memo))
        return twin

    def __reduce__(self) -> Any:
        return _empty, (), (self.module, dict(self), self.hooks, self.followers)

    def __setstate__(self, state: Any) -> None:
        self.module, buffers, self.hooks, self.followers = state
        dict.update(self, buffers)

    def _handed_over(self, name: str) -> bool:
        """Whether torch's own functions took the pruning over: its hook is no more ours.

        They assign and delete the name as an attribute. There is nothing to do then, since what
        they would store is what is computed here.
        """
        found = find_hook(self.module, name)
        return found is None or found[1] is not self.hooks[name]


def _empty() -> PrunedBuffers:
    return PrunedBuffers.__new__(PrunedBuffers)


def find_hook(module: nn.Module, name: str) -> tuple[int, Any] | None:
    """Return the key and the hook by which a parameter is pruned, ours or torch's; else None."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, torch_prune.BasePruningMethod) and hook._tensor_name == name:
            return key, hook
    return None


def install(module: nn.Module, name: str, mask: torch.Tensor, hook: Any) -> None:
    """Make a parameter pruned by `mask`, or give a pruned one a new mask and hook.

    Notes
    -----
    Clauses REP-01, REP-02, REP-05. Call it under `all_or_nothing`.
    """
    buffers = module._buffers
    if not isinstance(buffers, PrunedBuffers):
        buffers = module.__dict__["_buffers"] = PrunedBuffers(module, buffers)
    if name in module._parameters:
        order = list(module._parameters)
        buffers.followers[name] = tuple(order[order.index(name) + 1 :])
        module._parameters[name + "_orig"] = module._parameters.pop(name)
    module.__dict__.pop(name, None)  # where torch's own hook had put it
    dict.__setitem__(buffers, name + "_mask", mask)
    buffers.hooks[name] = hook
    found = find_hook(module, name)
    if found is None:
        module.register_forward_pre_hook(hook)
    else:
        module._forward_pre_hooks[found[0]] = hook  # in its place: the order of hooks is kept
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
    orig.data = value
    later = [n for n in module._parameters if n.removesuffix("_orig") in followers]
    module._parameters[name] = orig
    first = list(module._parameters).index(later[0]) if later else None
    if first is not None:
        for other in list(module._parameters)[first:-1]:
            module._parameters[other] = module._parameters.pop(other)
    refresh(module)


def refresh(module: nn.Module) -> None:
    """Put current values into the list of weights that an RNN passes to its kernel."""
    if isinstance(module, nn.RNNBase):
        names = module._flat_weights_names
        module.__dict__["_flat_weights"] = [getattr(module, n, None) for n in names]


@contextmanager
def all_or_nothing(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Put every module back as it was, hooks included, if anything is raised inside.

    Notes
    -----
    Clause ERR-01.
    """
    before = [(module, _state(module)) for module in dict.fromkeys(modules)]
    try:
        yield
    except BaseException:
        for module, (attributes, mappings, buffers) in before:
            module.__dict__.clear()
            module.__dict__.update(attributes)
            for mapping, items in mappings:
                mapping.clear()
                dict.update(mapping, items)
            if buffers is not None:
                hooks, followers = buffers
                module._buffers.hooks, module._buffers.followers = hooks, followers  # type: ignore[attr-defined]
        raise


def _state(module: nn.Module) -> tuple[dict[str, Any], list[tuple[Any, Any]], Any]:
    """Copy what pruning may change of a module; tensors are not copied, for it changes none."""
    names = ("_parameters", "_buffers", "_forward_pre_hooks")
    mappings = [(module.__dict__[n], list(dict.items(module.__dict__[n]))) for n in names]
    buffers = module._buffers
    if not isinstance(buffers, PrunedBuffers):
        return dict(module.__dict__), mappings, None
    return dict(module.__dict__), mappings, (dict(buffers.hooks), dict(buffers.followers))
