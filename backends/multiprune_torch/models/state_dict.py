"""State_dicts of pruned models, loaded into models that are not, and the other way round.

Clause: DEV-50.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from multiprune_torch.errors import NoParameterError, StateError
from multiprune_torch.hooks.base import commit
from multiprune_torch.hooks.methods import Identity
from multiprune_torch.hooks.reparametrization import all_or_nothing, uninstall
from multiprune_torch.models.names import all_pairs, named_modules, pruned_places
from multiprune_torch.models.state_names import holders_of, reparametrized, tie
from multiprune_torch.request.parameters import read
from multiprune_torch.request.refusals import check_model, show
from multiprune_torch.sharding import storage

__all__ = ["load_state_dict"]


def load_state_dict(
    model: nn.Module, state_dict: Mapping[str, Any], *, assign: bool = False
) -> None:
    """Load a state_dict, pruned or not, into a model, pruned or not.

    What is pruned in the state_dict (``name_orig`` and ``name_mask``, or ``name`` and ``name_mask``
    of a model that was pruned in place) is pruned in the model afterwards, and nothing else is.

    Parameters
    ----------
    model : nn.Module
    state_dict : mapping of str to tensor
        Of this library or of ``torch.nn.utils.prune``. Of names that the model ties, one is enough,
        as safetensors and Hugging Face save them; the others get its values and its mask.
    assign : bool
        Whether the model takes the tensors themselves, with their dtypes and devices, as a model
        on the meta device must. What is tied stays tied.

    Raises
    ------
    StateError
        If names or shapes do not fit (a RuntimeError); the model is as it was then.
    RuntimeError
        Of torch, if a module that reads older names by itself finds others missing; likewise.

    Notes
    -----
    Clause DEV-50. An optimizer knows parameters by their order, and in a pruned module, as in
    torch, originals come last. So make the optimizer before this call if the one that was saved was
    made before its model was pruned; its parameters stay the same objects, without `assign`. Source
    of `assign`: ``torch.nn.Module.load_state_dict``.

    Examples
    --------
    >>> from multiprune_torch import prune
    >>> layer = prune.l1_unstructured(nn.Linear(4, 5), "weight", amount=0.8)
    >>> fresh = nn.Linear(4, 5)
    >>> load_state_dict(fresh, layer.state_dict())
    >>> torch.equal(fresh.weight, layer.weight)
    True
    """
    check_model(model)
    if not isinstance(state_dict, Mapping) or not all(isinstance(key, str) for key in state_dict):
        raise StateError(
            f"the state_dict is {show(state_dict)}. Rule: it maps names to tensors, as "
            "model.state_dict() does [DEV-50]. Of a file pass torch.load(path)."
        )
    if any(storage().is_managed(module, name) for module, name in all_pairs(model)):
        raise StateError(
            "the model is sharded by fully_shard. Rule: its state is loaded by "
            "torch.distributed.checkpoint [DEV-50]. Make its masks first, of ones: "
            "prune.prune_model(model, prune.Identity); then call set_model_state_dict of "
            "torch.distributed.checkpoint.state_dict. Masks alone: prune.apply_masks(model, path)."
        )
    holders = holders_of(model)
    state_dict = reparametrized(holders, state_dict, model.state_dict())
    wanted = {
        key.removesuffix("_mask")
        for key in state_dict
        if key.endswith("_mask") and key.removesuffix("_mask") + "_orig" in state_dict
    }
    present = dict(pruned_places(model))
    with all_or_nothing(model.modules()):
        for full, place in present.items():
            if full not in wanted:
                uninstall(place.module, place.name, place.orig.data)
                hooks = place.module._forward_pre_hooks
                del hooks[next(key for key, hook in hooks.items() if hook is place.hook)]
        for full in sorted(wanted - set(present)):
            try:
                place = read(model, full)
            except NoParameterError:
                continue  # the model has no such module: `_check` names it
            if place.hook is not None:
                continue  # of a module that has two names
            loaded = state_dict[full + "_mask"]
            dtype = loaded.dtype if isinstance(loaded, torch.Tensor) else None
            mask = torch.ones_like(place.orig, dtype=dtype)
            commit(place, mask.detach(), Identity())
        ours = model.state_dict()
        before = {}
        if not _fits(ours, state_dict, assign, _own_ways(model)):
            tensors = [(k, t) for k, t in ours.items() if isinstance(t, torch.Tensor)]
            before = {key: tensor.clone() for key, tensor in tensors}
        try:
            model.load_state_dict(state_dict, assign=assign)
        except BaseException:
            for key, value in before.items():
                ours[key].detach().copy_(value)
            raise
        if assign:
            for each in holders:
                tie(each)


def _own_ways(model: nn.Module) -> tuple[str, ...]:
    """Return the prefixes of modules that read older names by themselves."""
    plain = nn.Module._load_from_state_dict
    return tuple(
        f"{path}." if path else ""
        for path, module in named_modules(model)
        if type(module)._load_from_state_dict is not plain or module._load_state_dict_pre_hooks
    )


def _fits(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], assign: bool, own_ways: tuple[str, ...]
) -> bool:
    """Check names and shapes before any value is copied; some may be modules' own affair."""
    on_meta = [k for k, t in ours.items() if isinstance(t, torch.Tensor) and t.is_meta]
    if on_meta and not assign:
        raise StateError(
            f"{on_meta[0]} of the model is on the meta device. Rule: values are copied to where "
            "the model is, and meta keeps none [DEV-50]. Pass assign=True."
        )
    odd_names = set(ours) ^ set(theirs)
    unread = {name for name in odd_names if not name.startswith(own_ways)}
    missing, unexpected = sorted(unread & set(ours)), sorted(unread & set(theirs))
    both = [(key, ours[key], theirs[key]) for key in sorted(set(ours) & set(theirs))]
    tensors = [each for each in both if isinstance(each[1], torch.Tensor)]  # not extra state
    odd = [f"{key} ({show(value)})" for key, _, value in tensors if not _has_values(value)]
    shapes = [
        f"{key} {tuple(value.shape)} for {tuple(own.shape)}"
        for key, own, value in tensors
        if _has_values(value) and value.shape != own.shape
    ]
    if missing or unexpected or shapes or odd:
        raise StateError(
            f"the state_dict does not fit the model: missing {missing}, unexpected {unexpected}, "
            f"of other shapes {shapes}, no dense tensors {odd}. Rule: but for what is pruned, "
            "names and shapes are the model's [DEV-50]. Build the model as the one that was "
            "saved; of a checkpoint that holds more than the state_dict pass that part."
        )
    return not odd_names


def _has_values(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and not value.is_meta and value.layout == torch.strided
