"""A pruned model goes through the rest of torch: saved, averaged, compiled, exported, copied."""

from __future__ import annotations

import gc
import io
import pickle
import warnings
from copy import deepcopy

import pytest
import torch
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

from multiprune.errors import MultipruneError

X = torch.linspace(-1, 1, 12).view(2, 6)


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def pruned(amount=0.5):
    model = net()
    pairs = [(model[0], "weight"), (model[2], "weight")]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=amount)
    return model


def expected(model, x=X):
    """The same computation on plain tensors."""
    state = model.state_dict()

    def weight(i):
        if f"{i}.weight" in state:
            return state[f"{i}.weight"]
        return torch.where(state[f"{i}.weight_mask"] == 1, state[f"{i}.weight_orig"], 0)

    hidden = nn.functional.linear(x, weight(0), state["0.bias"]).relu()
    return nn.functional.linear(hidden, weight(2), state["2.bias"])


def step(model, rate=0.1):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    model(X).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("how", ["pickle", "torch.save"])
def test_a_pickled_model_goes_on_where_it_was(how):
    model = pruned()
    step(model)
    file = io.BytesIO()
    if how == "pickle":
        copy = pickle.loads(pickle.dumps(model))
    else:
        torch.save(model, file)
        file.seek(0)
        copy = torch.load(file, weights_only=False)
    assert torch.equal(copy(X), model(X))
    step(copy)
    assert torch.equal(copy(X), expected(copy))
    prune.l1_unstructured(copy[0], "weight", 0.5)
    prune.remove(copy[0], "weight")
    assert int((copy[0].weight == 0).sum()) > int((model[0].weight == 0).sum())


def test_averaged_models_copy_and_follow():
    model = pruned()
    model(X).sum().backward()
    for average in (
        AveragedModel(model),
        AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn()),
    ):
        first = deepcopy(model)
        average.update_parameters(model)
        step(model)
        average.update_parameters(model)
        assert torch.equal(average.module(X), expected(average.module))
        assert not torch.equal(average(X), first(X))
        assert torch.equal(average.module[0].weight_mask, model[0].weight_mask)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_models_have_no_breaks_and_see_pruning_and_removal(backend):
    torch._dynamo.reset()
    model = net()
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its internals
        for change in (
            lambda: None,
            lambda: prune.l1_unstructured(model[0], "weight", 0.5),
            lambda: prune.l1_unstructured(model[0], "weight", 0.5),
            lambda: step(model),
            lambda: model[0].weight_orig.data.mul_(2),
            lambda: prune.remove(model[0], "weight"),
        ):
            change()
            for context in (torch.enable_grad(), torch.no_grad()):
                with context:
                    assert torch.allclose(compiled(X), expected(model), atol=1e-6)
            model.zero_grad()
            compiled(X).sum().backward()
            gradients = [p.grad.clone() for p in model.parameters()]
            model.zero_grad()
            model(X).sum().backward()
            for ours, want in zip(gradients, model.parameters(), strict=True):
                assert torch.allclose(ours, want.grad, atol=1e-6)
    torch._dynamo.reset()


@pytest.mark.parametrize("training", [True, False])
def test_exported_models_compute_the_same_and_stay_untouched(training):
    model = pruned().train(training)
    before = list(model[0]._forward_pre_hooks.items())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(model, (X,))
    assert torch.equal(program.module()(X), expected(model))
    assert set(program.state_dict) == set(model.state_dict())
    step(model)
    assert torch.equal(model(X), expected(model))
    assert list(model[0]._forward_pre_hooks.items()) == before


def test_traced_models_compute_the_same():
    model = pruned()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(model, X)
        graph = torch.fx.symbolic_trace(model)
    assert torch.equal(traced(X), expected(model))
    assert torch.equal(graph(X), expected(model))


def test_activation_checkpoints_give_the_same_gradients():
    model, plain = pruned(), pruned()
    checkpoint(model, X, use_reentrant=False).square().sum().backward()
    plain(X).square().sum().backward()
    for ours, want in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours.grad, want.grad)


def test_autocast_computes_in_the_lower_dtype():
    model = pruned()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(X)
        again = model(X)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, again)
    out.float().square().sum().backward()
    assert torch.all(model[0].weight_orig.grad[model[0].weight_mask == 0] == 0)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        model.eval()(X)
        model[0].weight_orig.mul_(3)
        assert torch.equal(model(X), pruned_times_three_in_bfloat16())


def pruned_times_three_in_bfloat16():
    model = pruned()
    for module in (model[0], model[2]):
        prune.remove(module, "weight")
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        model[0].weight.mul_(3)
        return model(X)


def test_replicas_of_data_parallel_use_their_own_tensors():
    model = pruned()
    replica = model[0]._replicate_for_data_parallel()
    for name, parameter in model[0]._parameters.items():
        setattr(replica, name, parameter.detach() * 2)  # as `replicate` does: no longer a Parameter
    for name, buffer in model[0].named_buffers():
        replica._buffers[name] = buffer.clone()
    weight = model[0].weight
    assert torch.equal(replica(X), nn.functional.linear(X, 2 * weight, 2 * model[0].bias))
    assert torch.equal(model[0].weight, weight)
    assert torch.equal(nn.DataParallel(model)(X), model(X))


def test_quantization_is_exact_after_removal_and_refuses_a_pruned_model():
    model = pruned()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao's deprecations
        quantize = torch.ao.quantization.quantize_dynamic
        early = quantize(deepcopy(model), {nn.Linear}, dtype=torch.qint8)
        with pytest.raises(MultipruneError, match=r"Call prune\.remove before converting"):
            early(X)
        prune.remove_all(model)
        quantized = quantize(model, {nn.Linear}, dtype=torch.qint8)
        assert torch.allclose(quantized(X), expected(model), atol=0.05)
        assert torch.all(quantized[0].weight().dequantize()[model[0].weight == 0] == 0)


def live_bytes():
    gc.collect()
    storages = {}
    for thing in gc.get_objects():
        if type(thing) in (torch.Tensor, nn.Parameter) and thing.layout == torch.strided:
            storage = thing.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


@pytest.mark.parametrize(("p", "leaks"), [(stock, True), (prune, False)], ids=["torch", "ours"])
@pytest.mark.slow
def test_memory_and_files_are_constant_over_twenty_rounds(p, leaks):
    """DEV-04: torch keeps another mask in each round."""
    model = nn.Sequential(*(nn.Linear(60, 60, bias=False) for _ in range(4)))
    dense, before = len(pickle.dumps(model)), live_bytes()
    sizes, files = [], []
    for i in range(20):
        p.global_unstructured([(m, "weight") for m in model], p.L1Unstructured, amount=0.05)
        with torch.no_grad():
            model(torch.ones(1, 60))
        if i in (0, 19):
            sizes.append(live_bytes() - before)
        files.append(len(pickle.dumps(model)) / dense)
    assert (sizes[-1] > sizes[0]) is leaks
    assert (max(files) > 3.1) is leaks
    if not leaks:
        assert sizes[0] <= 2 * 4 * 60 * 60 * 4  # the masks, and at most the pruned copies
