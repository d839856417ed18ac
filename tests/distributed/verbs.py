"""The verbs on sharded models: pairs, scores, seeds, removing, going back, reports, freezing."""

from __future__ import annotations

import nets
import pytest
import torch
from multiprune_conformance import oracle
from multiprune_torch import prune
from multiprune_torch.errors import NotPrunedError
from torch import distributed
from torch.distributed.tensor import distribute_tensor
from torch.nn.utils import prune as torch_prune


def case_pairs_rank_in_the_order_of_the_list():
    """All entries tie, so positions decide: the list's, in one process as in four."""
    dense, model = nets.net("constant"), nets.fsdp(nets.net("constant"))
    for one in (dense, model):
        pairs = ((one[3], "weight"), (one[0], "weight"), (one[2], "weight"))
        prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=50)
    nets.check_masks(model, {n: m == 1 for n, m in nets.masks(dense).items()})


def case_a_seed_gives_the_mask_of_one_process():
    for cut in nets.CUTS:
        dense, model = nets.net(), cut(nets.net())
        shapes = [w.shape for w in nets.weights(dense).values()]
        wanted = oracle.random_unstructured(shapes, seed=2**40 + 7, amount=0.4)
        prune.prune_model(model, prune.RandomUnstructured, amount=0.4, seed=2**40 + 7)
        names = list(nets.weights(dense))
        nets.check_masks(
            model, {n: torch.from_numpy(m) for n, m in zip(names, wanted, strict=True)}
        )


def case_without_a_seed_the_first_process_draws_for_all():
    torch.manual_seed(distributed.get_rank())
    model = nets.hsdp(nets.net())
    report = prune.prune_model(model, prune.RandomUnstructured, amount=0.5)
    first = {n: nets.gathered(m) for n, m in nets.masks(model).items()}
    assert report.pruned == 76
    told = [None] * 4
    distributed.all_gather_object(told, {n: m.tolist() for n, m in first.items()})
    assert all(t == told[0] for t in told)


def case_classes_of_torch_itself_are_taken():
    model = nets.fsdp(nets.net("constant"))
    pairs = [(model[0], "weight"), (model[2], "weight")]
    prune.global_unstructured(pairs, torch_prune.RandomUnstructured, amount=0.5)
    kept = nets.gathered(model[0].weight_mask).flatten()
    assert not torch.equal(kept.sort().values, kept)  # at random, where all magnitudes tie
    prune.global_unstructured(pairs, torch_prune.L1Unstructured, amount=1.0)
    assert not nets.gathered(model[2].weight_mask).any()


def case_scores_are_ranked_instead():
    dense, model = nets.net(), nets.fsdp_and_tp(nets.net())
    rng = torch.Generator().manual_seed(5)
    whole = {n: torch.randn(w.shape, generator=rng) for n, w in nets.weights(dense).items()}
    scores = {
        n: distribute_tensor(whole[n], w.device_mesh, [torch.distributed.tensor.Replicate()] * 2)
        if w.device_mesh.ndim == 2
        else distribute_tensor(whole[n], w.device_mesh, w.placements)
        for n, w in nets.weights(model).items()
    }
    for name, weight in nets.weights(model).items():
        if scores[name].placements != weight.placements:  # as the weight is cut: by its own copy
            alike = torch.empty_like(weight.detach())
            rows = indices_of(weight)
            alike.to_local().copy_(whole[name][rows])
            scores[name] = alike
    prune.prune_model(dense, amount=0.3, importance_scores=whole)
    prune.prune_model(model, amount=0.3, importance_scores=scores)
    nets.check_masks(model, {n: m == 1 for n, m in nets.masks(dense).items()})


def indices_of(weight):
    """Where this rank's entries lie, found by sharding nothing but their flat indices."""
    from multiprune_torch.distributed.layout import layout_of

    layout = layout_of(weight, distributed.get_rank(), "weight")
    return torch.meshgrid(*map(torch.from_numpy, layout.indices), indexing="ij")


def case_permanent():
    for cut in nets.CUTS:
        model = cut(nets.net())
        names = list(nets.weights(model))
        prune.prune_model(model, sparsity=0.5)
        assert prune.is_pruned(model)
        zeros = {n: ~nets.gathered(m).bool() for n, m in nets.masks(model).items() if here(m)}
        assert sorted(prune.remove_all(model)) == names
        assert not prune.is_pruned(model)
        assert not nets.masks(model)
        for name, weight in nets.weights(model).items():
            if here(weight):
                assert not nets.gathered(weight)[zeros[name]].count_nonzero()
        assert not [k for k in model.state_dict() if "mask" in k or "orig" in k]


def here(tensor):
    return nets.gathered(tensor) is not None


def case_one_at_a_time_permanent():
    model = nets.fsdp(nets.net())
    prune.prune_model(model, sparsity=0.5)
    prune.remove(model[0], "weight")
    assert list(nets.masks(model)) == ["2.weight", "3.weight"]
    with pytest.raises(NotPrunedError) as caught:
        prune.remove(model[0], "weight")
    text = str(caught.value)
    assert "REP-07" in text


def case_back_to_dense_values_after_three_rounds():
    for cut in nets.CUTS:
        for kind in ("normal", "special"):
            dense, model = nets.net(kind), cut(nets.net(kind))
            for sparsity in (0.2, 0.5, 0.9):
                prune.prune_model(model, sparsity=sparsity, keep_dense=True)
            prune.undo(model)
            assert not prune.is_pruned(model)
            ours, wanted = nets.weights(model), nets.weights(dense)
            assert list(ours) == list(wanted)
            for name, weight in ours.items():
                if here(weight):
                    same = nets.gathered(weight).view(torch.int32) == wanted[name].view(torch.int32)
                    assert bool(same.all()), (cut, name)


def case_the_report_says_which_way_was_taken():
    ways = [
        (nets.fsdp, "in place"),
        (nets.hsdp, "in place"),
        (nets.tensor_parallel, "reparametrized"),
        (nets.fsdp_and_tp, "in place"),
    ]
    for cut, way in ways:
        report = prune.prune_model(cut(nets.net()), amount=0.5)
        assert report.way == way
        assert str(report).startswith(f"L1Unstructured, {way}: 76 of 151 entries pruned (50.33 %)")
    one = prune.prune_model(nets.net(), amount=0.5)
    assert (one.threshold, one.ties) == (report.threshold, report.ties)
    assert one.way == ""


def case_frozen_zeros_stay():
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.5)
    frozen = prune.freeze(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(2):
        model(torch.ones(4, 6)).square().sum().backward()
        optimizer.step()
    zeros = sum(int((nets.gathered(w) == 0).sum()) for w in nets.weights(model).values())
    assert zeros == 76
    frozen.release()
