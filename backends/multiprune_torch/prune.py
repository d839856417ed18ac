"""The drop-in namespace. Names and signatures of ``torch.nn.utils.prune``, nothing else.

``from multiprune_torch import prune`` replaces ``from torch.nn.utils import prune``.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.utils.prune import is_pruned as _is_reparametrized

from multiprune_torch.errors import NotPrunedError
from multiprune_torch.files.load import load_masks
from multiprune_torch.files.save import save_masks
from multiprune_torch.hooks.base import BasePruningMethod, PruningContainer
from multiprune_torch.hooks.methods import (
    CustomFromMask,
    Identity,
    L1Unstructured,
    RandomUnstructured,
)
from multiprune_torch.hooks.reparametrization import all_or_nothing
from multiprune_torch.hooks.structured import LnStructured, RandomStructured
from multiprune_torch.hooks.torch_private import (
    _compute_norm,
    _compute_nparams_toprune,
    _validate_pruning_amount,
    _validate_pruning_amount_init,
    _validate_pruning_dim,
    _validate_structured_pruning,
)
from multiprune_torch.models.freeze import Frozen, freeze
from multiprune_torch.models.global_pruning import prune_globally
from multiprune_torch.models.one_parameter import prune_parameter
from multiprune_torch.models.report import report
from multiprune_torch.models.select import held_names, select
from multiprune_torch.models.state_dict import load_state_dict
from multiprune_torch.models.verbs import prune_model, refresh_model, remove_all, undo
from multiprune_torch.request.parameters import locate, read
from multiprune_torch.request.pruned import find_hook
from multiprune_torch.sharding import storage

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


def is_pruned(module: nn.Module) -> bool:
    """Whether any parameter of a module, or of a module in it, is pruned.

    Notes
    -----
    In place, too. Source: ``torch.nn.utils.prune.is_pruned``.
    """
    return _is_reparametrized(module) or bool(held_names(module))


def identity(module: nn.Module, name: str, **options: Any) -> nn.Module:
    """Reparametrize a parameter with a mask of ones.

    Parameters
    ----------
    module : nn.Module
    name : str
    **options
        ``mask_dtype``, the dtype of ``name_mask``: the parameter's own by default.

    Returns
    -------
    nn.Module
        The module, changed in place.

    Notes
    -----
    Clauses METH-03, REP-08. Source: ``torch.nn.utils.prune.identity``.
    """
    return prune_parameter(Identity, module, name, **options)


def random_unstructured(
    module: nn.Module, name: str, amount: Any = None, **options: Any
) -> nn.Module:
    """Prune entries of a parameter at random.

    Parameters
    ----------
    module : nn.Module
    name : str
    amount : int or float
        How many entries, or the fraction of those still unpruned.
    **options
        ``sparsity`` (fraction of all entries, instead of `amount`), ``seed`` (the same mask on
        every framework; without it ``torch.manual_seed`` decides), ``mask_dtype``.

    Returns
    -------
    nn.Module
        The module, changed in place.

    Notes
    -----
    Clause RAND-04. Source: ``torch.nn.utils.prune.random_unstructured``.
    """
    return prune_parameter(RandomUnstructured, module, name, amount=amount, **options)


def l1_unstructured(
    module: nn.Module,
    name: str,
    amount: Any = None,
    importance_scores: Any = None,
    **options: Any,
) -> nn.Module:
    """Prune the entries of a parameter that have the smallest magnitude.

    Parameters
    ----------
    module : nn.Module
    name : str
    amount : int or float
        How many entries, or the fraction of those still unpruned.
    importance_scores : torch.Tensor, optional
        Ranked instead of the parameter; same shape.
    **options
        ``sparsity`` (fraction of all entries, instead of `amount`), ``mask_dtype``.

    Returns
    -------
    nn.Module
        The module, changed in place.

    Notes
    -----
    Clauses RANK-02, TIE-01. Source: ``torch.nn.utils.prune.l1_unstructured``.
    """
    return prune_parameter(
        L1Unstructured, module, name, importance_scores, amount=amount, **options
    )


def random_structured(
    module: nn.Module, name: str, amount: Any = None, dim: int = -1, **options: Any
) -> nn.Module:
    """Prune channels of a parameter at random.

    Parameters
    ----------
    module : nn.Module
    name : str
    amount : int or float
        How many channels, or the fraction of those still unpruned.
    dim : int
        The dimension whose indices are the channels.
    **options
        ``sparsity``, ``seed``, ``mask_dtype``, as in `random_unstructured`.

    Returns
    -------
    nn.Module
        The module, changed in place.

    Notes
    -----
    Clauses METH-05 to METH-09, RAND-06. Source: ``torch.nn.utils.prune.random_structured``.
    """
    return prune_parameter(RandomStructured, module, name, amount=amount, dim=dim, **options)


def ln_structured(
    module: nn.Module,
    name: str,
    amount: Any = None,
    n: Any = 2,
    dim: int = -1,
    importance_scores: Any = None,
    **options: Any,
) -> nn.Module:
    """Prune the channels of a parameter that have the smallest norm.

    Parameters
    ----------
    module : nn.Module
    name : str
    amount : int or float
        How many channels, or the fraction of those still unpruned.
    n : int, float, 'fro' or 'nuc'
        Order of the norm, as ``torch.norm`` takes it.
    dim : int
        The dimension whose indices are the channels.
    importance_scores : torch.Tensor, optional
        Ranked instead of the parameter; same shape.
    **options
        ``sparsity``, ``mask_dtype``, as in `l1_unstructured`.

    Returns
    -------
    nn.Module
        The module, changed in place.

    Notes
    -----
    Clauses METH-05 to METH-11. Source: ``torch.nn.utils.prune.ln_structured``.
    """
    return prune_parameter(
        LnStructured, module, name, importance_scores, amount=amount, n=n, dim=dim, **options
    )


def global_unstructured(
    parameters: Any,
    pruning_method: Any,
    importance_scores: dict[tuple[nn.Module, str], Any] | None = None,
    **kwargs: Any,
) -> None:
    """Rank the entries of many parameters together, and prune those that come first.

    Modules are changed in place: each parameter `name` becomes the parameter ``name_orig`` (the
    same object) and the buffer ``name_mask``, and `name` reads as its pruned version.

    Parameters
    ----------
    parameters : iterable of (nn.Module, str)
        What to prune; positions, which decide ties, follow its order.
    pruning_method : type
        A method of PRUNING_TYPE 'unstructured', a user's own included.
    importance_scores : dict, optional
        (module, name) to a tensor of the parameter's shape, ranked instead of it; for every
        parameter of the call.
    **kwargs
        The method's own: ``amount`` (an int counts entries, a float in [0, 1] is a fraction of
        those still unpruned) or ``sparsity`` (fraction of all entries), ``seed``; ``scope``,
        ``dim``, ``keep_at_least``, ``prune_at_most``, ``prune_at_least``, ``allocation`` (among
        which entries, and within which bounds: `multiprune.global_unstructured`); and
        ``mask_dtype``, the dtype of ``name_mask``, the parameter's own by default. For models on
        many processes ``process_group`` (all of them by default where parameters are sharded) and
        ``keep_dense`` (keep what is pruned in place in the memory of the CPU, for `undo`).

    Raises
    ------
    PruningTypeError
        If the method is not 'unstructured' (a TypeError).
    ParametersTypeError, ParametersError, NoParameterError, UnprunableError, NameTakenError
        If a parameter cannot be pruned.
    ScoresTypeError, ScoresError, ScoresShapeError
        If scores do not fit.
    AmountTypeError, AmountError, SparsityError, DtypeError
        If amount or dtypes do not.

    Notes
    -----
    After any error every module is as it was. Clauses RANK, TIE, REP, ERR-01. Source:
    ``torch.nn.utils.prune.global_unstructured``.

    Examples
    --------
    >>> import torch
    >>> from collections import OrderedDict
    >>> net = nn.Sequential(OrderedDict([("first", nn.Linear(10, 4)), ("second", nn.Linear(4, 1))]))
    >>> pairs = ((net.first, "weight"), (net.second, "weight"))
    >>> global_unstructured(pairs, pruning_method=L1Unstructured, amount=10)
    >>> print(sum(torch.nn.utils.parameters_to_vector(net.buffers()) == 0))
    tensor(10)
    """
    prune_globally(parameters, pruning_method, importance_scores, **kwargs)


def custom_from_mask(module: nn.Module, name: str, mask: Any, **options: Any) -> nn.Module:
    """Prune a parameter where a given mask is 0.

    Parameters
    ----------
    module : nn.Module
    name : str
    mask : torch.Tensor
        0 and 1, or booleans, of the parameter's shape.
    **options
        ``mask_dtype``.

    Returns
    -------
    nn.Module
        The module, changed in place.

    Raises
    ------
    MaskError, MaskShapeError
        If the mask does not fit (ValueErrors).

    Notes
    -----
    Clause METH-04. Source: ``torch.nn.utils.prune.custom_from_mask``.
    """
    return prune_parameter(CustomFromMask, module, name, mask=mask, **options)


def remove(module: nn.Module, name: str) -> nn.Module:
    """Make the pruning of a parameter permanent.

    Parameters
    ----------
    module : nn.Module
    name : str

    Returns
    -------
    nn.Module
        The module, changed in place: `name` is the same parameter object again, now with its
        pruned values.

    Raises
    ------
    NotPrunedError
        If it is not pruned (a ValueError).

    Notes
    -----
    Clauses REP-06, REP-07. Source: ``torch.nn.utils.prune.remove``.
    """
    module, name = locate(module, name)
    found, in_place = find_hook(module, name), storage().record_of(module, name)
    if in_place is not None:
        in_place.end()
        return module
    if found is None:
        raise NotPrunedError(
            f"Parameter {name!r} of module {type(module).__name__} has to be pruned before pruning "
            "can be removed. Rule: remove takes the module and the name that were pruned [REP-07]."
        )
    key, hook = found
    storage().refuse_unsharded(read(module, name))
    with all_or_nothing([module]):
        hook.remove(module)
        del module._forward_pre_hooks[key]
    return module
