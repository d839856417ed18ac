"""Random pruning where several processes must agree.

Clause: DEV-57. No collective runs unless a process group is given.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed

from multiprune_torch.request.refusals import warn

__all__ = ["RandomSeedWarning", "resolve_seed"]


class RandomSeedWarning(UserWarning):
    """Processes of a group draw for themselves, so their masks may differ."""


def resolve_seed(seed: int | None, process_group: Any) -> int | None:
    """Return the seed to draw by: the given one, or one that a group agrees on.

    Parameters
    ----------
    seed : int or None
    process_group : torch.distributed.ProcessGroup or None
        Its first rank draws a seed from torch's generator and sends it to the others.

    Returns
    -------
    int or None
        None where torch's own generator decides, on each process for itself.

    Notes
    -----
    Clause DEV-57. Warns where that is so and a group of several processes is initialised.
    """
    if seed is not None:
        return seed
    if process_group is not None:
        drawn: list[Any] = [int(torch.randint(2**62, ()))]
        first = distributed.get_global_rank(process_group, 0)
        distributed.broadcast_object_list(drawn, src=first, group=process_group)
        return int(drawn[0])
    if (
        distributed.is_available()
        and distributed.is_initialized()
        and (distributed.get_world_size() > 1)
    ):
        warn(
            "random pruning draws from torch's generator on each of "
            f"{distributed.get_world_size()} processes, so masks may differ between ranks "
            "[DEV-57]. Pass seed=, or process_group= to let the first rank draw for all.",
            RandomSeedWarning,
        )
    return None
