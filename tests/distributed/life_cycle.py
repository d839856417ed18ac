"""What happens to a pruned model in its life: evaluated, converted, loaded, wrapped, shared."""

from __future__ import annotations

import gc
import io
import pickle
import weakref

import nets
import pytest
import torch
from multiprune_torch import prune
from multiprune_torch.distributed.records import record_of
from multiprune_torch.errors import LayoutError, ProcessesError, StateError, UndoError
from torch import distributed, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

RANK = distributed.get_rank()
DATA = torch.randn(8, 6, generator=torch.Generator().manual_seed(3))


def values(model: nn.Module) -> dict[str, torch.Tensor]:
    return {n: nets.gathered(w) for n, w in nets.weights(model).items()}


def zeros(model: nn.Module) -> int:
    return sum(int((w == 0).sum()) for w in values(model).values())


def evaluated(model: nn.Module) -> nn.Module:
    """As after validation: FSDP2 leaves the root's own parameters whole."""
    model(DATA)
    assert not isinstance(model[3]._parameters.get("weight"), DTensor)
    return model


def trained(model: nn.Module, steps: int = 1) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.3)
    for _ in range(steps):
        model(DATA).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def case_every_verb_after_an_evaluation():
    dense = nets.net()
    assert prune.prune_model(evaluated(nets.fsdp(nets.net())), amount=0.5).pruned == 76
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.5, keep_dense=True)
    digest = prune.save_masks(evaluated(model), "lives.masks")
    assert prune.report(evaluated(model)).pruned == zeros(model) == 76
    fresh = evaluated(nets.fsdp(nets.net()))
    prune.apply_masks(fresh, "lives.masks")
    assert prune.save_masks(fresh, f"{RANK}.masks") == digest
    assert zeros(fresh) == 76
    prune.undo(evaluated(model))
    assert all(map(torch.equal, values(model).values(), nets.weights(dense).values()))
    prune.remove_all(evaluated(fresh))
    trained(fresh)
    assert zeros(fresh) < 76
    frozen = prune.freeze(evaluated(nets.fsdp(nets.net())))
    frozen.release()


def case_converted_and_trained_on():
    for convert in (nn.Module.float, nn.Module.double, lambda m: m.to("cpu")):
        model = nets.fsdp(nets.net())
        prune.prune_model(model, amount=0.5)
        convert(model)
        data = DATA.to(model[0].weight.dtype)
        for _ in range(2):
            optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
            model(data).sum().backward()
            for name, mask in nets.masks(model).items():
                gradient = nets.gathered(dict(model.named_parameters())[name].grad)
                assert not gradient[~nets.gathered(mask)].count_nonzero()
            optimizer.step()
            assert zeros(model) == 76


def case_frozen_and_converted():
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.5)
    frozen = prune.freeze(model)
    again = prune.freeze(model)
    model.float()
    trained(model, steps=2)
    assert zeros(model) == 76
    again.release()
    trained(model)
    assert zeros(model) == 76
    frozen.release()
    trained(model)
    assert zeros(model) < 76


def case_models_are_let_go():
    """No hook and no table keeps a model that nobody holds."""
    for end in (lambda model: None, prune.freeze, prune.remove_all):
        model = nets.fsdp(nets.net())
        prune.prune_model(model, amount=0.5, keep_dense=True)
        trained(model)
        end(model)
        masks = [weakref.ref(model[i].weight.to_local().untyped_storage()) for i in (0, 2, 3)]
        gone = weakref.ref(model)
        del model
        gc.collect()
        assert gone() is None
        assert all(m() is None for m in masks)


def case_a_state_that_is_assigned():
    """No verb of ours is called between loading and training."""
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.5)
    before = list(model.parameters())
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    assert before[0] is not next(model.parameters())
    trained(model, steps=2)
    assert zeros(model) == prune.report(model).pruned == 76


def case_parameters_are_pickled_without_their_model():
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.5)
    for parameter in model.parameters():
        assert not parameter.__dict__.keys() & {"_multiprune_record"}
    kept = io.BytesIO()
    torch.save([p.to_local() for p in model.parameters()], kept)
    assert b"FSDPLinear" not in pickle.dumps([p.detach().to_local() for p in model.parameters()])


def case_trained_later():
    """Frozen when it is pruned: its gradients are masked once it has some."""
    model = nets.fsdp(nets.net())
    model[2].weight.requires_grad_(False)
    prune.prune_model(model, amount=0.5)
    model[2].weight.requires_grad_(True)
    model(DATA).sum().backward()
    gradient, mask = nets.gathered(model[2].weight.grad), nets.gathered(model[2].weight_mask)
    assert gradient.count_nonzero()
    assert not gradient[~mask].count_nonzero()


def case_pruned_in_inference_mode():
    model = nets.fsdp(nets.net())
    with torch.inference_mode():
        prune.prune_model(model, amount=0.5, keep_dense=True)
    trained(model)
    assert zeros(model) == 76
    prune.undo(model)


def case_dense_values_are_kept_compactly_in_memory_of_the_cpu():
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.5, keep_dense=True)
    prune.prune_model(model, amount=0.5)
    for layer in (model[0], model[2], model[3]):
        record = record_of(layer, "weight")
        mask = layer.weight_mask.to_local()
        assert record.dense.shape == (int((~mask).sum()),)
        assert record.dense.device.type == "cpu"
        assert record.dense.untyped_storage().nbytes() == 4 * record.dense.numel()


def case_values_that_nobody_kept():
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.5)
    before = values(model)
    with pytest.raises(UndoError, match="each of its rounds"):
        prune.prune_model(model, amount=0.5, keep_dense=True)
    assert all(map(torch.equal, values(model).values(), before.values()))
    assert prune.report(model).pruned == 76


def case_values_kept_under_masks_that_are_gone():
    """Other masks were loaded: nothing is put back where it did not come from."""
    pruned, model = nets.fsdp(nets.net()), nets.fsdp(nets.net())
    prune.prune_model(pruned, amount=0.5)
    prune.prune_model(model, prune.Identity, keep_dense=True)
    own = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(own)
    assert record_of(model[0], "weight").dense is not None  # the same masks: nothing is lost
    model.load_state_dict(pruned.state_dict())
    with pytest.raises(UndoError):
        prune.undo(model)
    assert prune.report(model).pruned == 76
    assert prune.prune_model(model, amount=0.5).pruned == 114


def case_scores_that_differ_between_ranks():
    model = nets.fsdp(nets.net())
    ranked = {n: w.detach().abs() for n, w in nets.weights(model).items()}
    other = {n: s.double() for n, s in ranked.items()}
    for scores in (other if RANK else ranked, None if RANK else ranked):
        with pytest.raises(ProcessesError, match="the importance scores"):
            prune.prune_model(model, amount=0.5, importance_scores=scores)
    assert not prune.is_pruned(model)


def case_masks_that_differ_between_ranks():
    for cut in (nets.fsdp, nets.hsdp, nets.tensor_parallel):
        module = cut(nets.net())[0]
        mask = torch.ones(10, 6)
        mask[RANK] = 0
        with pytest.raises(ProcessesError, match="disagree on the mask"):
            prune.custom_from_mask(module, "weight", mask)
        assert not prune.is_pruned(module)
    module = nets.hsdp(nets.net())[0]
    cut = torch.ones_like(module.weight.detach())
    cut.to_local()[:] = float(RANK < 2)  # two replicas of two shards
    with pytest.raises(ProcessesError, match="another mask"):
        prune.custom_from_mask(module, "weight", cut)
    assert not prune.is_pruned(module)


def case_a_name_that_is_wrong_on_one_rank():
    module = nets.fsdp(nets.net())[0]
    for verb in (prune.l1_unstructured, prune.random_unstructured):
        with pytest.raises(AttributeError, match="no parameter 'weigth'"):
            verb(module, "weigth" if RANK == 1 else "weight", amount=0.5)
    assert not prune.is_pruned(module)


def case_a_removal_on_one_rank_is_seen_by_the_next_report():
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.5)
    if RANK == 2:
        prune.remove(model[0], "weight")
    with pytest.raises(ProcessesError, match="what is pruned"):
        prune.report(model)


def case_states_go_to_one_process():
    """A whole state_dict of a model pruned in place, loaded by a model of one process."""
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.5)
    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    if RANK == 0:
        alone = nets.net(seed=4)
        prune.load_state_dict(alone, state)
        assert prune.report(alone).pruned == 76
        assert torch.equal(alone[0].weight_mask == 1, state["0.weight_mask"])
        assert torch.equal(alone[0].weight, state["0.weight"])
    with pytest.raises(StateError, match="set_model_state_dict"):
        prune.load_state_dict(model, state)
    assert prune.report(model).pruned == 76


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.out = nn.Embedding(9, 6), nn.Linear(6, 9, bias=False)
        self.out.weight = self.embedding.weight

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.out(self.embedding(places))
        return out


def case_tied_weights_listed_by_the_name_that_fsdp_does_not_hold():
    for options in ({"types": nn.Linear}, {"types": nn.Embedding}, {}):
        alone, model = Tied(), Tied()
        fully_shard(model)
        report = prune.prune_model(model, amount=0.5, **options)
        assert report.way == "in place"
        prune.prune_model(alone, amount=0.5)  # both: in place there is one value for all names
        places = torch.arange(9)
        assert torch.allclose(model(places), alone(places))
        whole = prune.report(alone)
        assert prune.report(model).tensors == whole.tensors, (prune.report(model), whole)
        trained_weight = nets.gathered(model.out.weight)
        assert int((trained_weight == 0).sum()) == 27
        prune.remove_all(model)
        assert not prune.is_pruned(model)


def case_wrapped_for_activation_checkpointing():
    """Names are those of the state_dict, so masks go to and from models that are not wrapped."""
    alone, model = nets.net(), nets.net()
    model[0], model[2] = checkpoint_wrapper(model[0]), checkpoint_wrapper(model[2])
    model = nets.fsdp(model)
    prune.prune_model(alone, amount=0.5)
    report = prune.prune_model(model, amount=0.5, include=["0.weight", "2.weight", "3.weight"])
    assert [t.name for t in report.tensors] == ["0.weight", "2.weight", "3.weight"]
    digest = prune.save_masks(model, "wrapped.masks")
    assert prune.save_masks(alone, f"{RANK}.masks") == digest
    fresh, wrapped = nets.fsdp(nets.net()), nets.net()
    wrapped[0] = checkpoint_wrapper(wrapped[0])
    for other in (fresh, nets.fsdp(wrapped)):
        prune.apply_masks(other, "wrapped.masks")
        assert prune.report(other).pruned == 76


def case_dense_weights_are_loaded_into_a_pruned_model():
    """The masks stay and prune what was loaded; there is no way back to a mixture."""
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.5, keep_dense=True)
    model.load_state_dict(nets.fsdp(nets.net(seed=5)).state_dict(), strict=False)
    assert zeros(model) == prune.report(model).pruned == 76
    with pytest.raises(UndoError):
        prune.undo(model)
    assert zeros(model) == 76


def case_masks_that_are_filled_in_place():
    """As torch.distributed.checkpoint.load does it, which tells nobody."""
    model, other = nets.fsdp(nets.net()), nets.fsdp(nets.net())
    prune.prune_model(other, amount=0.5)
    prune.prune_model(model, prune.Identity, keep_dense=True)
    for i in (0, 2, 3):
        model[i].weight_mask.to_local().copy_(other[i].weight_mask.to_local())
    with pytest.raises(UndoError):
        prune.undo(model)
    assert prune.report(model).pruned == 76


def case_tied_weights_in_files_and_states():
    alone, model, places = Tied(), Tied(), torch.arange(9)
    fully_shard(model)
    for each in (alone, model):
        prune.prune_model(each, amount=0.5)
    digest = prune.save_masks(model, "tied.masks")
    assert prune.save_masks(alone, f"{RANK}.masks") == digest
    fresh = Tied()
    prune.apply_masks(fresh, "tied.masks")
    assert torch.equal(fresh(places), alone(places))
    state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    if RANK == 0:
        for other in (Tied(), fresh):
            prune.load_state_dict(other, state)
            assert other.out.weight_mask.tolist() == other.embedding.weight_mask.tolist()
            assert torch.equal(other(places), alone(places))
    model(places)  # the root's own parameters are whole now
    assert prune.is_pruned(model.out)
    assert prune.report(model.out).pruned == 27
    prune.remove(model.out, "weight")
    assert not prune.is_pruned(model)


def case_a_tied_weight_that_is_unsharded():
    model = Tied()
    fully_shard(model)
    model(torch.arange(9))
    for module in (model.out, model.embedding):
        with pytest.raises(LayoutError, match="unsharded"):
            prune.l1_unstructured(module, "weight", amount=0.5)
    model(torch.arange(9)).sum().backward()


def case_pruned_between_tensor_parallelism_and_fsdp():
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))

    def build() -> nn.Module:
        model = nets.tensor_parallel(nets.net(width=8), mesh["tp"])
        group = mesh["tp"].get_group()
        prune.prune_model(model, amount=0.5, process_group=group)
        return nets.fsdp(model, mesh["dp"])

    alone = nets.net(width=8)
    prune.prune_model(alone, amount=0.5)
    wanted = {n: w.detach() for n, w in ((f"{i}.weight", alone[i].weight) for i in (0, 2, 3))}
    for end in (prune.remove_all, prune.freeze):
        model = build()
        assert torch.equal(nets.gathered(model[0].weight), wanted["0.weight"])
        with pytest.raises(LayoutError, match="cut as it is"):
            prune.prune_model(model, amount=0.5)
        end(model)
        assert not prune.is_pruned(model)
        for name, weight in nets.weights(model).items():
            assert torch.equal(nets.gathered(weight), wanted[name]), name


def case_frozen_where_gradients_are_partial_sums():
    mesh = init_device_mesh("cpu", (4,))
    layer = nn.Linear(6, 3, bias=False)
    whole = nets.net()[3].weight.detach()[:, :6]
    layer.weight = nn.Parameter(distribute_tensor(whole, mesh, [Replicate()]))
    prune.l1_unstructured(layer, "weight", amount=0.5)
    prune.freeze(layer)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    for _ in range(2):
        layer(distribute_tensor(DATA, mesh, [Shard(0)])).square().sum().backward()
        optimizer.step()
    assert int((layer.weight.full_tensor() == 0).sum()) == 9


def case_frozen_in_inference_mode():
    model = nets.fsdp(nets.net())
    prune.prune_model(model, amount=0.5)
    with torch.inference_mode():
        prune.freeze(model)
    trained(model)
    assert zeros(model) == 76


def case_wrapped_modules_on_one_process():
    alone, wrapped = nets.net(), nets.net()
    wrapped[0] = checkpoint_wrapper(wrapped[0])
    prune.prune_model(alone, amount=0.5)
    prune.load_state_dict(wrapped, alone.state_dict())
    assert torch.equal(wrapped(DATA), alone(DATA))
    prune.l1_unstructured(wrapped, "0.weight", amount=3)
    prune.l1_unstructured(alone, "0.weight", amount=3)
    assert torch.equal(wrapped(DATA), alone(DATA))


def case_a_report_by_a_group_that_does_not_hold_the_model():
    model = nets.hsdp(nets.net())
    prune.prune_model(model, amount=0.5)
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("a", "b"))
    for name in ("a", "b"):
        with pytest.raises(ProcessesError, match="not in the process group"):
            prune.report(model, process_group=mesh[name].get_group())
