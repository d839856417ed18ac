"""The drop-in namespace: the names of ``torch.nn.utils.prune``, and those of whole models.

``from multiprune_torch import prune`` replaces ``from torch.nn.utils import prune``.
"""

from __future__ import annotations

from multiprune_torch.files.load import apply_masks, load_masks
from multiprune_torch.files.save import save_masks
from multiprune_torch.functions.channels import ln_structured, random_structured
from multiprune_torch.functions.entries import (
    custom_from_mask,
    identity,
    l1_unstructured,
    random_unstructured,
)
from multiprune_torch.functions.many import global_unstructured
from multiprune_torch.functions.removal import is_pruned, remove
from multiprune_torch.hooks.base import BasePruningMethod, PruningContainer
from multiprune_torch.hooks.cached import cached
from multiprune_torch.hooks.methods import (
    CustomFromMask,
    Identity,
    L1Unstructured,
    RandomUnstructured,
)
from multiprune_torch.hooks.structured import LnStructured, RandomStructured
from multiprune_torch.hooks.torch_private import (
    _compute_norm,
    _compute_nparams_toprune,
    _validate_pruning_amount,
    _validate_pruning_amount_init,
    _validate_pruning_dim,
    _validate_structured_pruning,
)
from multiprune_torch.models.ends import remove_all, undo
from multiprune_torch.models.freeze import Frozen, freeze
from multiprune_torch.models.prune_model import prune_model, refresh_model
from multiprune_torch.models.report import report
from multiprune_torch.models.select import select
from multiprune_torch.models.state_dict import load_state_dict

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Frozen",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "_compute_norm",
    "_compute_nparams_toprune",
    "_validate_pruning_amount",
    "_validate_pruning_amount_init",
    "_validate_pruning_dim",
    "_validate_structured_pruning",
    "apply_masks",
    "cached",
    "custom_from_mask",
    "freeze",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "load_masks",
    "load_state_dict",
    "prune_model",
    "random_structured",
    "random_unstructured",
    "refresh_model",
    "remove",
    "remove_all",
    "report",
    "save_masks",
    "select",
    "undo",
]
