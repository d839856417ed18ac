"""Which parameters of a model are meant, and what they are called.

Clauses: TIE-04, SCORE-03, SCORE-08.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from multiprune.errors import ParametersTypeError
from multiprune.patterns import as_patterns, is_selected
from multiprune_torch.models.names import every_path, named_modules, pruning_hooks
from multiprune_torch.request.refusals import check_model

__all__ = ["select"]


def select(
    model: nn.Module,
    *,
    types: type[nn.Module] | tuple[type[nn.Module], ...] = nn.Module,
    include: str | Iterable[str] = "*",
    exclude: str | Iterable[str] = (),
    where: Callable[[str, torch.Tensor], bool] | None = None,
) -> list[tuple[nn.Module, str]]:
    """List the parameters of a model that are worth pruning, as (module, name) pairs.

    Floating parameters of two and more dimensions are; biases and norms are not.

    Parameters
    ----------
    model : nn.Module
    types : type or tuple of types
        Only parameters of modules of these types, for example ``(nn.Linear, nn.Conv2d)``.
    include, exclude : str or iterable of str
        Shell patterns over full names, for example ``"encoder.*.weight"``.
    where : callable, optional
        ``where(full_name, parameter)`` has the last word, over the number of dimensions, too.

    Returns
    -------
    list of (nn.Module, str)
        In the code-point order of full names (TIE-04), whatever is pruned already included. A
        parameter that several modules share is listed with each of them; of a module that has
        several names, each may include or exclude.
    """
    check_model(model)
    kinds = _as_types(types)
    include, exclude = as_patterns(include, "include"), as_patterns(exclude, "exclude")
    if where is not None and not callable(where):
        raise ParametersTypeError(
            f"where={where!r} was given. Rule: where is a function of a full name and a parameter "
            "[ERR-05]. Write where=lambda name, parameter: ..., or patterns by include and exclude."
        )
    selected = {}
    inside = {
        part
        for module in model.modules()
        if isinstance(module, ParametrizationList)
        for part in module.modules()
    }  # parts of a weight, not weights: a pruned norm divides by zero
    paths = every_path(model)
    for path, module in named_modules(model):
        if not isinstance(module, kinds) or module in inside:
            continue
        hooked = {h._tensor_name for h in pruning_hooks(module)}
        parts = _parts_of_weight_norm(module)
        for stored, parameter in module._parameters.items():
            name = stored.removesuffix("_orig")
            name = name if name in hooked else stored
            full = f"{path}.{name}" if path else name
            if parameter is None or name in parts or not parameter.is_floating_point():
                continue
            names = [f"{each}.{name}" if each else name for each in paths[module]]
            if not any(is_selected(each, include, ()) for each in names):
                continue
            if not all(is_selected(each, ("*",), exclude) for each in names):
                continue
            # A lazy one has no dimensions yet; pruning it raises an error.
            if is_lazy(parameter) or (where(full, parameter) if where else parameter.dim() >= 2):
                selected[full] = (module, name)
    return [selected[full] for full in sorted(selected)]


def _parts_of_weight_norm(module: nn.Module) -> set[str]:
    """Return the parameters that ``torch.nn.utils.weight_norm`` or ``spectral_norm`` compute of."""
    hooks = module._forward_pre_hooks.values()
    names = [h.name for h in hooks if isinstance(h, WeightNorm | SpectralNorm)]
    return {f"{name}{part}" for name in names for part in ("_g", "_v", "_orig")}


def _as_types(types: Any) -> tuple[type[nn.Module], ...]:
    kinds = (types,) if isinstance(types, type) else types
    if not isinstance(kinds, tuple | list) or not all(isinstance(kind, type) for kind in kinds):
        raise ParametersTypeError(
            f"types={types!r} was given. Rule: types is a class of modules, or several [ERR-05]. "
            "Write types=torch.nn.Linear, or types=(torch.nn.Linear, torch.nn.Conv2d)."
        )
    return tuple(kinds)
