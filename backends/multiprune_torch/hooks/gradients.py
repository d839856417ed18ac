"""A hook on the gradient of a parameter, whether it is trained now or not.

Clauses: DEV-54, SHARD-06.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

__all__ = ["hook_gradient"]


def hook_gradient(parameter: nn.Parameter, hook: Callable[[torch.Tensor], None]) -> Any:
    """Run a hook once a gradient is accumulated, of one that is not trained yet, too.

    Returns
    -------
    A handle to remove it by; None where there are no gradients.
    """
    if not (parameter.is_floating_point() or parameter.is_complex()):
        return None
    trained = parameter.requires_grad
    try:
        parameter.requires_grad_(True)
        return parameter.register_post_accumulate_grad_hook(hook)
    finally:
        parameter.requires_grad_(trained)
