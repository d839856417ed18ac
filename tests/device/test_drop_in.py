"""The drop-in on CUDA: the masks of the CPU, its modules' life, and few waits and little memory."""

from __future__ import annotations

import io
import warnings

import pytest
import torch
from multiprune_torch import prune
from torch import nn
from torch_cases import same_bits

import multiprune
from multiprune.errors import MultipruneError

KINDS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
ROUNDS = {
    "global": [{"amount": 0.6}, {"amount": 0.5}],
    "sparsity": [{"sparsity": 0.3}, {"sparsity": 0.9}],
    "tensor": [{"amount": 0.6, "scope": "tensor"}, {"amount": 100, "scope": "tensor"}],
    "row": [{"amount": 0.5, "scope": "row"}, {"amount": 0.3, "scope": "row", "dim": 1}],
    "2:4": [{"scope": (2, 4)}, {"scope": (1, 4)}],
    "along dim 0": [{"scope": (2, 4), "dim": 0}],
    "wide groups": [{"scope": (7, 16)}, {"scope": (1, 2)}],
    "bounds": [{"amount": 0.4, "keep_at_least": 0.1}, {"amount": 0.2, "prune_at_most": 0.9}],
    "forced": [{"amount": 0.5, "prune_at_least": 0.3}],
    "pools": [{"amount": 0.5, "scope": {"0": "a", "*": "b"}}, {"amount": 0.5}],
    "allocation": [{"amount": 0.7, "allocation": "erk"}, {"amount": 0.2, "allocation": "uniform"}],
    "nothing": [{"amount": 0}, {"amount": 0.0}],
    "all": [{"amount": 1.0}, {"amount": 0}],
}
SPECIAL = [torch.nan, -torch.nan, torch.inf, -torch.inf, 0.0, -0.0, 5e-324, 1e-40, -6e-8, 1.0]


def values_of(shape, values, generator):
    drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
    if values == "ties":
        return (2 * drawn).round() / 2
    if values == "special":
        chosen = torch.randint(len(SPECIAL), shape, generator=generator)
        odd = torch.tensor(SPECIAL, dtype=torch.float64)[chosen]
        return torch.where(torch.rand(shape, generator=generator) < 0.3, odd, drawn)
    return drawn


def model_of(kind, values, device):
    generator = torch.Generator().manual_seed(3)
    model = nn.Sequential(nn.Linear(96, 64), nn.Linear(64, 128), nn.Conv2d(16, 32, 4))
    for layer in model:
        drawn = values_of(layer.weight.shape, values, generator)
        layer.weight = nn.Parameter(drawn.to(kind))
    last = model[2].weight
    last.data = last.data.contiguous(memory_format=torch.channels_last)
    return model.to(device)


def pruned(kind, values, device, rounds, **options):
    model = model_of(kind, values, device)
    pairs = [(layer, "weight") for layer in model]
    for asked in rounds:
        prune.global_unstructured(pairs, prune.L1Unstructured, **asked, **options)
    return model


def assert_same(here, there):
    for mine, theirs in zip(there, here, strict=True):
        for name in ("weight_mask", "weight"):
            expected, found = getattr(theirs, name), getattr(mine, name)
            assert found.is_cuda
            assert found.dtype == expected.dtype
            assert found.stride() == expected.stride()
            assert same_bits(found.detach().cpu(), expected.detach())


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("values", ["random", "ties", "special"])
@pytest.mark.parametrize("rounds", ROUNDS.values(), ids=ROUNDS)
def test_masks_equal_those_of_the_cpu(kind, values, rounds):
    def outcome(device):
        try:
            return pruned(kind, values, device, rounds)
        except MultipruneError as error:
            return type(error).__name__, str(error)

    here, there = outcome("cpu"), outcome("cuda")
    if isinstance(here, tuple):
        assert there == here
    else:
        assert_same(here, there)


@pytest.mark.parametrize("mask_dtype", [torch.bool, torch.uint8, torch.bfloat16, torch.float64])
def test_masks_have_the_dtype_that_is_asked_for(mask_dtype):
    rounds = ROUNDS["global"]
    options = {"mask_dtype": mask_dtype}
    here, there = (pruned(torch.float32, "ties", d, rounds, **options) for d in ("cpu", "cuda"))
    assert_same(here, there)


@pytest.mark.parametrize(
    "kind",
    [torch.float8_e4m3fn, torch.float8_e5m2, torch.int8, torch.uint8, torch.int32, torch.complex64],
    ids=str,
)
@pytest.mark.parametrize("options", [{}, {"signed": True}, {"scope": "row"}], ids=str)
def test_scores_of_other_dtypes_rank_as_on_the_cpu(kind, options):
    generator = torch.Generator().manual_seed(0)
    size = 64 * 48 * kind.itemsize
    raw = torch.randint(256, (size,), generator=generator, dtype=torch.uint8)
    # The parts of complex numbers are plain, so that both devices round a modulus alike.
    scores = raw.view(kind).view(64, 48)
    if kind.is_complex:
        scores = torch.complex(3 * torch.ones(64, 48), torch.randint(2, (64, 48)) * 4.0)
    mask = torch.rand(64, 48, generator=generator) < 0.7
    if kind.is_complex and options.get("signed"):
        pytest.skip("complex numbers have no order")
    for masks in (None, [mask]):
        expected = multiprune.global_unstructured([scores], amount=0.4, masks=masks, **options)
        there = None if masks is None else [mask.cuda()]
        found = multiprune.global_unstructured([scores.cuda()], amount=0.4, masks=there, **options)
        assert torch.equal(found.masks[0].cpu(), expected.masks[0])
        assert str(found.report) == str(expected.report)


@pytest.mark.parametrize("scope", ["global", "tensor", "row"])
def test_a_seed_draws_the_same_masks(scope):
    options = {"seed": 5, "amount": 0.4, "scope": scope}
    for masks in (False, True):
        outcomes = []
        for device in ("cpu", "cuda"):
            shapes = [(300, 40), (17, 9)]
            tensors = [torch.ones(s, device=device) for s in shapes]
            prior = [t.cumsum(1) % 3 != 0 for t in tensors] if masks else None
            method = multiprune.RandomUnstructured
            done = multiprune.global_unstructured(tensors, method, masks=prior, **options)
            outcomes.append([m.tolist() for m in done.masks])
        assert outcomes[0] == outcomes[1]


def test_torchs_own_stream_draws_the_same_masks():
    outcomes = []
    for device in ("cpu", "cuda"):
        model = model_of(torch.float32, "random", device)
        pairs = [(layer, "weight") for layer in model]
        torch.manual_seed(8)
        for _ in range(2):
            prune.global_unstructured(pairs, prune.RandomUnstructured, amount=0.4)
        outcomes.append([layer.weight_mask.cpu() for layer in model])
    assert all(map(torch.equal, *outcomes))


@pytest.mark.parametrize("deterministic", [False, True])
def test_large_tensors_are_counted_in_blocks(deterministic):
    generator = torch.Generator().manual_seed(1)
    tensors = [torch.randn(n, generator=generator) for n in (9_000_001, 100, 5_000_000)]
    torch.use_deterministic_algorithms(deterministic)
    try:
        for kind in (torch.float32, torch.bfloat16):
            here = [t.to(kind) for t in tensors]
            there = [t.cuda() for t in here]
            expected = multiprune.global_unstructured(here, amount=0.8)
            found = multiprune.global_unstructured(there, amount=0.8)
            assert all(
                torch.equal(m.cpu(), e) for m, e in zip(found.masks, expected.masks, strict=True)
            )
            assert str(found.report) == str(expected.report)
    finally:
        torch.use_deterministic_algorithms(False)


def test_tensors_of_several_devices_are_ranked_together():
    outcomes = []
    for device in ("cpu", "cuda"):
        model = model_of(torch.float32, "ties", "cpu")
        model[1].to(device)
        pairs = [(layer, "weight") for layer in model]
        for amount in (0.3, 0.5):
            prune.global_unstructured(pairs, prune.L1Unstructured, amount=amount)
        assert model[1].weight_mask.device.type == device
        outcomes.append([layer.weight_mask.cpu() for layer in model])
    assert all(map(torch.equal, *outcomes))


def test_a_pruned_model_lives_on_the_device():
    model = pruned(torch.float32, "random", "cuda", ROUNDS["global"])[:2]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = torch.randn(8, 96, device="cuda")
    for _ in range(2):
        optimizer.zero_grad()
        model(batch).square().sum().backward()
        optimizer.step()
    for layer in model:
        gone = layer.weight_mask == 0
        assert gone.any()
        assert not layer.weight[gone].any()
        assert not layer.weight_orig.grad[gone].any()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    state = torch.load(file, map_location="cpu")
    assert state["0.weight_mask"].shape == (64, 96)
    twin = pruned(torch.float32, "random", "cuda", ROUNDS["nothing"])[:2]
    twin.load_state_dict(state)
    assert torch.equal(twin(batch), model(batch))
    expected = model[0].weight.detach().clone()
    prune.remove(model[0], "weight")
    assert torch.equal(model[0].weight, expected)
    assert not model[0]._forward_pre_hooks


@pytest.mark.parametrize("asked", [{"amount": 0.5}, {"scope": (2, 4)}], ids=str)
def test_whole_models_report_the_same(asked):
    reports = []
    for device in ("cpu", "cuda"):
        model = model_of(torch.float32, "ties", device)
        reports.append(str(prune.prune_model(model, **asked)))
        reports.append(str(prune.report(model)))
        prune.undo(model)
        assert torch.equal(model[0].weight, model_of(torch.float32, "ties", device)[0].weight)
    assert reports[:2] == reports[2:]


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("asked", ["global", "2:4", "bounds", "row"])
def test_memory_beyond_the_masks_is_bounded(kind, asked):
    layer = nn.Linear(4096, 12_000, bias=False, device="cuda", dtype=kind)
    # Rows along another dimension than the first lie all over the tensor: one block has them all.
    for options in [ROUNDS[asked][0], {"amount": 0.3}, ROUNDS[asked][0]]:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        prune.global_unstructured([(layer, "weight")], prune.L1Unstructured, **options)
        beyond = torch.cuda.max_memory_allocated() - before - layer.weight_mask.nbytes
        assert beyond <= 64 << 20


def test_the_device_is_waited_for_once_a_pass():
    layer = nn.Linear(2048, 2048, bias=False, device="cuda")
    with warnings.catch_warnings(record=True) as waits:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            prune.global_unstructured([(layer, "weight")], prune.L1Unstructured, amount=0.5)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert len([w for w in waits if "synchronizing" in str(w.message)]) <= 7
