"""Every way to cut a model, and every kind of values: masks are those of one process."""

from __future__ import annotations

import nets
import torch
from multiprune_torch import prune
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh

AMOUNTS = [0, 1, 0.3, 0.5, 1.0]


CASES = [*((kind, torch.float32) for kind in nets.VALUES), ("normal", torch.bfloat16)]


def check_cut(cut, **options):
    for kind, dtype in CASES:
        dense = nets.net(kind, dtype)
        expected = nets.rounds(nets.weights(dense), AMOUNTS)
        model = cut(nets.net(kind, dtype))
        for amount, masks in expected:
            report = prune.prune_model(model, amount=amount, **options)
            nets.check_masks(model, masks)
            gone = {n: int((~m).sum()) for n, m in masks.items()}
            assert {t.name: t.pruned for t in report.tensors} == gone, (kind, amount)
            shapes = {n: tuple(m.shape) for n, m in masks.items()}
            assert {t.name: t.shape for t in report.tensors} == shapes


def case_fsdp():
    check_cut(nets.fsdp)


def case_hsdp():
    check_cut(nets.hsdp)


def case_tensor_parallel():
    check_cut(nets.tensor_parallel)


def case_fsdp_and_tensor_parallel():
    check_cut(nets.fsdp_and_tp)


def case_any_placement():
    check_cut(nets.loose)


def case_experts_on_sub_meshes():
    check_cut(nets.experts)


def case_plain_replicas():
    check_cut(nets.whole, process_group=distributed.group.WORLD)


def case_one_group_prunes_while_the_others_do_not():
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("teams", "members"))["members"]
    group, model = mesh.get_group(), nets.fsdp(nets.net(), mesh)
    if distributed.get_rank() < 2:
        report = prune.prune_model(model, amount=0.6, process_group=group)
        assert report.pruned == prune.report(model, process_group=group).pruned == 91
        first = prune.save_masks(model, "team.masks", process_group=group)
        prune.remove_all(model)
        prune.apply_masks(model, "team.masks", process_group=group)
        assert prune.save_masks(model, "team.masks", process_group=group) == first
    distributed.barrier()


def case_two_groups_of_two_prune_their_own():
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("teams", "members"))["members"]
    check_cut(lambda m: nets.fsdp(m, mesh), process_group=mesh.get_group())
