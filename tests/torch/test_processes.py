"""Two processes: equal masks on all ranks under DDP, and a word where they may differ."""

from __future__ import annotations

import warnings

import pytest
import torch
from multiprune_torch import prune
from torch import distributed, multiprocessing, nn


def work(rank: int, folder: str) -> None:
    warnings.simplefilter("error")
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    torch.manual_seed(7)
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4))
    parallel = nn.parallel.DistributedDataParallel(model)
    torch.manual_seed(rank)  # what a data loader does
    found = []

    def masks() -> list[torch.Tensor]:
        return [m.weight_mask.clone() for m in model]

    for options in ({}, {"seed": 3}, {"process_group": distributed.group.WORLD}):
        method = prune.RandomUnstructured if options else prune.L1Unstructured
        pairs = [(m, "weight") for m in model]
        prune.global_unstructured(pairs, pruning_method=method, amount=0.5, **options)
        found += masks()
        parallel(torch.randn(4, 8)).sum().backward()
        prune.undo(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        prune.random_unstructured(model[0], "weight", amount=0.5)
    text = "".join(f"{w.filename}: {w.message}" for w in caught)
    torch.save((found, text), f"{folder}/{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(work, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def test_masks_are_equal_on_all_ranks_by_magnitude_by_seed_and_by_group(ranks):
    (ours, _), (theirs, _) = ranks
    assert len(ours) == 6
    assert all(map(torch.equal, ours, theirs))


def test_drawing_without_a_seed_is_named_with_both_remedies(ranks):
    for _, text in ranks:
        assert text.startswith(f"{__file__}: "), "the caller's line is warned of"
        assert "masks may differ between ranks [DEV-57]. Pass seed=, or process_group=" in text
