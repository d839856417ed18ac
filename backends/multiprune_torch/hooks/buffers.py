"""How the pruned value of a parameter is read. Nothing here prunes.

Clauses: REP-03, REP-04, DEV-49, DEV-53, DEV-55, DEV-56.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn

from multiprune_torch.errors import WriteError
from multiprune_torch.request.pruned import find_hook

__all__ = ["PrunedBuffers"]


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
    values_read : dict of str to tuple
        In evaluation, original and mask, their state, the value that was read, and its version.
    """

    def __init__(self, module: nn.Module, buffers: dict[str, Any]) -> None:
        super().__init__(buffers)
        self.module = module
        self.hooks: dict[str, Any] = {}
        self.followers: dict[str, tuple[str, ...]] = {}
        self.values_read: dict[str, tuple[Any, Any, Any, torch.Tensor, int]] = {}

    def __contains__(self, name: object) -> bool:
        # nn.Module asks whether "training" is a buffer only when it is about to set it: train()
        # and eval() let go of values that were read, so writes that torch cannot see are seen.
        if name == "training":
            self.values_read.clear()
        return dict.__contains__(self, name) or name in self.hooks

    def __getitem__(self, name: str) -> Any:
        if name not in self.hooks:
            return dict.__getitem__(self, name)
        if torch.is_grad_enabled() or self.module.training or _is_traced():
            return self.hooks[name].apply_mask(self.module)
        return self._read_again(name)

    def _read_again(self, name: str) -> torch.Tensor:
        """Return the value that was read last, if nothing has changed that torch counts."""
        orig = self.module._parameters[name + "_orig"]
        mask = dict.__getitem__(self, name + "_mask")
        if type(orig) is not nn.Parameter or orig.is_inference() or mask.is_inference():
            value: torch.Tensor = self.hooks[name].apply_mask(self.module)
            return value
        state = [(t._version, t.data_ptr(), t.dtype) for t in (orig, mask)]
        known = self.values_read.get(name)
        # The tensors are held and compared themselves, for an id or an address may come again.
        if known is None or known[0] is not orig or known[1] is not mask or known[2] != state:
            known = None
        if known is None or known[3]._version != known[4]:  # somebody wrote to the value itself
            with torch.inference_mode(False), torch.no_grad():  # good for readers of every mode
                value = self.hooks[name].apply_mask(self.module)
            known = self.values_read[name] = orig, mask, state, value, value._version
        return known[3]

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
        self.values_read = {}
        dict.update(self, buffers)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that are masked."""
        return self.module._parameters

    def twin(self, module: nn.Module) -> PrunedBuffers:
        """Return the same for a shallow copy of the module that has parameters of its own."""
        twin = _empty()
        twin.__setstate__((module, dict(self), dict(self.hooks), dict(self.followers)))
        return twin

    def _handed_over(self, name: str) -> bool:
        """Whether torch's own functions took the pruning over: its hook is no longer ours.

        They assign and delete the name as an attribute. There is nothing to do then, since what
        they would store is what is computed here.
        """
        keyed_hook = find_hook(self.module, name)
        return keyed_hook is None or keyed_hook[1] is not self.hooks[name]


def _empty() -> PrunedBuffers:
    return PrunedBuffers.__new__(PrunedBuffers)


def _is_traced() -> bool:
    """Whether torch.compile or torch.export looks at this: what they trace is not kept."""
    compiler: Any = torch.compiler
    return bool(compiler.is_compiling()) if hasattr(compiler, "is_compiling") else False
