"""Distributed checkpoints: saved on 2 x 2 processes, loaded on 4, 2 and 1, and pruned further."""

from __future__ import annotations

from pathlib import Path

import nets
import torch
from launch import leave
from multiprune_torch import prune
from torch import distributed, nn
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

FOLDER = Path("checkpoint")
"""In the folder where the processes run."""


def step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> float:
    data = torch.randn(8, 6, generator=torch.Generator().manual_seed(seed))
    loss = (model(data) - 1).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.05)


def first_half(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    step(model, optimizer, 1)
    prune.prune_model(model, amount=0.4)
    step(model, optimizer, 2)


def second_half(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[float]:
    losses = [step(model, optimizer, 3)]
    prune.prune_model(model, amount=0.4)
    return [*losses, step(model, optimizer, 4)]


def even(cut) -> nn.Module:
    """Torch saves uneven shards of FSDP over tensor parallelism wrongly, or not at all."""
    return cut(nets.net(width=8))


def save(cut=nets.hsdp) -> None:
    model = cut(nets.net())
    optimizer = adam(model)
    first_half(model, optimizer)
    weights, moments = get_state_dict(model, optimizer)
    assert {"0.weight", "0.weight_mask"} <= set(weights)
    checkpoint.save({"model": weights, "optimizer": moments}, checkpoint_id=FOLDER)


def load_and_go_on(cut) -> None:
    """Load into a fresh model, cut in another way, and compare with one process throughout."""
    model = cut(nets.net(seed=9))
    prune.prune_model(model, prune.Identity)  # masks of ones, for the checkpoint to fill
    optimizer = adam(model)
    weights, moments = get_state_dict(model, optimizer)
    state = {"model": weights, "optimizer": moments}
    checkpoint.load(state, checkpoint_id=FOLDER)
    set_state_dict(
        model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"]
    )
    alone = nets.net()
    partner = adam(alone)
    first_half(alone, partner)
    nets.check_masks(model, {n: m == 1 for n, m in nets.masks(alone).items()})
    for ours, theirs in zip(
        second_half(model, optimizer), second_half(alone, partner), strict=True
    ):
        assert abs(ours - theirs) < 1e-5
    nets.check_masks(model, {n: m == 1 for n, m in nets.masks(alone).items()})


def case_saved_on_two_by_two_and_loaded_on_four():
    save()
    distributed.barrier()
    load_and_go_on(nets.hsdp)
    load_and_go_on(nets.fsdp)


def case_tensor_parallel_and_both_together():
    """Saved and loaded as they are cut, and what both have saved, by FSDP alone."""
    for cut, into in (
        (nets.tensor_parallel, nets.tensor_parallel),
        (nets.fsdp_and_tp, nets.fsdp_and_tp),
        (nets.fsdp_and_tp, nets.fsdp),
    ):
        folder = f"{cut.__name__}-{into.__name__}"
        model = even(cut)
        prune.prune_model(model, amount=0.4)
        state = model.state_dict()
        checkpoint.save(state, checkpoint_id=folder)
        wanted = {n: nets.gathered(m) == 1 for n, m in nets.masks(model).items()}
        fresh = even(into)
        prune.prune_model(fresh, prune.Identity)
        state = fresh.state_dict()
        checkpoint.load(state, checkpoint_id=folder)
        fresh.load_state_dict(state)
        nets.check_masks(fresh, wanted)
        for each in (model, fresh):
            assert prune.prune_model(each, amount=0.4).pruned == prune.report(model).pruned
        nets.check_masks(fresh, {n: nets.gathered(m) == 1 for n, m in nets.masks(model).items()})


def main() -> None:
    """Load on the number of processes that this was started with."""
    distributed.init_process_group("gloo")
    torch.set_num_threads(1)
    load_and_go_on(nets.fsdp)
    distributed.barrier()
    distributed.destroy_process_group()
    leave()


if __name__ == "__main__":
    main()
