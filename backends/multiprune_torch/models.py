"""Room: whole models. What is pruned in a model, and by how much.

Python numbers and names; masks are only counted.
"""

from __future__ import annotations

from torch import nn
from torch.nn.utils import prune as torch_prune

from multiprune.report import Report, TensorReport

__all__ = ["report"]


def report(model: nn.Module) -> Report:
    """Say how much of each pruned parameter of a model is pruned.

    Parameters
    ----------
    model : nn.Module

    Returns
    -------
    Report
        Prints as a table; one row for each pruned parameter, in the order of modules. The
        threshold is not known to a model, so it is None.

    Examples
    --------
    >>> from multiprune_torch import prune
    >>> layer = prune.l1_unstructured(nn.Linear(4, 5), "weight", amount=0.8)
    >>> print(report(layer))
    16 of 20 entries pruned (80.00 %)
    tensor  shape  entries   pruned
    weight  5x4         20  80.00 %  ################....
    """
    rows = []
    for path, module in model.named_modules():
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, torch_prune.BasePruningMethod):
                name = hook._tensor_name
                mask = module._buffers[name + "_mask"]
                assert mask is not None
                kept = int(mask.count_nonzero())
                full = f"{path}.{name}" if path else name
                size = mask.numel()
                rows.append(TensorReport(full, tuple(mask.shape), size, size - kept))
    return Report(rows)
