"""Evaluation answers with the weights that there are now, whoever wrote to them, and how."""

from __future__ import annotations

import contextlib
import copy
import pickle
import threading

import multiprune_torch.errors as prune_errors
import pytest
import torch
from multiprune_torch import prune
from multiprune_torch.errors import StaleValueError
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

MODES = {
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
    "grad": torch.enable_grad,
}


def layer():
    torch.manual_seed(0)
    return prune.l1_unstructured(nn.Linear(3, 2), "weight", 2).eval()


def product(module):
    return torch.where(module.weight_mask == 1, module.weight_orig, 0)


@pytest.mark.parametrize("write", [lambda w: w.mul_(10), nn.init.ones_, lambda w: w[0].zero_()])
@pytest.mark.parametrize("mode", MODES)
def test_a_write_to_the_value_is_lost_at_the_next_reading(mode, write):
    """As in torch, where the next forward computes it anew (REP-04)."""
    module = layer()
    with MODES[mode]():
        assert torch.equal(module.weight, product(module))
        write(module.weight.detach() if mode == "grad" else module.weight)
        assert torch.equal(module.weight, product(module))
        assert torch.equal(module(torch.eye(3)), product(module).t() + module.bias)


@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("then", MODES)
def test_what_one_mode_has_read_serves_the_others(first, then):
    """A tensor made under inference_mode may not be kept for readers outside it."""
    module = layer()
    with MODES[first]():
        module(torch.ones(1, 3))
    with MODES[then]():
        weight = module.weight
    if then != "inference":
        assert not weight.is_inference()
        x = torch.ones(1, 3, requires_grad=True)
        nn.functional.linear(x, weight).sum().backward()
        assert torch.equal(x.grad[0], product(module).sum(0))


def used(module):
    """Return the weight that a forward of the module hands to its kernel."""
    handed = []
    linear = nn.functional.linear

    def spy(x, weight, bias):
        handed.append(weight)
        return linear(x, weight, bias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.functional, "linear", spy)
        module(torch.ones(1, 3))
    return handed[0]


@pytest.mark.parametrize("mode", ["no_grad", "inference"])
def test_in_the_context_forwards_use_one_tensor_until_something_changes(mode):
    """DEV-55."""
    module = layer()
    with MODES[mode]():
        assert used(module) is not used(module)
        with prune.cached():
            first = used(module)
            assert used(module) is first
            with prune.cached():
                assert used(module) is first
            with torch.inference_mode(False), torch.no_grad():
                module.weight_orig.add_(1)
            assert used(module) is not first
            assert torch.equal(used(module), product(module))
            with torch.enable_grad(), torch.inference_mode(False):
                assert used(module) is not used(module)
        assert used(module) is not used(module)


def test_in_the_context_too_every_other_reader_has_a_tensor_of_his_own():
    module = layer()
    with torch.no_grad(), prune.cached():
        kept = used(module)
        assert module.weight is not kept
        module.weight.numpy().fill(7)
        assert used(module) is kept
        assert torch.equal(module.weight, product(module))


def fused(module):
    module.weight_orig.grad = torch.ones_like(module.weight_orig)
    torch.optim.AdamW([module.weight_orig], lr=0.1, fused=True).step()


def by_memory(module):
    array = module.weight_orig.detach().numpy()
    array += 1


def by_averaging(module):
    averaged = torch.optim.swa_utils.AveragedModel(module)
    with torch.no_grad():
        averaged.module.weight_orig.add_(1)
    torch._foreach_copy_(
        [p.data for p in module.parameters()], [p.data for p in averaged.module.parameters()]
    )


def by_scaler(module):
    scaler = torch.amp.GradScaler("cpu")
    optimizer = torch.optim.SGD([module.weight_orig], lr=0.1, fused=True)
    x = torch.ones(1, 3)
    with torch.enable_grad():
        scaler.scale(module(x).sum()).backward()
    scaler.step(optimizer)
    scaler.update()


def by_a_vector(module):
    vector = nn.utils.parameters_to_vector(module.parameters()) + 1
    nn.utils.vector_to_parameters(vector.detach(), module.parameters())


def by_shared_memory(module):
    module.share_memory()
    process = torch.multiprocessing.get_context("spawn").Process(target=_add_one, args=(module,))
    process.start()
    process.join()
    assert process.exitcode == 0


def _add_one(module):
    with torch.no_grad():
        module.weight_orig.add_(1)


UNCOUNTED = {
    "a fused optimizer": fused,
    "a scaler": by_scaler,
    "a view": lambda m: m.weight_orig.data.add_(1),
    "the mask's view": lambda m: m.weight_mask.data.zero_(),
    "NumPy": by_memory,
    "a swap of averages": by_averaging,
    "a vector": by_a_vector,
    "another process": by_shared_memory,
    "foreach": lambda m: torch._foreach_add_([m.weight_orig.data], 1),
    "a storage": lambda m: m.weight_orig.untyped_storage().copy_(
        torch.full((2, 3), 5.0).untyped_storage()
    ),
    "memory that comes again": lambda m: setattr(m.weight_orig, "data", m.weight_orig.data + 1),
}


@pytest.mark.parametrize("change", UNCOUNTED)
@pytest.mark.parametrize("mode", ["no_grad", "inference"])
def test_no_answer_comes_of_old_weights(change, mode):
    module, x = layer(), torch.ones(1, 3)
    with MODES[mode]():
        before = module(x).clone()
    with torch.no_grad():
        UNCOUNTED[change](module)
    with MODES[mode]():
        assert not torch.equal(module(x), before)
        assert torch.equal(module(x), nn.functional.linear(x, product(module), module.bias))


@pytest.mark.parametrize("change", sorted(UNCOUNTED.keys() - {"another process"}))
def test_a_change_in_the_context_is_seen_or_told(change):
    module, x = layer(), torch.ones(1, 3)
    told, right = None, []

    def evaluate():
        with torch.no_grad(), prune.cached():
            module(x)
            UNCOUNTED[change](module)
            expected = nn.functional.linear(x, product(module), module.bias)
            right.append(torch.equal(module(x), expected))

    try:
        evaluate()
    except StaleValueError as error:
        told = str(error)
    assert right == [True] or "'weight'" in told


def test_a_write_to_what_was_read_in_the_context_is_told():
    module = layer()
    with pytest.raises(StaleValueError), torch.no_grad(), prune.cached():
        used(module).numpy().fill(7)
    with torch.no_grad():
        module.weight.numpy().fill(7)  # it was nobody's but the reader's
        assert torch.equal(module.weight, product(module))


def test_an_error_in_the_context_is_its_own():
    module = layer()

    def fail():
        with torch.no_grad(), prune.cached():
            assert used(module) is used(module)
            module.weight_orig.data.add_(1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()


def test_values_that_are_not_numbers_are_cached_as_others():
    module = layer()
    with torch.no_grad(), prune.cached():
        module.weight_orig.fill_(float("nan"))
        assert used(module) is used(module)


def test_a_context_is_that_of_its_thread():
    module, seen = layer(), []

    def read():
        with torch.no_grad():
            seen.append(used(module) is used(module))

    with torch.no_grad(), prune.cached():
        assert used(module) is used(module)
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    assert seen == [False]


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("in_context", [True, False])
def test_a_merged_adapter_is_kept_where_the_mask_is(grad, training, in_context):
    """As adapters are merged: through the data of the weight (REP-04)."""
    module = layer().train(training)
    orig, kept = module.weight_orig.detach().clone(), module.weight_mask == 1
    x, delta = torch.ones(1, 3), torch.full((2, 3), 0.5)
    context = prune.cached() if in_context else contextlib.nullcontext()
    with torch.set_grad_enabled(grad), context:
        module(x)
        module.weight.data += delta
        assert torch.equal(module.weight_orig, torch.where(kept, orig + delta, orig))
        assert torch.equal(module.weight, product(module))
        assert torch.equal(module(x), nn.functional.linear(x, product(module), module.bias))
        module.weight.data -= delta
        module.weight.data = torch.full((2, 3), 2.0)
        assert torch.equal(module.weight_orig, torch.where(kept, 2.0, orig))
    assert module.weight_orig.requires_grad


def in_place(weight):
    weight += 1


def by_index(weight):
    weight[...] = 3


WRITES = {
    "add_": lambda w: w.add_(1),
    "copy_": lambda w: w.copy_(torch.full((2, 3), 5.0)),
    "fill_": lambda w: w.fill_(7),
    "mul_": lambda w: w.mul_(3),
    "zero_": lambda w: w.zero_(),
    "clamp_": lambda w: w.clamp_(-0.1, 0.1),
    "+=": in_place,
    "[...] =": by_index,
    "[0] =": lambda w: w.__setitem__(0, 2.0),
    "constant_": lambda w: nn.init.constant_(w, 3.0),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("through_data", [True, False])
@torch.no_grad()
def test_a_write_into_a_value_is_kept_where_the_mask_is(write, through_data):
    module = layer()
    orig, kept = module.weight_orig.clone(), module.weight_mask != 0
    expected = torch.where(kept, orig, 0)
    write(expected)
    write(module.weight.data if through_data else module.weight)
    assert torch.equal(module.weight_orig, torch.where(kept, expected, orig))
    assert torch.equal(module.weight, torch.where(kept, expected, 0))


@pytest.mark.parametrize(
    "draw", [nn.init.xavier_uniform_, nn.init.orthogonal_, nn.init.kaiming_normal_]
)
def test_weights_are_initialised_anew(draw):
    module = layer()
    orig, kept = module.weight_orig.detach().clone(), module.weight_mask != 0
    draw(module.weight)
    module.reset_parameters()
    moved = module.weight_orig != orig
    assert moved[kept].all()
    assert not moved[~kept].any()


def test_the_name_may_be_written_to_in_place():
    module = layer()
    before = module.weight.detach()
    with torch.no_grad():
        module.weight += 1
    assert torch.equal(module.weight, torch.where(module.weight_mask != 0, before + 1, 0))


def test_a_write_that_is_recorded_is_a_part_of_a_computation():
    module = layer()
    orig = module.weight_orig.detach().clone()
    module.weight.mul_(2).sum().backward()
    assert torch.equal(module.weight_orig, orig)
    assert torch.equal(module.weight_orig.grad, 2 * module.weight_mask)


@torch.no_grad()
def test_a_write_into_an_older_value_is_refused():
    module = layer()
    older = module.weight
    module.weight_orig.add_(1)
    before = module.weight_orig.clone()
    with pytest.raises(prune_errors.WriteError, match=r"Read module\.weight again"):
        older.add_(1)
    assert torch.equal(module.weight_orig, before)


@pytest.mark.parametrize("data", [torch.ones(2, 3).double(), torch.ones(3, 2), torch.ones(2, 1)])
def test_data_of_another_kind_is_refused(data):
    module = layer()
    before = module.weight_orig.clone()
    with pytest.raises(prune_errors.WriteError, match=r"weight\.data was set"):
        module.weight.data = data
    assert torch.equal(module.weight_orig, before)


def test_a_value_is_a_tensor_like_any_other(tmp_path):
    module = layer()
    value = module.weight
    assert isinstance(value, torch.Tensor)
    assert type(value + 1) is torch.Tensor
    assert type(value.detach()) is torch.Tensor
    assert repr(value.detach()) == repr(product(module).detach())
    assert repr(value).startswith("tensor(")
    torch.save({"w": value.detach(), "v": value}, tmp_path / "value.pt")
    assert torch.equal(torch.load(tmp_path / "value.pt", weights_only=True)["v"], value)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(module.weight), module.weight)
        assert torch.equal(pickle.loads(pickle.dumps(module.weight)), module.weight)


@pytest.mark.parametrize("use_buffers", [True, False])
def test_an_averaged_mask_means_the_same_before_and_after_loading(use_buffers):
    module = layer()
    averaged = torch.optim.swa_utils.AveragedModel(
        module,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9),
        use_buffers=use_buffers,
    )
    averaged.update_parameters(module)
    prune.l1_unstructured(module, "weight", 2)
    averaged.update_parameters(module)
    inner = averaged.module
    with torch.no_grad():
        value = inner.weight.clone()
        expected = torch.where(inner.weight_mask == 0, 0, inner.weight_orig * inner.weight_mask)
        assert torch.equal(value, expected)
        assert ((inner.weight_mask == 0) | (inner.weight_mask == 1)).all() == (not use_buffers)
        inner.load_state_dict(inner.state_dict())
        assert torch.equal(inner.weight, value)


def test_fake_tensors_leave_nothing_behind():
    module, x = layer(), torch.ones(1, 3)
    with torch.no_grad(), prune.cached():
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            module(mode.from_tensor(x))
        assert type(module(x)) is torch.Tensor
        make_fx(module)(x)
        assert type(module(x)) is torch.Tensor
        assert type(module.weight.detach()) is torch.Tensor


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize("dtype", [None, torch.bool, torch.uint8, torch.float64])
@pytest.mark.parametrize("forward_first", [True, False])
@pytest.mark.parametrize("mode", ["no_grad", "grad"])
@pytest.mark.parametrize("in_context", [True, False])
def test_a_trace_reads_original_and_mask(dtype, forward_first, mode, in_context):
    module = prune.l1_unstructured(nn.Linear(3, 2), "weight", 2, mask_dtype=dtype).eval()
    x = torch.ones(1, 3)
    context = prune.cached() if in_context else contextlib.nullcontext()
    with MODES[mode](), context:
        if forward_first:
            module(x)
        traced = torch.jit.trace(module, (x,))
    assert torch.equal(traced(x), module(x))
    assert "weight_orig" in str(traced.inlined_graph)
    assert "threshold_backward" not in str(traced.inlined_graph)
