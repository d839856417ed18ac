"""The code path of an accelerator, on tensors of the CPU: its engine, with keys of torch.

What CUDA adds are its kernels; those are tried by ``tests/device``, where there is a GPU.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module

import multiprune_torch.device.blocks as blocks
import multiprune_torch.device.engine as engine
import multiprune_torch.device.sample as sample
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from multiprune_conformance import oracle
from multiprune_torch import prune
from strategies import AMOUNTS, FLOATS, dtype, problems
from torch import nn
from torch_cases import agree, same_bits, tensor_of, tensors_of

import multiprune

room = import_module("multiprune_torch.backend")  # the package has its backend by that name


@contextmanager
def as_on_a_device(block):
    """Give CPU tensors to the engine of an accelerator, in blocks of this size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_is_on_one_accelerator", lambda tensors: True)
        patch.setattr(blocks, "_BYTES", 8 * block)
        patch.setattr(blocks, "_MIXED", max(block // 2, 1))
        patch.setattr(engine, "_SMALL", block)
        patch.setattr(room, "_LARGE", {"row": 4 * block, "group": 4 * block})
        yield


@given(
    problem=problems(),
    amount=AMOUNTS,
    signed=st.booleans(),
    block=st.sampled_from([1, 7, 64, 1 << 22]),
)
def test_masks_equal_the_oracle(problem, amount, signed, block):
    tensors, masks = tensors_of(problem)
    common = oracle.promote([a.dtype.name for a in problem[0]])
    assume(dtype(common).itemsize < 8 or (common == "float64" and not signed))

    def run():
        with as_on_a_device(block):
            return multiprune.global_unstructured(
                tensors, amount=amount, masks=masks, signed=signed
            ).masks

    agree(
        run,
        lambda: oracle.global_unstructured(
            problem[0], amount=amount, masks=problem[1], signed=signed
        ),
    )


def outcome(call):
    """What a call answers, or how it refuses."""
    try:
        return call()
    except multiprune.errors.MultipruneError as error:
        return type(error).__name__, str(error)


QUESTIONS = [
    {"scope": "tensor", "amount": 0.4},
    {"scope": "tensor", "amount": 0.95},
    {"amount": 0.95},
    {"scope": "row", "amount": 0.4},
    {"scope": "row", "dim": 1, "sparsity": 0.7},
    {"scope": (2, 4)},
    {"scope": (1, 2), "dim": 0},
    {"scope": (5, 12)},
    {"scope": {"[02]": "even", "*": "odd"}, "amount": 7},
    {"amount": 0.8, "keep_at_least": 0.5},
    {"amount": 0.5, "prune_at_most": 0.55, "prune_at_least": {"0": 10}},
    {"amount": 0.5, "allocation": "erk"},
    {"amount": 0.3, "method": multiprune.RandomUnstructured, "seed": 11},
    {"scope": "row", "amount": 3, "method": multiprune.RandomUnstructured, "seed": 1},
]


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
@pytest.mark.parametrize("values", ["random", "ties", "special"])
@pytest.mark.parametrize("block", [16, 1 << 22])
def test_pools_and_bounds_equal_those_of_the_cpu(question, values, block):
    rng = np.random.default_rng(5)
    shapes = [(8, 12), (4, 24), (12, 12, 4), (2, 12)]
    for name in FLOATS:
        drawn = [rng.standard_normal(s) for s in shapes]
        if values == "ties":
            drawn = [rng.integers(-2, 3, s).astype(float) for s in shapes]
        elif values == "special":
            odd = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, 5e-324, 6e-8, 1.0]
            drawn = [rng.choice(odd, s) for s in shapes]
        with np.errstate(over="ignore"):
            tensors = [tensor_of(a.astype(dtype(name))) for a in drawn]
        for kept in (None, 0.7):
            masks = [
                None if kept is None else torch.from_numpy(rng.random(s) < kept) for s in shapes
            ]

            def run(tensors=tensors, masks=masks):
                done = multiprune.global_unstructured(tensors, masks=masks, **question)
                return [m.tolist() for m in done.masks], str(done.report)

            expected = outcome(run)
            with as_on_a_device(block):
                assert outcome(run) == expected


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("mask_dtype", [None, torch.bool, torch.uint8, torch.float8_e5m2])
def test_the_drop_in_prunes_twice_as_on_the_cpu(kind, mask_dtype):
    def rounds():
        generator = torch.Generator().manual_seed(1)
        model = nn.Sequential(nn.Linear(40, 30), nn.Linear(30, 20), nn.Conv2d(4, 6, 3)).to(kind)
        for parameter in model.parameters():
            values = torch.randn(parameter.shape, generator=generator)
            parameter.data.copy_((4 * values).round() / 4 if kind.itemsize == 2 else values)
        with torch.no_grad():
            model[0].weight[0, :3] = torch.tensor([torch.nan, torch.inf, -0.0])
        model[2].weight.data = model[2].weight.data.contiguous(memory_format=torch.channels_last)
        pairs = [(m, "weight") for m in model]
        wanted = {} if mask_dtype is None else {"mask_dtype": mask_dtype}
        for options in ({"amount": 0.3}, {"amount": 0.4, "keep_at_least": 0.35}):
            prune.global_unstructured(
                pairs, pruning_method=prune.L1Unstructured, **options, **wanted
            )
        return [t for m in model for t in (m.weight_mask, m.weight)]

    expected = rounds()
    with as_on_a_device(128):
        found = rounds()
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.stride() == theirs.stride()
        assert same_bits(mine.float(), theirs.float())


def test_large_tensors_in_few_passes():
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(n, generator=generator).bfloat16() for n in (350_000, 5001, 1)]
    tensors.append(torch.zeros(300, 500))
    masks = [torch.rand(t.shape, generator=generator) < 0.6 for t in tensors]
    for kind in (torch.bfloat16, torch.float32, torch.float64):
        cast = [t.to(kind) for t in tensors]
        expected = multiprune.global_unstructured(cast, amount=0.6, masks=masks)
        with as_on_a_device(1 << 16):
            found = multiprune.global_unstructured(cast, amount=0.6, masks=masks)
        assert str(found.report) == str(expected.report)
        assert all(map(torch.equal, found.masks, expected.masks))


SHAPES_OF_VALUES = {
    "normal": lambda x: x,
    "sorted": lambda x: x.sort().values,
    "few values": lambda x: (2 * x).round(),
    "two values": lambda x: x.sign(),
    "constant": torch.ones_like,
    "NaN": lambda x: torch.full_like(x, torch.nan),
    "half NaN": lambda x: torch.where(x > 0, torch.nan, x),
    "outliers": lambda x: torch.where(torch.arange(x.numel()) % 40 == 0, 1e30, x),
    "infinite": lambda x: torch.where(x > 1, torch.inf, 0 * x),
    "wide": lambda x: torch.exp(30 * x),
}


@pytest.mark.parametrize("values", SHAPES_OF_VALUES)
@pytest.mark.parametrize(
    ("size", "most"), [(1 << 11, 1 << 9), (1 << 9, 1 << 4), (1 << 11, 1 << 14)]
)
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32, torch.float64])
def test_a_sample_changes_no_mask(values, size, most, kind, monkeypatch):
    """Collected, or counted in one or two passes, or missed by the sample: the same entries."""
    monkeypatch.setattr(sample, "_SAMPLE", size)
    monkeypatch.setattr(sample, "_MOST", most)
    monkeypatch.setattr(sample, "_BINS", 50)
    monkeypatch.setattr(engine, "LEAST", 1)
    generator = torch.Generator().manual_seed(0)
    tensors = [
        SHAPES_OF_VALUES[values](torch.randn(n, generator=generator)).to(kind)
        for n in (20_011, 7, 9_000, 0)
    ]
    masks = [torch.rand(t.shape, generator=generator) < 0.7 for t in tensors]
    for priors in (None, masks, [masks[0], None, None, None]):
        for amount in (0, 1, 0.001, 0.3, 0.8, 0.999, 1.0):
            expected = multiprune.global_unstructured(tensors, amount=amount, masks=priors)
            with as_on_a_device(1 << 11):
                found = multiprune.global_unstructured(tensors, amount=amount, masks=priors)
            assert str(found.report) == str(expected.report)
            assert found.report.to_json() == expected.report.to_json()
            assert all(map(torch.equal, found.masks, expected.masks))
