"""What goes wrong on one rank goes wrong on all, in the same words, and changes nothing."""

from __future__ import annotations

import time
from typing import Any
from unittest import mock

import nets
import pytest
import torch
from multiprune_torch import prune
from multiprune_torch.distributed import install
from multiprune_torch.errors import LayoutError, ProcessesError, UndoError
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.tensor import DTensor, Partial, Shard

from multiprune.errors import AmountError, AmountTypeError, ParametersError, PruningTypeError

RANK = distributed.get_rank()


def state(model: nn.Module) -> dict[str, Any]:
    found = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
        found[name] = id(tensor), local.detach().clone()
    return found


def refused(model: nn.Module, kind: type[Exception], *words: str, **options: Any) -> str:
    """The same error on all ranks; the model is as it was, and can be pruned afterwards."""
    before, start = state(model), time.monotonic()
    with pytest.raises(kind) as caught:
        prune.prune_model(model, **options)
    assert time.monotonic() - start < 30  # nobody waits for one who has given up
    text = str(caught.value)
    after = state(model)
    assert list(after) == list(before)
    for name, (identity, values) in after.items():
        assert identity == before[name][0]
        assert torch.equal(values.nan_to_num(), before[name][1].nan_to_num()), name
    told: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(told, (kind.__name__, text))
    assert len(set(told)) == 1, told
    for word in words:
        assert word in text, text
    return text


def case_an_amount_that_is_too_large():
    model = nets.fsdp(nets.net())
    refused(model, AmountError, "amount=152", "151 entries", "[AMT-11]", amount=152)
    assert prune.prune_model(model, amount=151).pruned == 151


def case_amounts_that_differ():
    model = nets.fsdp(nets.net())
    words = "the amount", "rank 0 has amount=0.5", "rank 2 has amount=0.25"
    refused(model, ProcessesError, *words, amount=0.25 if RANK == 2 else 0.5)


def case_methods_and_seeds_that_differ():
    model = nets.fsdp(nets.net())
    options = {"method": prune.RandomUnstructured, "amount": 3}
    refused(model, ProcessesError, "the method", "seed=3", seed=3 if RANK == 3 else 1, **options)


def case_an_argument_that_is_wrong_on_one_rank():
    model = nets.fsdp(nets.net())
    refused(model, AmountTypeError, "amount='half'", amount="half" if RANK == 2 else 0.5)
    refused(model, ParametersError, "nothing of", amount=0.5, include="x" if RANK == 1 else "*")


def case_a_selection_that_differs():
    model = nets.fsdp(nets.net())
    exclude = "0.*" if RANK == 3 else ()
    refused(model, ProcessesError, "the parameters", "0.weight", amount=0.5, exclude=exclude)


def case_a_parameter_that_one_rank_lacks():
    model = nets.whole(nets.net())
    if RANK == 1:
        del model[3]
    group = distributed.group.WORLD
    words = "the parameters", "rank 0 has 'weight' of Linear (3.weight)", "rank 1 has none more"
    refused(model, ProcessesError, *words, amount=0.5, process_group=group)


def case_a_sharded_parameter_that_one_rank_lacks():
    model = nets.fsdp(nets.net())
    if RANK == 1:
        del model[3]
    words = "the parameters", "rank 0 has 'weight' of Linear (3.weight)", "rank 1 has none more"
    refused(model, ProcessesError, *words, amount=0.5)


def case_replicas_that_drifted():
    for model, layer in ((nets.hsdp(nets.net()), 0), (nets.whole(nets.net()), 2)):
        with torch.no_grad():
            weight = model[layer].weight
            local = weight.to_local() if isinstance(weight, DTensor) else weight
            local[0, 0] += 1e-6 if RANK == 3 else 0.0
        group = distributed.group.WORLD
        words = f"{layer}.weight", "replica", "[SHARD-03]"
        refused(model, ProcessesError, *words, amount=0.5, process_group=group)


def case_masks_of_replicas_that_drifted():
    model = nets.hsdp(nets.net())
    prune.prune_model(model, amount=0.5)
    with torch.no_grad():
        model[0].weight_mask.to_local()[:] = RANK != 3
    refused(model, ProcessesError, "another mask", "0.weight", amount=0.5)


def case_partial_values():
    model, mesh = nets.fsdp(nets.net()), init_device_mesh("cpu", (4,))
    bad = nn.Linear(3, 2, bias=False)
    bad.weight = nn.Parameter(DTensor.from_local(torch.ones(2, 3), mesh, [Partial()]))
    refused(nn.ModuleList([model, bad]), LayoutError, "Partial", "1.weight", amount=0.5)


def case_a_shard_that_is_not_what_its_placement_says():
    model, mesh = nets.fsdp(nets.net()), init_device_mesh("cpu", (4,))
    bad = nn.Linear(3, 6, bias=False)
    rows = 3 if RANK == 1 else 1
    local = torch.ones(rows, 3)
    placed = DTensor.from_local(local, mesh, [Shard(0)], shape=(6, 3), stride=(3, 1))
    bad.weight = nn.Parameter(placed)
    refused(nn.ModuleList([model, bad]), LayoutError, "local shard of shape", amount=0.5)


def case_a_mesh_outside_the_group():
    """A group that does not hold all of a model's processes leaves entries uncounted."""
    model = nets.fsdp(nets.net())
    group = init_device_mesh("cpu", (2, 2), mesh_dim_names=("a", "b"))["b"].get_group()
    words = "0.weight", "the processes own", "[SHARD-03]"
    with pytest.raises(ProcessesError) as caught:
        prune.prune_model(model, amount=0.5, process_group=group)
    text = str(caught.value)
    assert all(word in text for word in words), text


def case_flattened_by_fsdp1():
    for original in (True, False):
        model = FullyShardedDataParallel(
            nets.net(), use_orig_params=original, device_id=torch.device("cpu")
        )
        before = [p.detach().clone() for p in model.parameters()]
        for options in ({}, {"where": lambda name, p: True}):
            with pytest.raises(LayoutError) as caught:
                prune.prune_model(model, amount=0.5, **options)
            text = str(caught.value)
            assert "fully_shard" in text
        assert all(map(torch.equal, before, model.parameters()))


def case_unsharded_now():
    model = nets.fsdp(nets.net())
    model[0].unshard()  # asking for its state_dict would shard it again
    pairs = [(model[0], "weight"), (model[2], "weight")]
    with pytest.raises(LayoutError) as caught:
        prune.global_unstructured(pairs, prune.L1Unstructured, amount=0.5)
    text = str(caught.value)
    assert "parameters[0]" in text
    assert "unsharded" in text
    assert "reshard()" in text
    model[0].reshard()
    assert not prune.is_pruned(model)
    assert prune.prune_model(model, amount=1).pruned == 1


def case_scores_cut_otherwise():
    model = nets.fsdp(nets.net())
    scores = {name: torch.ones(w.shape) for name, w in nets.weights(model).items()}
    refused(model, LayoutError, "importance_scores", amount=0.5, importance_scores=scores)


def case_a_method_of_ones_own():
    class Own(prune.L1Unstructured):
        def compute_mask(self, t, default_mask):
            return default_mask

    model = nets.fsdp(nets.net())
    refused(model, PruningTypeError, "Own", method=Own, amount=0.5)


def case_a_method_applied_by_one_process():
    for cut in (nets.fsdp, nets.tensor_parallel):
        model = cut(nets.net())
        before = state(model)
        for method in (prune.L1Unstructured, prune.RandomUnstructured, prune.LnStructured):
            with pytest.raises(LayoutError) as caught:
                method.apply(model[0], "weight", amount=0.5)
            text = str(caught.value)
            assert "prune.l1_unstructured" in text
            assert "'weight' of" in text
        assert state(model).keys() == before.keys()


def case_no_memory_for_a_mask_on_one_rank():
    """What fails while masks are made ready is told to all, before any of them is installed."""
    calls = ((torch, "empty_like", {}), (install, "dense_values", {"keep_dense": True}))
    for cut in (nets.fsdp, nets.tensor_parallel):
        for owner, name, options in calls:
            model = cut(nets.net())
            right, seen = getattr(owner, name), []

            def full(*args, right=right, seen=seen, **kwargs):
                seen.append(0)
                if RANK == 2 and len(seen) == 3:  # two of three masks are ready by then
                    raise torch.OutOfMemoryError("no memory for it")
                return right(*args, **kwargs)

            if name == "dense_values" and cut is nets.tensor_parallel:
                continue  # nothing is kept of what is reparametrized
            with mock.patch.object(owner, name, full):
                refused(model, RuntimeError, "no memory for it", amount=0.5, **options)
            assert prune.prune_model(model, amount=0.5, **options).pruned == 76


def case_back_without_dense_values():
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.5)
    before = state(model)
    with pytest.raises(UndoError) as caught:
        prune.undo(model)
    text = str(caught.value)
    assert "keep_dense=True" in text
    assert state(model).keys() == before.keys()
