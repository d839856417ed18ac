"""Laws: neither a device's way of counting nor a layout nor a block size changes a mask."""

from __future__ import annotations

import math
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from multiprune_conformance import oracle
from multiprune_torch.backend import TorchBackend
from multiprune_torch.device.keys import device_keys
from strategies import ALL, AMOUNTS, FLOATS, dtype, problems
from torch_cases import agree, tensor_of, tensors_of

import multiprune
from multiprune.errors import MultipruneError


def _keys_as_on_a_device(self, block, fmt, *, signed):
    block = block.to(getattr(torch, fmt.name))
    return device_keys(block.abs() if fmt.kind == "complex" else block, fmt.real, signed=signed)


@contextmanager
def as_on_a_device():
    """Take the ways that only accelerators take, on CPU tensors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TorchBackend, "keys", _keys_as_on_a_device)
        patch.setattr(TorchBackend, "alive", lambda self, mask: mask == 1)
        yield


@given(problem=problems(), amount=AMOUNTS, signed=st.booleans())
def test_masks_on_a_device_equal_the_oracle(problem, amount, signed):
    tensors, masks = tensors_of(problem)
    common = oracle.promote([a.dtype.name for a in problem[0]])
    assume(dtype(common).itemsize < 8 or (common == "float64" and not signed))

    def run():
        with as_on_a_device():
            return multiprune.global_unstructured(
                tensors, amount=amount, masks=masks, signed=signed
            ).masks

    agree(
        run,
        lambda: oracle.global_unstructured(
            problem[0], amount=amount, masks=problem[1], signed=signed
        ),
    )


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("on_device", [False, True])
def test_nans_of_every_payload_tie_above_infinity(name, on_device):
    rng = np.random.default_rng(0)
    bits = np.dtype(f"u{dtype(name).itemsize}")
    infinity = np.array(np.inf, dtype=dtype(name)).view(bits)
    payloads = rng.integers(1, 64, 40, dtype=bits)
    array = (payloads + infinity).view(dtype(name))
    array[::7] = -np.inf
    with as_on_a_device() if on_device else nullcontext():
        agree(
            lambda: multiprune.global_unstructured([tensor_of(array)], amount=20).masks,
            lambda: oracle.global_unstructured([array], amount=20),
        )


@pytest.mark.parametrize(
    ("name", "signed"), [("int64", False), ("uint64", False), ("float64", True)]
)
def test_what_a_device_cannot_rank_is_refused(name, signed):
    scores = [torch.ones(3, dtype=getattr(torch, name))]
    with as_on_a_device(), pytest.raises(MultipruneError, match="Move the scores to the CPU"):
        multiprune.global_unstructured(scores, amount=1, signed=signed)


@pytest.mark.parametrize("name", [*ALL, "complex64"])
@pytest.mark.parametrize("block_size", [1, 7, 64])
@pytest.mark.parametrize("layout", ["rows", "columns", "channels_last", "stepped", "expanded"])
def test_no_layout_and_no_block_size_changes_a_mask(name, block_size, layout, monkeypatch):
    monkeypatch.setattr(TorchBackend, "block_size", block_size)
    generator = torch.Generator().manual_seed(3)
    shape = (2, 3, 4, 5)
    wide = torch.float64 if name == "complex64" else getattr(torch, name)
    size = math.prod(shape) * wide.itemsize
    dense = torch.randint(256, (size,), generator=generator, dtype=torch.uint8)
    dense = dense.view(getattr(torch, name)).view(shape)
    if layout == "columns":
        dense = dense.permute(3, 1, 0, 2)
    elif layout == "channels_last":
        dense = dense.contiguous(memory_format=torch.channels_last)
    elif layout == "stepped":
        dense = dense[..., ::2]
    elif layout == "expanded":
        dense = dense[:, :1].expand(shape)
    scores = dense.abs() if dense.is_complex() else dense
    bits = scores.contiguous().view(torch.uint8).numpy()
    array = bits.view(np.float32 if name == "complex64" else dtype(name)).reshape(dense.shape)
    agree(
        lambda: multiprune.global_unstructured([dense, dense[0]], amount=0.6).masks,
        lambda: oracle.global_unstructured([array, array[0]], amount=0.6),
    )


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("on_device", [False, True])
def test_large_tensors_of_16_bits_are_pruned_further(kind, on_device):
    """One pass resolves all bits, so marks of pruned entries are as large as keys can be."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(1 << 17, generator=generator).to(kind)
    mask = torch.rand(1 << 17, generator=generator) < 0.6
    with as_on_a_device() if on_device else nullcontext():
        (kept,) = multiprune.global_unstructured([weight], amount=0.5, masks=[mask]).masks
    live = int(mask.sum())
    assert kept.sum() == live - round(0.5 * live)
    assert not (kept & ~mask).any()
    assert weight[kept].abs().min() >= weight[mask & ~kept].abs().max()
