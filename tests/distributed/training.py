"""Train, prune, train: as one process does, zeros after every step, no weight kept alive."""

from __future__ import annotations

import nets
import torch
from multiprune_torch import prune
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

STEPS, ROUNDS = 3, 3


def batches() -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return [torch.randn(8, 6, generator=rng) for _ in range(STEPS * (ROUNDS + 1))]


def train(model: nn.Module, group=None, inner: nn.Module | None = None) -> list[float]:
    """The losses of all steps: clipping bites, and weight decay would move what is pruned."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.3)
    losses, data = [], iter(batches())
    for stage in range(ROUNDS + 1):
        for _ in range(STEPS):
            loss = (model(next(data)) - 1).square().mean()
            loss.backward()
            norm = clip(model)
            optimizer.step()
            optimizer.zero_grad()
            losses += [loss.item(), norm]
            check_zeros(inner or model)
        if stage < ROUNDS:
            prune.prune_model(inner or model, amount=0.3, process_group=group)
    return losses


def clip(model: nn.Module) -> float:
    """Torch's own clipping, but where it refuses: layers on several meshes."""
    parameters = list(model.parameters())
    if len({getattr(p, "device_mesh", None) for p in parameters}) == 1:
        norm = clip_grad_norm_(parameters, 0.05)
        return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
    norms = [nets.gathered(p.grad).norm() for p in parameters]
    whole = float(torch.stack(norms).norm())
    for parameter in parameters:
        parameter.grad.mul_(min(1.0, 0.05 / (whole + 1e-6)))
    return whole


def check_zeros(model: nn.Module) -> None:
    stored = dict(model.named_parameters())
    for name, mask in nets.masks(model).items():
        if name in stored:
            weight = nets.gathered(stored[name])
            assert not weight[~nets.gathered(mask)].count_nonzero(), name


def close(one: list[float], other: list[float]) -> None:
    worst = max(abs(a - b) for a, b in zip(one, other, strict=True))
    assert worst < 1e-5, worst


def case_losses_are_those_of_one_process():
    alone = train(nets.net())
    for cut in (nets.fsdp, nets.hsdp, nets.fsdp_and_tp):
        close(train(cut(nets.net())), alone)
    even = nets.net(width=8)  # a forward of uneven columns is more than torch can do
    close(train(nets.tensor_parallel(nets.net(width=8))), train(even))
    for view in (True, False):
        inner = nets.net()
        parallel = DistributedDataParallel(inner, gradient_as_bucket_view=view)
        close(train(parallel, distributed.group.WORLD, inner), alone)


def case_a_report_between_forward_and_backward():
    """FSDP2 may have parameters unsharded then: whoever looks at masks leaves them working."""
    alone = train(nets.net())
    seen = []

    def look(module, *_):
        if prune.is_pruned(module):
            seen.append(prune.report(module).pruned)

    model = nets.fsdp(nets.net())
    model.register_forward_hook(look)
    close(train(model), alone)
    assert len(seen) == STEPS * ROUNDS


def case_masks_after_training_are_those_of_one_process():
    one, many = nets.net(), nets.fsdp(nets.net())
    train(one)
    train(many)
    nets.check_masks(many, {n: m == 1 for n, m in nets.masks(one).items()})


def alive(prepare, mesh=None) -> int:
    """Bytes that a forward leaves behind for its backward; what was there before is not counted."""
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Linear(256, 256) for _ in range(6)])
    data = torch.randn(2, 256)

    def shard() -> None:
        for layer in model:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)

    prepare(model, shard)
    before = {p.to_local().untyped_storage().data_ptr() for p in model.parameters()}
    saved: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(data).sum()
    storages = {t.untyped_storage()._cdata: t.untyped_storage() for t in saved}
    left = sum(s.nbytes() for s in storages.values() if s.data_ptr() not in before)
    loss.backward()
    return left


def case_bytes_alive_between_forward_and_backward():
    def dense(model, shard):
        shard()

    def in_place(model, shard):
        shard()
        prune.prune_model(model, amount=0.8)

    def before_sharding(model, shard):
        prune.prune_model(model, amount=0.8)
        shard()

    replicas = init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicas", "shards"))
    for mesh in (None, replicas):
        plain = alive(dense, mesh)
        assert plain > 0
        assert alive(in_place, mesh) <= 1.05 * plain
    assert alive(before_sharding) > 10 * plain  # what a reparametrization would keep alive
