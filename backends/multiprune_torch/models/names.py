"""What the parameters of a model are called, pruned ones among them.

Clause: TIE-04.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.utils import prune as torch_prune

from multiprune.errors import ScoresError, ScoresTypeError
from multiprune_torch.distributed.in_place import InPlace
from multiprune_torch.distributed.records import held
from multiprune_torch.request.parameters import WRAPPED, Place, read, stored_in
from multiprune_torch.request.refusals import check_model
from multiprune_torch.sharding import storage

__all__ = [
    "all_pairs",
    "every_path",
    "full_names",
    "held_names",
    "held_places",
    "named_modules",
    "pruned_places",
    "pruning_hooks",
    "scores_by_pair",
]


def named_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Return every module with its path, as the names of a state_dict begin."""
    for path, module in model.named_modules():
        yield ".".join(part for part in path.split(".") if part != WRAPPED), module


def every_path(model: nn.Module) -> dict[nn.Module, list[str]]:
    """Return all paths of each module: one that is held twice is in a state_dict twice."""
    paths: dict[nn.Module, list[str]] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        name = ".".join(part for part in path.split(".") if part != WRAPPED)
        paths.setdefault(module, []).append(name)
    return paths


def all_pairs(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Return every parameter as it is stored, as (module, name) pairs."""
    return [(module, name) for module in model.modules() for name in stored_in(module)]


def pruning_hooks(module: nn.Module) -> list[Any]:
    """Return the hooks by which parameters of a module are pruned, ours and torch's."""
    hooks = module._forward_pre_hooks.values()
    return [h for h in hooks if isinstance(h, torch_prune.BasePruningMethod)]


def full_names(model: nn.Module, pairs: list[tuple[nn.Module, str]]) -> list[str]:
    """Return the full name of each pair in a model."""
    paths = {id(module): path for path, module in named_modules(model)}
    return [f"{paths[id(m)]}.{n}" if paths[id(m)] else n for m, n in pairs]


def pruned_places(model: nn.Module) -> list[tuple[str, Place]]:
    """Return every pruned parameter of a model with its full name, in the order of modules."""
    check_model(model)
    return [
        (
            f"{path}.{hook._tensor_name}" if path else hook._tensor_name,
            read(module, hook._tensor_name, f"{path}.{hook._tensor_name}" if path else ""),
        )
        for path, module in named_modules(model)
        for hook in pruning_hooks(module)
    ]


def held_names(model: nn.Module) -> list[tuple[str, InPlace]]:
    """Return what is pruned in place by every full name that it has, in the order of modules."""
    named = [
        (f"{path}.{name}" if path else name, storage().record_of(module, name))
        for path, module in named_modules(model)
        for name in stored_in(module)
    ]
    return [(full, record) for full, record in named if record is not None]


def held_places(model: nn.Module) -> list[tuple[str, InPlace]]:
    """Return what of a model is pruned in place, with full names, in the order of modules."""
    return [
        (f"{path}.{record.name}" if path else record.name, record)
        for path, module in named_modules(model)
        for record in held(module)
    ]


def scores_by_pair(names: dict[str, tuple[nn.Module, str]], scores: Any) -> dict[Any, Any]:
    """Turn scores by full name into scores by pair."""
    if not isinstance(scores, Mapping):
        raise ScoresTypeError(
            f"importance_scores is a {type(scores).__name__}. Rule: for a whole model its keys are "
            "full names [SCORE-08], for example {'encoder.weight': tensor}."
        )
    unknown = [name for name in scores if name not in names]
    if unknown:
        raise ScoresError(
            f"importance_scores has the keys {unknown}, which are not selected. Rule: its keys are "
            f"the full names of the selected parameters [SCORE-03]: {list(names)}."
        )
    return {names[name]: value for name, value in scores.items()}
