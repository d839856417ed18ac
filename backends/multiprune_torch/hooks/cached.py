"""Values that are computed once, where a context asks for it. Nothing is kept anywhere else.

Clause: DEV-55. Source of the idea: ``torch.nn.utils.parametrize.cached``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch

from multiprune_torch.errors import StaleValueError

__all__ = ["cached", "read_cached"]

_values: ContextVar[_Values | None] = ContextVar("values", default=None)


class _Values(dict[tuple[int, str], "_Value"]):
    """By the id of a module's buffers, which are held beside, and the name of the parameter.

    They say themselves that they have ended: a generator may end them in another thread.
    """

    ended = False


@dataclass(frozen=True)
class _Value:
    """A value that was read, and what it was computed of."""

    buffers: Any
    orig: torch.Tensor
    mask: torch.Tensor
    state: tuple[Any, ...]
    value: torch.Tensor
    version: int


@contextmanager
def cached() -> Iterator[None]:
    """Compute pruned values once while gradients are off; for loops of evaluation.

    Outside of it a pruned value is computed whenever it is read, so that it is never an old one. In
    it the modules of ``torch.nn`` keep in their own forward what they have read, until a change
    that torch counts. Changes that it does not count (fused optimizers, ``.data``, NumPy views,
    other processes) are found at the end, unless they were undone, or a counted one followed.
    Whoever else reads a value gets one of his own.

    Raises
    ------
    StaleValueError
        At the end, if weights, masks or values were changed in such a way (a RuntimeError).

    Notes
    -----
    Clause DEV-55. It holds for the thread, or the task, that entered it. A generator that enters
    it leaves it on for its caller between two values: enter it around the loop instead.

    Examples
    --------
    >>> from torch import nn
    >>> from multiprune_torch import prune
    >>> layer = prune.l1_unstructured(nn.Linear(4, 5), "weight", amount=0.8).eval()
    >>> with torch.no_grad(), cached():
    ...     outputs = [layer(x) for x in torch.ones(3, 2, 4)]
    """
    outer = _values.get()
    if outer is not None and not outer.ended:  # it keeps them
        yield
        return
    values = _Values()
    token = _values.set(values)
    try:
        yield
    finally:
        values.ended = True
        with suppress(ValueError):  # in the context of another thread
            _values.reset(token)
    stale = [name for (_, name), known in values.items() if not _is_current(name, known)]
    if stale:
        raise StaleValueError(
            f"the weights, masks or values of {sorted(set(stale))} were changed inside cached() "
            "in a way that torch does not count. Rule: while values are cached they stay as they "
            "are, for else outputs come of old ones [DEV-55]. Leave cached() before a step of an "
            "optimizer, a merge or a swap of weights."
        )


def read_cached(buffers: Any, name: str) -> torch.Tensor:
    """Return the value of a pruned name: computed, or kept from an earlier reading.

    Parameters
    ----------
    buffers : PrunedBuffers
    name : str
    """
    values = _values.get()
    if values is None or values.ended:
        return buffers.compute(name)  # type: ignore[no-any-return]
    orig = buffers.module._parameters[name + "_orig"]
    mask = dict.__getitem__(buffers, name + "_mask")
    if type(orig) is not torch.nn.Parameter or orig.is_inference() or mask.is_inference():
        return buffers.compute(name)  # type: ignore[no-any-return]
    known, state = values.get((id(buffers), name)), _state(orig, mask)
    if known is None or known.state != state or known.value._version != known.version:
        with torch.inference_mode(False), torch.no_grad():  # good for readers of every mode
            value = buffers.compute(name)
        known = _Value(buffers, orig, mask, state, value, value._version)
        values[id(buffers), name] = known
    return known.value


def _state(orig: torch.Tensor, mask: torch.Tensor) -> tuple[Any, ...]:
    """Return what torch counts; the tensors are held beside, so an id means one of them."""
    return (
        id(orig), orig._version, orig.data_ptr(), orig.dtype,
        id(mask), mask._version, mask.data_ptr(), mask.dtype,
    )  # fmt: skip


@torch.no_grad()
def _is_current(name: str, known: _Value) -> bool:
    """Whether a value is what would be computed now, or torch has counted the change."""
    buffers, orig = known.buffers, known.buffers.parameters.get(name + "_orig")
    if orig is not known.orig or dict.get(buffers, name + "_mask") is not known.mask:
        return True  # pruned again, loaded, or pruned no more
    if known.state != _state(known.orig, known.mask) or known.value._version != known.version:
        return True
    now = buffers.compute(name)
    return torch.equal(_bits(now), _bits(known.value))


def _bits(value: torch.Tensor) -> torch.Tensor:
    if value.is_complex():
        value = torch.view_as_real(value)
    sizes = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return value.view(sizes[value.element_size()])
