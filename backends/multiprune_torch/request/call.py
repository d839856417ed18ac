"""What a pruning was asked for, as one value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from multiprune.question import Question
from multiprune_torch.request.parameters import Place

__all__ = ["Call"]


class Call(NamedTuple):
    """What a pruning was asked for, read and checked.

    Attributes
    ----------
    method : BasePruningMethod
    places : sequence of Place
    scores : sequence of torch.Tensor or None
    dtypes : sequence of torch.dtype
        Of the masks, where they are buffers beside ``name_orig``.
    question : Question, optional
        What the ranking is asked; None where a method computes its masks itself.
    names : sequence of str
        Of the parameters: full names where a model is known, else their places.
    """

    method: Any
    places: Sequence[Place]
    scores: Sequence[torch.Tensor] | None
    dtypes: Sequence[torch.dtype]
    question: Question | None = None
    names: Sequence[str] = ()
