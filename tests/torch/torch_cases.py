"""What the torch tests share: tensors, the oracle's word, and snapshots of modules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import multiprune_torch
import numpy as np
import pytest
import torch
from multiprune_conformance import oracle
from torch import nn
from torch.nn.parameter import is_lazy

from multiprune.errors import MultipruneError

HOME = Path(multiprune_torch.__file__).parent


def tensor_of(array):
    """The same bits as a tensor, with the same strides where torch can have them."""
    bits = array.view(f"u{array.dtype.itemsize}")
    if not bits.flags.writeable or min(bits.strides, default=0) < 0:
        bits = bits.copy()
    return torch.from_numpy(bits).view(getattr(torch, array.dtype.name))


def same_bits(left, right):
    """Equal to the bit, signs of zeros too; only payloads of NaN are torch's own affair."""
    if left.is_complex():
        left, right = torch.view_as_real(left), torch.view_as_real(right)
    signed = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[left.element_size()]
    same = left.contiguous().view(signed) == right.contiguous().view(signed)
    if left.is_floating_point():
        same |= left.double().isnan() & right.double().isnan()
    return bool(same.all())


def tensors_of(problem):
    arrays, masks = problem
    return [tensor_of(a) for a in arrays], [
        None if m is None else torch.from_numpy(np.array(m)) for m in masks
    ]


def agree(run, reference):
    """Both answer with the same masks, or both refuse for the same kind of reason."""
    refusal = None
    try:
        with np.errstate(over="ignore"):  # the oracle's integer scalars wrap on purpose
            expected = reference()
    except oracle.Refused as refused:
        refusal = refused.kind
    if refusal is not None:
        with pytest.raises(MultipruneError) as caught:
            run()
        assert caught.value.kind == refusal
        return
    for mask, want in zip(run(), expected, strict=True):
        assert mask.shape == want.shape
        assert np.array_equal(mask.to(torch.int8).numpy().astype(bool), want)


def snapshot(root: nn.Module) -> dict[str, Any]:
    """All that pruning may change in a module tree: names, order, values, identities, hooks."""
    state: dict[str, Any] = {}
    for path, module in root.named_modules():
        tensors = {**module._parameters, **dict(dict.items(module._buffers))}
        tensors = {n: t for n, t in tensors.items() if t is not None}
        dense = {
            n: t
            for n, t in tensors.items()
            if t.layout == torch.strided and not (t.is_meta or is_lazy(t))
        }
        state[path] = (
            type(module),
            list(module._parameters),
            list(dict.keys(module._buffers)),
            list(module._forward_pre_hooks.items()),
            list(module._load_state_dict_post_hooks.values()),
            sorted(set(module.__dict__) - {"_buffers"}),
            {n: (id(t), t.dtype, t.requires_grad) for n, t in tensors.items()},
            {n: t.detach().clone() for n, t in dense.items()},
        )
    return state


@contextmanager
def unchanged(root: nn.Module):
    """Leave a module tree as it was, to the bit, whatever is raised in between."""
    before = snapshot(root)
    yield
    after = snapshot(root)
    assert list(after) == list(before)
    for path in before:
        assert after[path][:-1] == before[path][:-1]
        for name, value in before[path][-1].items():
            assert same_bits(after[path][-1][name], value)


class Struck(BaseException):
    """What no ``except Exception`` may swallow; a keyboard interrupt is such a one."""


def run_struck(call: Callable[[], Any], strike: int) -> list[str]:
    """Call, raise at the library's line number `strike`, and return the rooms of all lines run."""
    rooms: list[str] = []

    def lines(frame: Any, event: str, argument: Any) -> Any:
        if event == "line":
            rooms.append(Path(frame.f_code.co_filename).stem)
            if len(rooms) == strike:
                raise Struck
        return lines

    def calls(frame: Any, event: str, argument: Any) -> Any:
        return lines if frame.f_code.co_filename.startswith(str(HOME)) else None

    before = sys.gettrace()
    sys.settrace(calls)
    try:
        call()
    except Struck:
        pass
    finally:
        sys.settrace(before)
    return rooms
