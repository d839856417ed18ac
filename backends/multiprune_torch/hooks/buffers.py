"""How the pruned value of a parameter is read. Nothing here prunes.

Clauses: REP-03, REP-04, DEV-49, DEV-53, DEV-55, DEV-56.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any
from weakref import ref

import torch
from torch import nn

from multiprune_torch.errors import WriteError
from multiprune_torch.hooks.cached import read_cached
from multiprune_torch.hooks.value import PrunedValue
from multiprune_torch.request.pruned import find_hook, is_binary, version

__all__ = ["PrunedBuffers", "read_weights"]


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
    masks_read : dict of str to (torch.Tensor, int)
        For each pruned name the mask that was looked at last, and its version then.
    due : set of str
        The pruned names that the module's own forward, which has begun, is going to read.
    sparse : bool
        Whether the gradient of what is read now may be sparse.
    """

    def __init__(self, module: nn.Module, buffers: dict[str, Any]) -> None:
        super().__init__(buffers)
        self._belong_to(module)
        self.hooks: dict[str, Any] = {}
        self.followers: dict[str, tuple[str, ...]] = {}
        self.masks_read: dict[str, tuple[Any, int]] = {}
        self.due: set[str] = set()
        self.sparse = False

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or name in self.hooks

    def __getitem__(self, name: str) -> Any:
        if name not in self.hooks:
            return dict.__getitem__(self, name)
        is_own, self.sparse = name in self.due, False
        if _is_traced():
            self.sparse = self.module.__dict__.get("sparse") is True
            return self.hooks[name].apply_mask(self.module)
        if not is_own:
            self.sparse = True
            return _labelled(self.compute(name), self.module, name)
        self.due.remove(name)
        if not torch.is_grad_enabled():
            return read_cached(self, name)
        self.sparse = self.module.__dict__.get("sparse") is True
        return self.compute(name)

    def begin(self, name: str) -> None:
        """Note that the module's own forward begins; what torch's do with a value is known."""
        if self.is_rnn:  # it reads all of its weights before
            self.due.add(name)
            if len(self.due) == len(self.hooks):
                read_weights(self.module)  # type: ignore[arg-type]
        elif self.is_torchs:
            self.due.add(name)

    def compute(self, name: str) -> torch.Tensor:
        """Compute a value. Of a mask that was written to, it looks at what it holds now."""
        value: torch.Tensor = self.hooks[name].apply_mask(self.module)
        return value

    def look_again(self, name: str) -> None:
        """Look at a mask, if torch has counted a write to it since, or it is another one."""
        mask, known = dict.get(self, name + "_mask"), self.masks_read.get(name)
        if mask is None or name not in self.hooks:  # torch's own functions have it now
            return
        if known is None or known[0] is not mask or known[1] != version(mask):
            self.look_at(name)

    def look_at(self, name: str) -> None:
        """Note whether a mask holds other values than 0 and 1, and multiplies: DEV-59."""
        mask = dict.__getitem__(self, name + "_mask")
        if type(mask) is torch.Tensor:
            with _untraced():
                self.hooks[name]._scales = not is_binary(mask)
            self.masks_read[name] = mask, version(mask)

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self.hooks:
            dict.__setitem__(self, name, value)
        elif not self._handed_over(name) and not getattr(value, "is_written", False):
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
        module, buffers, self.hooks, self.followers = state
        self._belong_to(module)
        self.masks_read, self.due, self.sparse = {}, set(), False
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

    def _belong_to(self, module: nn.Module) -> None:
        self.module, self.is_rnn = module, isinstance(module, nn.RNNBase)
        self.is_torchs = type(module).__module__.startswith("torch.nn.modules.")

    def _handed_over(self, name: str) -> bool:
        """Whether torch's own functions took the pruning over: its hook is no longer ours.

        They assign and delete the name as an attribute. There is nothing to do then, since what
        they would store is what is computed here.
        """
        keyed_hook = find_hook(self.module, name)
        return keyed_hook is None or keyed_hook[1] is not self.hooks[name]


def read_weights(module: nn.RNNBase) -> None:
    """Put current values into the list of weights that an RNN passes to its kernel."""
    names = module._flat_weights_names
    module.__dict__["_flat_weights"] = [getattr(module, n, None) for n in names]


def _labelled(value: torch.Tensor, module: nn.Module, name: str) -> torch.Tensor:
    """Let a value know whose it is."""
    if type(value) is torch.Tensor:
        value.__class__ = PrunedValue
        pruned: Any = value
        pruned._home = ref(module), name
        pruned._version_read = version(module._parameters[name + "_orig"])
    return value


def _empty() -> PrunedBuffers:
    return PrunedBuffers.__new__(PrunedBuffers)


@contextmanager
def _untraced() -> Iterator[None]:
    """Look at values, though somebody traces what is computed here."""
    private: Any = torch._C
    state = private._get_tracing_state()
    private._set_tracing_state(None)
    try:
        with private._DisableTorchDispatch(), private._DisableFuncTorch():
            yield
    finally:
        private._set_tracing_state(state)


def _is_traced() -> bool:
    """Whether somebody looks at what is computed here, who wants plain tensors and operations."""
    compiler: Any = torch.compiler
    return bool(
        compiler.is_compiling()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._get_tracing_state() is not None
        or torch._C._len_torch_dispatch_stack()
    )
