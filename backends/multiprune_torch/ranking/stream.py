"""Torch's own random stream, drawn in blocks, so that a seeded mask is stock torch's.

``torch.manual_seed`` still decides where no seed is passed: on the CPU the draws are those that
torch's ``rand_like`` over all live entries would make, made block by block and replayed for each
counting pass. Equal draws (there are only 2**24 of float32) are decided by a second, independent
draw, never by position.
Clauses: RAND-05, DEV-05. Source: ``torch.nn.utils.prune.RandomUnstructured.compute_mask`` and
``RandomStructured.compute_mask``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from multiprune.column import Column
from multiprune.draws import draws
from multiprune_torch.backend import TorchBackend

__all__ = ["Stream", "channel_draws"]

_MANTISSA = {torch.float32: 24, torch.float64: 53}
"""Bits of a uniform draw: torch makes it an integer of so many bits over a power of two."""


class _InOrder(TorchBackend):
    """A stream has an order, so its blocks are visited one after another."""

    workers = 1


class Stream:
    """Torch's default generator, replayed from its present state.

    Parameters
    ----------
    dtype : torch.dtype
        That of the ranked tensors together; float32 and float64 draw in it, others in float32.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype if dtype in _MANTISSA else torch.float32
        self.state, self.generator = torch.get_rng_state(), torch.Generator()
        self.generator.set_state(self.state)
        self.second = int(torch.randint(2**62, (), generator=self.generator))
        self.backend = _InOrder()
        self.starts = {0: self.state}
        """The state before each tensor, by its offset: a pass may leave tensors out."""

    def columns(
        self, sizes: Sequence[int], masks: Sequence[torch.Tensor | None], pools: Sequence[int]
    ) -> list[Column]:
        """Give random keys to the live entries of tensors of these sizes, under prior masks."""
        offsets = accumulate(sizes, initial=0)
        return [
            self._column(None if mask is None else mask.cpu(), size, offset, pool)
            for size, mask, offset, pool in zip(sizes, masks, offsets, pools, strict=False)
        ]

    def commit(self) -> None:
        """Leave torch's generator where its own pruning would have left it."""
        torch.set_rng_state(self.generator.get_state())

    def _column(self, mask: torch.Tensor | None, size: int, offset: int, pool: int) -> Column:
        backend = self.backend

        def alive(start: int, stop: int) -> npt.NDArray[np.bool_]:
            assert mask is not None
            return np.asarray(backend.alive(backend.flat(mask, start, stop)))

        def keys(start: int, stop: int) -> npt.NDArray[np.uint64]:
            if start == 0:
                state = self.starts.setdefault(offset, self.generator.get_state())
                self.generator.set_state(state)
            if mask is None:
                leading = self._draw(stop - start)
            else:
                live = alive(start, stop)
                leading = np.zeros(stop - start, dtype=np.uint64)
                leading[live] = self._draw(int(live.sum()))
            second: Any = draws(self.second, offset + start, offset + stop, xp=np)
            low = 64 - _MANTISSA[self.dtype]
            keys = (leading << np.uint64(low)) | (second >> np.uint64(max(0, 32 - low)))
            return np.asarray(keys)

        return Column(size, offset, keys, None if mask is None else alive, pool=pool)

    def _draw(self, n: int) -> npt.NDArray[np.uint64]:
        """Draw `n` numbers as integers; the largest draws are pruned first, as in torch's top-k."""
        bits = _MANTISSA[self.dtype]
        numbers = torch.rand(n, generator=self.generator, dtype=self.dtype)
        whole = (numbers.double() * 2.0**bits).to(torch.int64)
        return ((1 << bits) - 1 - whole).numpy().view(np.uint64)


def channel_draws(n: int) -> torch.Tensor:
    """Draw a number for each of `n` channels from torch's generator: the smallest are pruned first.

    Returns
    -------
    torch.Tensor, shape (n,), float64
        torch's float32 draw in the leading 24 bits, a second one below them.
    """
    first = torch.rand(n)
    generator = torch.Generator()
    generator.set_state(torch.get_rng_state())
    return first.double() + torch.rand(n, generator=generator).double() * 2.0**-24
