"""One parameter pruned: by its method alone, or over all processes that hold parts of it.

Clauses: SHARD-02, SHARD-05, METH-04. Source: the functions of ``torch.nn.utils.prune`` that take a
module and a name.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from multiprune.errors import PruningTypeError
from multiprune_torch.distributed.given_mask import prune_by_mask
from multiprune_torch.hooks.methods import CustomFromMask
from multiprune_torch.models.global_pruning import OF_ONE, prune_globally, without_defaults
from multiprune_torch.sharding import storage

__all__ = ["prune_parameter"]


def prune_parameter(
    method: Any, module: Any, name: Any, importance_scores: Any = None, **options: Any
) -> nn.Module:
    """Prune one parameter; a sharded one by all processes together.

    Parameters
    ----------
    method : type
        Of ours.
    module : nn.Module
    name : str
    importance_scores : torch.Tensor, optional
    **options
        The method's own, and ``mask_dtype``; of a sharded parameter ``process_group`` and
        ``keep_dense``, too.

    Returns
    -------
    nn.Module
        The module, changed in place.
    """
    options = without_defaults(options, OF_ONE)
    group = options.get("process_group")
    processes = storage(group).processes_of([(module, name)], group, plain=False)
    if processes is None:
        if importance_scores is not None:
            options["importance_scores"] = importance_scores
        method.apply(module, name, **options)
    elif issubclass(method, CustomFromMask):
        prune_by_mask(processes, module, name, **options)
    elif method.PRUNING_TYPE == "structured":
        raise PruningTypeError(
            f"{method.__name__} was asked to prune {name!r} of {type(module).__name__}, which is "
            "sharded. Rule: channels are ranked by norms, and parts of a norm that are added up "
            "over processes round otherwise than in one, so only entries are pruned there "
            "[SHARD-02]. Prune channels before sharding, or pass their mask to custom_from_mask."
        )
    else:
        scores = None if importance_scores is None else {(module, name): importance_scores}
        prune_globally([(module, name)], method, scores, **options)
    module_: nn.Module = module
    return module_
