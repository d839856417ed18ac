"""Whether replicas are equal, by one checksum each.

Clause SHARD-03.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from multiprune.column import Column
from multiprune_torch.backend import backend

__all__ = ["WORD", "checksum_of"]

WORD = 1 << 64
_MIX = 0x9E37_79B9_7F4A_7C15 - WORD, 0xBF58_476D_1CE4_E5B9 - WORD


def checksum_of(column: Column) -> int:
    """Return a sum that replicas share: of all keys, each mixed with its place and its mask.

    Parameters
    ----------
    column : Column

    Returns
    -------
    int
        64 bits, signed.

    Notes
    -----
    Clause SHARD-03.
    """
    total = 0
    for start in range(0, column.size, backend.block_size):
        stop = min(start + backend.block_size, column.size)
        keys: Any = column.keys(start, stop)
        if isinstance(keys, np.ndarray):
            keys = torch.from_numpy(keys.astype(np.int64))
        mixed = keys.to(torch.int64)
        if column.alive is not None:
            mixed = torch.where(torch.as_tensor(column.alive(start, stop)), mixed, -1)
        places = torch.arange(start, stop, device=mixed.device)
        mixed = (mixed + places * _MIX[0]) * _MIX[1]
        mixed = (mixed ^ (mixed >> 29)) * _MIX[0]
        total += int(mixed.sum())
    return (total + WORD // 2) % WORD - WORD // 2
