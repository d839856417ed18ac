"""Models that were pruned before `fully_shard`: masks stay whole on every rank, verbs go on."""

from __future__ import annotations

from unittest import mock

import nets
import pytest
import torch
from multiprune_torch import prune
from multiprune_torch.distributed import packing
from multiprune_torch.errors import LayoutError
from torch import distributed, nn
from torch.nn.utils.clip_grad import clip_grad_norm_

CUTS = [nets.fsdp, nets.hsdp]


def pruned(kind: str = "normal", dtype: torch.dtype = torch.float32) -> nn.Module:
    model = nets.net(kind, dtype)
    prune.prune_model(model, amount=0.4)
    return model


def expected(model: nn.Module) -> dict[str, torch.Tensor]:
    return {n: m == 1 for n, m in nets.masks(model).items()}


def check(model: nn.Module, wanted: dict[str, torch.Tensor]) -> None:
    """Whole masks on this rank, and values that are zero under them wherever they are read."""
    found = nets.masks(model)
    assert {n: m.tolist() for n, m in found.items()} == {n: m.tolist() for n, m in wanted.items()}
    for i in (0, 2, 3):
        read = nets.gathered(model[i].weight)
        assert not read[~wanted[f"{i}.weight"]].count_nonzero()


def train(model: nn.Module, steps: int = 3) -> list[float]:
    rng = torch.Generator().manual_seed(2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    losses = []
    for _ in range(steps):
        loss = (model(torch.randn(8, 6, generator=rng)) - 1).square().mean()
        loss.backward()
        clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def close(ours: list[float], theirs: list[float]) -> None:
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 1e-5


def case_pruned_further_as_in_one_process():
    for cut in CUTS:
        for kind in nets.VALUES:
            for dtype in (torch.float32, torch.bfloat16):
                alone, model = pruned(kind, dtype), cut(pruned(kind, dtype))
                for amount in (0, 0.5, 7, 1.0):
                    told = prune.prune_model(alone, amount=amount)
                    with mock.patch.object(packing, "PIECE", 2):
                        report = prune.prune_model(model, amount=amount)
                    assert report.way == "reparametrized"
                    assert (report.threshold, report.ties) == (told.threshold, told.ties)
                    assert report.tensors == told.tensors
                    check(model, expected(alone))


def case_trained_between_rounds_as_in_one_process():
    for cut in CUTS:
        alone, model = pruned(), cut(pruned())
        for _ in range(2):
            close(train(model), train(alone))
            prune.prune_model(alone, amount=0.4)
            prune.prune_model(model, amount=0.4)
            check(model, expected(alone))
        close(train(model), train(alone))


def case_single_parameters_files_and_masks_of_ones_own():
    for cut in CUTS:
        alone, model = pruned(), cut(pruned())
        mask = torch.ones(10, 6)
        mask[4] = 0
        for each in (alone, model):
            prune.l1_unstructured(each[2], "weight", amount=3)
            prune.custom_from_mask(each[0], "weight", mask)
        check(model, expected(alone))
        digest = prune.save_masks(model, "before.masks")
        distributed.barrier()
        fresh = cut(pruned())
        prune.apply_masks(fresh, "before.masks")
        check(fresh, expected(alone))
        assert prune.save_masks(alone, f"{distributed.get_rank()}.masks") == digest


def case_ended_in_every_way_and_trained_on():
    """FSDP2 knows its parameters by name, and they get their own back."""
    for cut in CUTS:
        for end in (prune.remove_all, prune.undo, one_by_one):
            alone, model = pruned(), cut(pruned())
            close(train(model), train(alone))
            end(alone)
            end(model)
            assert list(model.state_dict()) == list(alone.state_dict())
            for name, weight in alone.named_parameters():
                seen = nets.gathered(dict(model.named_parameters())[name])
                assert torch.allclose(seen, weight.detach(), atol=1e-6), (end, name)
            close(train(model), train(alone))
            report = prune.prune_model(model, amount=0.5)
            assert report.way == "in place"


def one_by_one(model: nn.Module) -> None:
    for i in (3, 0, 2):
        prune.remove(model[i], "weight")


def case_frozen():
    model = nets.fsdp(pruned())
    gone = {n: ~m for n, m in expected(pruned()).items()}
    frozen = prune.freeze(model)
    train(model)
    for name, weight in nets.weights(model).items():
        assert not nets.gathered(weight)[gone[name]].count_nonzero()
    frozen.release()


def case_an_ending_that_fails_halfway_leaves_names_as_they_were():
    alone, model = pruned(), nets.fsdp(pruned())
    calls: list[int] = []
    right = prune.BasePruningMethod.apply_mask

    def fail(hook, module):
        calls.append(0)
        if len(calls) == 3:
            raise RuntimeError("halfway")
        return right(hook, module)

    with (
        mock.patch.object(prune.BasePruningMethod, "apply_mask", fail),
        pytest.raises(RuntimeError, match="halfway"),
    ):
        prune.remove_all(model)
    check(model, expected(alone))
    close(train(model), train(alone))


def case_a_mask_that_scales_is_refused():
    model = nets.net()
    prune.identity(model[0], "weight")
    state = model.state_dict()
    state["0.weight_mask"] = torch.full((10, 6), 0.5)
    model.load_state_dict(state)
    model = nets.fsdp(model)
    with pytest.raises(ValueError, match="other than 0 and 1") as caught:
        prune.prune_model(model, amount=0.5)
    text = str(caught.value)
    assert "0.weight" in text
    assert "[SHARD-02]" in text


def case_unsharded_now():
    model = nets.fsdp(pruned())
    model[0].unshard()
    for call in (
        lambda: prune.l1_unstructured(model[0], "weight", amount=0.5),
        lambda: prune.remove(model[0], "weight"),
    ):
        with pytest.raises(LayoutError, match="unsharded"):
            call()
    assert prune.prune_model(model, amount=1).pruned == 61
