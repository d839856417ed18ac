"""Zeros that stay zero in training, without reparametrization.

Gradients of frozen entries are masked as soon as they are accumulated, so clipping sees the right
norm; and after each step of any optimizer the entries are zero again, whatever momentum, Adam or
weight decay did. Nothing has to be remembered in the training loop.
Clause: DEV-54.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from multiprune_torch.distributed.fsdp import reshard
from multiprune_torch.distributed.layout import zero
from multiprune_torch.hooks.gradients import hook_gradient
from multiprune_torch.hooks.reparametrization import all_or_nothing
from multiprune_torch.models.ends import remove_all
from multiprune_torch.models.names import full_names, pruned_places
from multiprune_torch.models.select import select
from multiprune_torch.request.pruned import masked_gradient
from multiprune_torch.request.refusals import check_dense

__all__ = ["Frozen", "freeze"]

_keepers: WeakValueDictionary[int, _Keeper] = WeakValueDictionary()
"""By the id of each frozen parameter. Not kept in it, for pickles would carry it, nor by weak
references to it, which forbid ``.float()`` of a DTensor."""

_watching: list[Any] = []


class _Keeper:
    """What keeps the zeros of one parameter: the places of each `freeze` that is not released."""

    def __init__(self, parameter: nn.Parameter) -> None:
        self.zeros: dict[Frozen, torch.Tensor] = {}
        self.handle = hook_gradient(parameter, self.mask_gradient)
        _keepers[id(parameter)] = self

    def mask_gradient(self, parameter: torch.Tensor) -> None:
        if parameter.grad is not None and parameter.grad.is_sparse:
            for zeros in self.zeros.values():
                parameter.grad = masked_gradient(parameter.grad, ~zeros)
        elif parameter.grad is not None:
            self.fill(parameter.grad)

    def fill(self, tensor: torch.Tensor) -> None:
        for frozen, zeros in self.zeros.items():
            if zeros.device != tensor.device:  # the model was moved
                self.zeros[frozen] = zeros.to(tensor.device)
            zero(tensor, self.zeros[frozen])

    def release(self, frozen: Frozen) -> None:
        self.zeros.pop(frozen, None)
        if not self.zeros and self.handle is not None:
            self.handle.remove()


def _keeper_of(parameter: torch.Tensor) -> _Keeper | None:
    """Return what keeps a parameter's zeros: its own hook says so, for an id may come again."""
    keeper = _keepers.get(id(parameter))
    if keeper is None or keeper.handle is None:
        return None
    hooks: Any = getattr(parameter, "_post_accumulate_grad_hooks", None) or {}
    return keeper if hooks.get(keeper.handle.id) == keeper.mask_gradient else None


class Frozen:
    """What `freeze` holds; `release` lets it go."""

    def __init__(self) -> None:
        self._frozen: dict[str, _Keeper] = {}

    @property
    def names(self) -> list[str]:
        """The full names of the parameters that are frozen now."""
        return list(self._frozen)

    def release(self) -> None:
        """Let the zeros train again."""
        for keeper in self._frozen.values():
            keeper.release(self)
        self._frozen = {}

    def __repr__(self) -> str:
        return f"Frozen({len(self._frozen)} parameters)"


def freeze(model: nn.Module, **selection: Any) -> Frozen:
    """Keep the zeros of a model zero in further training, without masks in the model.

    Prunings are made permanent first. Then every entry that is zero in the pruned or selected
    parameters stays zero, under any optimizer, weight decay, gradient clipping and AMP. After any
    error the model is as it was.

    Parameters
    ----------
    model : nn.Module
    **selection
        Which parameters, as in `select`; those that were pruned are always among them.

    Returns
    -------
    Frozen
        Its `release` lets the zeros train again. A copy of the model, deep or pickled, is not
        frozen, nor are parameters that ``load_state_dict(assign=True)`` puts in: freeze them, too.

    Examples
    --------
    >>> from multiprune_torch import prune
    >>> layer = prune.l1_unstructured(nn.Linear(4, 5), "weight", amount=0.8)
    >>> frozen = freeze(layer)
    >>> optimizer = torch.optim.AdamW(layer.parameters())
    >>> layer(torch.ones(1, 4)).sum().backward()
    >>> optimizer.step()
    >>> int((layer.weight == 0).sum())
    16
    """
    reshard(model)
    chosen = {(id(p.module), p.name): (p.module, p.name) for _, p in pruned_places(model)}
    chosen |= {(id(m), n): (m, n) for m, n in select(model, **selection)}
    pairs, frozen = list(chosen.values()), Frozen()
    for module, name in pairs:
        parameter = dict(module._parameters.items()).get(name)
        if parameter is not None:
            check_dense(module, name, parameter)
    try:
        with all_or_nothing(model.modules()):
            remove_all(model)
            for full, (module, name) in zip(full_names(model, pairs), pairs, strict=True):
                parameter = module._parameters[name]
                assert parameter is not None
                keeper = _keeper_of(parameter) or _Keeper(parameter)
                frozen._frozen[full] = keeper
                with torch.inference_mode(False):
                    keeper.zeros[frozen] = parameter.detach() == 0
            if not _watching:
                _watching.append(register_optimizer_step_post_hook(_zero_again))
    except BaseException:
        frozen.release()
        raise
    return frozen


@torch.no_grad()
def _zero_again(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Run after each step of each optimizer; of parameters not frozen it looks up one id."""
    for group in optimizer.param_groups if _keepers else ():
        for parameter in group["params"]:
            keeper = _keeper_of(parameter)
            if keeper is not None:
                keeper.fill(parameter)
