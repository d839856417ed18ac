"""What the cases share: nets cut in every way, values that break rankings, the oracle's masks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from multiprune_conformance import oracle
from torch import distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)

VALUES = ["normal", "ties", "zeros", "constant", "special"]
SPECIAL = [float("nan"), float("inf"), -float("inf"), 1e-42, -1e-44, 0.0, -0.0, 1.0, -1.0]


def values(kind: str, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    drawn = torch.randn(shape, generator=rng)
    if kind == "ties":
        return (drawn * 2).round() / 2
    if kind == "zeros":
        signs = torch.where(torch.rand(shape, generator=rng) < 0.5, 0.0, -0.0)
        return torch.where(torch.rand(shape, generator=rng) < 0.7, signs, drawn)
    if kind == "constant":
        return torch.full(shape, -0.25)
    if kind == "special":
        return torch.tensor(SPECIAL)[torch.randint(len(SPECIAL), shape, generator=rng)]
    return drawn


def net(
    kind: str = "normal", dtype: torch.dtype = torch.float32, seed: int = 0, width: int = 10
) -> nn.Module:
    """Rows that do not divide by ranks, down to fewer rows than ranks."""
    rng = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 7), nn.Linear(7, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(values(kind, tuple(parameter.shape), rng))
    return model.to(dtype)


def whole(model: nn.Module) -> nn.Module:
    return model


def fsdp(model: nn.Module, mesh: DeviceMesh | None = None) -> nn.Module:
    mesh = mesh or init_device_mesh("cpu", (distributed.get_world_size(),))
    for layer in (model[0], model[2]):
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def hsdp(model: nn.Module) -> nn.Module:
    return fsdp(model, init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicas", "shards")))


def tensor_parallel(model: nn.Module, mesh: DeviceMesh | None = None) -> nn.Module:
    plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
    return parallelize_module(model, mesh or init_device_mesh("cpu", (4,)), plan)


def fsdp_and_tp(model: nn.Module) -> nn.Module:
    """The last layer is outside the plan: it lives once on each tensor-parallel rank."""
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
    return fsdp(tensor_parallel(model, mesh["tp"]), mesh["dp"])


def loose(model: nn.Module) -> nn.Module:
    """Any placements, no wrapper: columns, rows of columns, replicas, one layer left plain."""
    mesh = init_device_mesh("cpu", (2, 2))
    ways = [(model[0], (Shard(1), Shard(0))), (model[2], (Shard(1), Shard(1)))]
    for layer, placements in ways:
        layer.weight = nn.Parameter(distribute_tensor(layer.weight, mesh, placements))
    model[3].weight = nn.Parameter(
        distribute_tensor(model[3].weight, mesh, (Replicate(), Shard(1)))
    )
    return model


def experts(model: nn.Module) -> nn.Module:
    """Each of two layers lives on two of the ranks alone; the third is shared by all."""
    for layer, ranks in ((model[0], [0, 1]), (model[2], [2, 3])):
        mesh = DeviceMesh("cpu", ranks)
        layer.weight = nn.Parameter(distribute_tensor(layer.weight, mesh, (Shard(0),)))
    return model


CUTS = [fsdp, hsdp, tensor_parallel, fsdp_and_tp, loose, experts]


def gathered(tensor: torch.Tensor) -> torch.Tensor | None:
    """The whole tensor on every rank; None on ranks outside its mesh."""
    tensor = tensor.detach()
    if not isinstance(tensor, DTensor):
        return tensor
    if tensor.device_mesh.get_coordinate() is None:
        return None
    if tensor.dtype == torch.bool:
        return tensor.to(torch.uint8).full_tensor() == 1
    return tensor.full_tensor()


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters of two dimensions by full name, in code-point order."""
    found = {n.removesuffix("_orig"): p for n, p in model.named_parameters() if p.dim() > 1}
    return dict(sorted(found.items()))


def masks(model: nn.Module) -> dict[str, torch.Tensor]:
    found = {n.removesuffix("_mask"): b for n, b in model.named_buffers() if n.endswith("_mask")}
    return dict(sorted(found.items()))


def array(tensor: torch.Tensor):
    """What the oracle reads: bfloat16 as bits."""
    if tensor.dtype == torch.bfloat16:
        return "bfloat16", tensor.contiguous().view(torch.int16).numpy().view(np.uint16)
    return tensor.numpy()


def rounds(
    dense: dict[str, torch.Tensor], amounts: list[float]
) -> Iterator[tuple[float, dict[str, torch.Tensor]]]:
    """The oracle's masks of one process after each round, every round on top of those before."""
    prior = None
    for amount in amounts:
        prior = oracle.global_unstructured(
            [array(w.detach().contiguous()) for w in dense.values()], amount=amount, masks=prior
        )
        yield amount, {n: torch.from_numpy(m) for n, m in zip(dense, prior, strict=True)}


def check_masks(model: nn.Module, expected: dict[str, torch.Tensor]) -> None:
    """On this rank: equal masks, in the parameters' layout, over zeros."""
    found = masks(model)
    assert list(found) == list(expected)
    stored = dict(model.named_parameters())
    for name, mask in found.items():
        weight = stored.get(name, stored.get(f"{name}_orig"))
        if isinstance(weight, DTensor):
            assert mask.placements == weight.placements
            assert mask.device_mesh == weight.device_mesh
            assert mask.to_local().shape == weight.to_local().shape
        kept, seen = gathered(mask), gathered(weight)
        if kept is not None:
            assert torch.equal(kept == 1, expected[name]), name
            if name in stored:  # in place
                assert not seen[~expected[name]].count_nonzero()
