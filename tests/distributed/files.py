"""Packed mask files: one digest for a model on one process and on four, however it is cut."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import nets
import pytest
from multiprune_checkpoints import load_masks
from multiprune_torch import prune
from multiprune_torch.distributed import packing
from multiprune_torch.files import save, sources
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh

from multiprune.packed import MaskFileError


def saved(model, name: str) -> tuple[str, bytes]:
    digest = prune.save_masks(model, name)
    distributed.barrier()
    return digest, Path(name).read_bytes()


def case_written_from_shards():
    rank = distributed.get_rank()
    dense = nets.net()
    prune.prune_model(dense, amount=0.6)
    alone = saved(dense, f"alone-{rank}.masks")
    for cut in nets.CUTS:
        model = cut(nets.net())
        prune.prune_model(model, amount=0.6)
        with mock.patch.object(packing, "PIECE", 3):
            assert saved(model, f"{cut.__name__}.masks") == alone
    pair = init_device_mesh("cpu", (2, 2), mesh_dim_names=("teams", "members"))["members"]
    model = nets.fsdp(nets.net(), pair)  # on two processes, and once more on two others
    prune.prune_model(model, amount=0.6, process_group=pair.get_group())
    assert saved(model, "pair.masks") == alone
    read = load_masks("fsdp.masks")
    wanted = {n: m.bool().numpy() for n, m in nets.masks(dense).items()}
    assert {n: m.tolist() for n, m in read.items()} == {n: m.tolist() for n, m in wanted.items()}


def case_read_into_shards():
    dense = nets.net()
    prune.prune_model(dense, amount=0.6)
    if distributed.get_rank() == 0:
        prune.save_masks(dense, "one.masks")
    distributed.barrier()
    wanted = {n: m.bool() for n, m in nets.masks(dense).items()}
    for cut in (*nets.CUTS, nets.whole):
        model = cut(nets.net())
        with mock.patch.object(sources, "PIECE", 2):
            assert prune.apply_masks(model, "one.masks") == list(wanted)
        nets.check_masks(model, wanted)
        assert prune.report(model).pruned == 91


def case_damage_is_told_on_every_rank():
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.6)
    prune.save_masks(model, "good.masks")
    distributed.barrier()
    data = Path("good.masks").read_bytes()
    broken = [
        data[:-1] + bytes([data[-1] ^ 1]),
        data[:-3],
        b"",
        data.replace(b"0.weight", b"9.weight"),
    ]
    for i, content in enumerate(broken):
        if distributed.get_rank() == 0:
            Path(f"bad-{i}.masks").write_bytes(content)
        distributed.barrier()
        fresh = nets.fsdp(nets.net())
        with pytest.raises(MaskFileError) as caught:
            prune.apply_masks(fresh, f"bad-{i}.masks")
        told = [None] * 4
        distributed.all_gather_object(told, str(caught.value))
        assert len(set(told)) == 1
        assert not prune.is_pruned(fresh)
    with pytest.raises(OSError, match="nowhere"):
        prune.save_masks(model, "nowhere/x.masks")


def case_a_disk_that_is_full_leaves_nothing_behind():
    """Only the first rank writes; all of them are told, and the older file stays."""
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.6)
    prune.save_masks(model, "older.masks")
    distributed.barrier()
    before = Path("older.masks").read_bytes()
    with (
        mock.patch.object(save, "digest", side_effect=OSError(28, "No space left")),
        pytest.raises(OSError, match="No space left"),
    ):
        prune.save_masks(model, "older.masks")
    distributed.barrier()
    assert Path("older.masks").read_bytes() == before
    assert not list(Path().glob("older.masks.*"))


def case_replicas_that_save_at_once():
    """They know nothing of each other, and each replaces the file by the same one."""
    model = nets.net()
    prune.prune_model(model, amount=0.6)
    digests = [None] * 4
    for _ in range(10):
        digest = prune.save_masks(model, "replicas.masks")
    distributed.all_gather_object(digests, digest)
    assert len(set(digests)) == 1
    assert digest.encode() in Path("replicas.masks").read_bytes()
    distributed.barrier()
    assert not list(Path().glob("replicas.masks.*"))
