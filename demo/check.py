"""Compare masks with those of other implementations, and pass a verdict.

Where several entries have exactly the threshold's magnitude, a definition of pruning that only
says how many go leaves a choice. So there are three verdicts, not two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import prune as stock

import multiprune

Masks = Mapping[str, Tensor]


@dataclass(frozen=True)
class Verdict:
    """How far two sets of masks over the same weights agree.

    Parameters
    ----------
    threshold : float
        The largest magnitude that was pruned.
    ties : int
        Entries whose magnitude is exactly the threshold.
    differing : int
        Mask entries that differ.
    outside : int
        Those of them whose magnitude is not the threshold, plus the difference in the counts:
        nothing but 0 is right.
    """

    threshold: float
    ties: int
    differing: int
    outside: int

    @property
    def agrees(self) -> bool:
        """Whether nothing differs but the choice among ties."""
        return self.outside == 0

    def __str__(self) -> str:
        if self.differing == 0:
            return "identical"
        if self.agrees:
            return f"identical outside the ties ({self.differing:,} differ)"
        return f"DIFFERENT ({self.differing:,} entries, {self.outside:,} outside the ties)"


def judge(weights: Mapping[str, Tensor], ours: Masks, theirs: Masks) -> Verdict:
    """Compare two sets of bool masks, True where an entry is kept.

    Parameters
    ----------
    weights, ours, theirs : mapping of str to Tensor
        Weights and masks under the same names.

    Returns
    -------
    Verdict
    """
    # Taken from our masks, not from the report: the verdict should not rest on what it judges.
    threshold = max(
        (weights[name].abs()[~mask].max() for name, mask in ours.items() if not mask.all()),
        default=torch.tensor(-1.0),
    )
    ties = differing = outside = balance = 0
    for name, mask in ours.items():
        tied = weights[name].abs() == threshold
        differs = mask != theirs[name]
        ties += int(tied.sum())
        differing += int(differs.sum())
        outside += int((differs & ~tied).sum())
        balance += int(mask.sum()) - int(theirs[name].sum())
    return Verdict(float(threshold), ties, differing, outside + abs(balance))


def numpy_masks(weights: Mapping[str, Tensor], amount: float) -> Masks | None:
    """Return the masks of the functional NumPy path, or None where NumPy lacks the dtype."""
    arrays = {name: _array(tensor) for name, tensor in weights.items()}
    if any(array is None for array in arrays.values()):
        return None
    masks = multiprune.global_unstructured(arrays, amount=amount).masks
    return {name: torch.from_numpy(np.asarray(mask)) for name, mask in masks.items()}


def stock_masks(pairs: Mapping[str, tuple[nn.Module, str]], amount: float) -> Masks:
    """Prune with torch's own module and return its masks; the modules stay pruned."""
    stock.global_unstructured(
        list(pairs.values()), pruning_method=stock.L1Unstructured, amount=amount
    )
    return masks_of(pairs)


def masks_of(pairs: Mapping[str, tuple[nn.Module, str]]) -> Masks:
    """Return the masks that pruned modules hold, as bool."""
    return {
        name: module.get_buffer(f"{parameter}_mask") != 0
        for name, (module, parameter) in pairs.items()
    }


def failures(verdicts: Sequence[Verdict | None]) -> int:
    """Count the comparisons that found a difference outside the ties."""
    return sum(verdict is not None and not verdict.agrees for verdict in verdicts)


def _array(tensor: Tensor) -> NDArray[Any] | None:
    if tensor.dtype != torch.bfloat16:
        array: NDArray[Any] = tensor.detach().numpy()
        return array
    try:
        from ml_dtypes import bfloat16  # NumPy itself has no bfloat16
    except ImportError:
        return None
    bits: NDArray[Any] = tensor.detach().view(torch.int16).numpy()
    viewed: NDArray[Any] = bits.view(bfloat16)
    return viewed
