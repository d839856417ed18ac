"""Many parameters pruned together, by torch's name for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from multiprune.question import AllocationLike, BoundLike, ScopeLike
from multiprune_torch.models.global_pruning import prune_globally

__all__ = ["global_unstructured"]


def global_unstructured(
    parameters: Iterable[tuple[nn.Module, str]],
    pruning_method: type[torch_prune.BasePruningMethod],
    importance_scores: Mapping[Any, torch.Tensor] | None = None,
    *,
    amount: float | None = None,
    sparsity: float | None = None,
    seed: int | None = None,
    scope: ScopeLike = "global",
    dim: int | None = None,
    keep_at_least: BoundLike = None,
    prune_at_most: BoundLike = None,
    prune_at_least: BoundLike = None,
    allocation: AllocationLike = None,
    mask_dtype: torch.dtype | None = None,
    keep_dense: bool = False,
    process_group: Any = None,
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
    amount : int or float
        An int counts entries, a float in [0, 1] is a fraction of those still unpruned.
    sparsity : float, optional
        Target fraction of all entries, instead of `amount`.
    seed : int, optional
        For `RandomUnstructured`: the same mask on every framework. Without it
        ``torch.manual_seed`` decides.
    scope, dim, keep_at_least, prune_at_most, prune_at_least, allocation
        Among which entries, and within which bounds; see `multiprune.global_unstructured`.
    mask_dtype : torch.dtype, optional
        Of `name_mask`; the parameter's own by default.
    keep_dense : bool
        For sharded models: keep in the memory of the CPU what is pruned in place, for `undo`.
    process_group : torch.distributed.ProcessGroup, optional
        That holds sharded parameters; all processes by default.
    **kwargs
        Further ones of a method of your own.

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
    >>> from multiprune_torch.prune import L1Unstructured
    >>> net = nn.Sequential(OrderedDict([("first", nn.Linear(10, 4)), ("second", nn.Linear(4, 1))]))
    >>> pairs = ((net.first, "weight"), (net.second, "weight"))
    >>> global_unstructured(pairs, pruning_method=L1Unstructured, amount=10)
    >>> print(sum(torch.nn.utils.parameters_to_vector(net.buffers()) == 0))
    tensor(10)
    """
    prune_globally(
        parameters,
        pruning_method,
        importance_scores,
        amount=amount,
        sparsity=sparsity,
        seed=seed,
        scope=scope,
        dim=dim,
        keep_at_least=keep_at_least,
        prune_at_most=prune_at_most,
        prune_at_least=prune_at_least,
        allocation=allocation,
        mask_dtype=mask_dtype,
        keep_dense=keep_dense,
        process_group=process_group,
        **kwargs,
    )
