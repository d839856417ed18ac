"""Room: zeros that stay zero in training, without reparametrization.

Gradients of frozen entries are masked as soon as they are accumulated, so clipping sees the right
norm; and after each step of any optimizer the entries are zero again, whatever momentum, Adam or
weight decay did. Nothing has to be remembered in the training loop.
Clause: DEV-54.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from multiprune_torch.models import pruned_places, remove_all
from multiprune_torch.selection import full_names, select

__all__ = ["Frozen", "freeze"]

_ZEROS = "_multiprune_zeros"
"""Attribute of a frozen parameter: True where it stays zero."""

_watching: list[Any] = []


class Frozen:
    """What `freeze` holds; `release` lets it go.

    Attributes
    ----------
    names : list of str
        The full names of the frozen parameters.
    """

    def __init__(self, frozen: dict[str, tuple[nn.Parameter, Any]]) -> None:
        self._frozen, self.names = frozen, list(frozen)

    def release(self) -> None:
        """Let the zeros train again."""
        for parameter, handle in self._frozen.values():
            handle.remove()
            parameter.__dict__.pop(_ZEROS, None)
        self._frozen = {}

    def __repr__(self) -> str:
        return f"Frozen({len(self._frozen)} parameters)"


def freeze(model: nn.Module, **selection: Any) -> Frozen:
    """Keep the zeros of a model zero in further training, without masks in the model.

    Prunings are made permanent first. Then every entry that is zero in the pruned or selected
    parameters stays zero, under any optimizer, weight decay, gradient clipping and AMP.

    Parameters
    ----------
    model : nn.Module
    **selection
        Which parameters, as in `select`; those that were pruned are always among them.

    Returns
    -------
    Frozen
        Its `release` lets the zeros train again. A deep copy of the model is not frozen.

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
    pairs = {(id(p.module), p.name): (p.module, p.name) for _, p in pruned_places(model)}
    pairs |= {(id(m), n): (m, n) for m, n in select(model, **selection)}
    remove_all(model)
    frozen: dict[str, tuple[nn.Parameter, Any]] = {}
    listed = list(pairs.values())
    for full, (module, name) in zip(full_names(model, listed), listed, strict=True):
        parameter = module._parameters[name]
        assert parameter is not None
        setattr(parameter, _ZEROS, parameter.detach() == 0)
        handle = parameter.register_post_accumulate_grad_hook(_mask_gradient)
        frozen[full] = parameter, handle
    if not _watching:
        _watching.append(register_optimizer_step_post_hook(_zero_again))
    return Frozen(frozen)


def _mask_gradient(parameter: torch.Tensor) -> None:
    if parameter.grad is not None:
        parameter.grad.masked_fill_(_zeros(parameter), 0)


def _zero_again(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Run after each step of each optimizer; it looks at one attribute of parameters not frozen."""
    with torch.no_grad():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if _ZEROS in parameter.__dict__:
                    parameter.masked_fill_(_zeros(parameter), 0)


def _zeros(parameter: torch.Tensor) -> torch.Tensor:
    zeros: torch.Tensor = getattr(parameter, _ZEROS)
    if zeros.device != parameter.device:  # the model was moved
        zeros = zeros.to(parameter.device)
        setattr(parameter, _ZEROS, zeros)
    return zeros
