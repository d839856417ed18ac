"""What torch saves beside plain tensors: read as torch reads it, and said where it is kept."""

import collections
import warnings

import pytest
from multiprune_checkpoints import inspect_checkpoint, prune_checkpoint

torch = pytest.importorskip("torch")


def quiet(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls these prototypes
        return make()


PLAIN = {
    "set": lambda: {1, 2},
    "Counter": lambda: collections.Counter("aab"),
    "bytearray": lambda: bytearray(b"a"),
    "complex": lambda: 1 + 2j,
    "dtype": lambda: torch.float16,
    "int1": lambda: torch.Size([2]),
}
OTHERS = {
    "quantized": lambda: torch.quantize_per_tensor(torch.ones(3, 3), 0.1, 0, torch.qint8),
    "quantized by channel": lambda: torch.quantize_per_channel(
        torch.ones(3, 3), torch.ones(3), torch.zeros(3), 0, torch.qint8
    ),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "jagged": lambda: torch.nested.nested_tensor(
        [torch.ones(2), torch.ones(3)], layout=torch.jagged
    ),
    "sparse": lambda: torch.eye(3).to_sparse(),
    "sparse rows": lambda: torch.eye(3).to_sparse_csr(),
    "on the meta device": lambda: torch.empty(3, 3, device="meta"),
}
ARRAYS = {
    "complex32": lambda: torch.ones(3, 3).to(torch.complex32),
    "complex128": lambda: torch.ones(3, 3).to(torch.complex128),
    "uint16": lambda: torch.ones(3, 3).to(torch.uint16),
}


def pruned(folder, saved):
    torch.save(saved, folder / "model.pt")
    torch.load(folder / "model.pt", weights_only=True)  # or it is not for us to read
    done = prune_checkpoint(folder / "model.pt", folder / "pruned.pt", sparsity=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return done, torch.load(folder / "pruned.pt", weights_only=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [*PLAIN, *OTHERS, *ARRAYS])
def test_whatever_torch_reads_is_read_and_kept(kind, tmp_path):
    value = quiet((PLAIN | OTHERS | ARRAYS)[kind])
    done, loaded = pruned(tmp_path, {"value": value, "weight": torch.randn(8, 8)})
    assert [t.name for t in done.report.tensors] == ["weight"]
    assert (loaded["weight"] == 0).sum() == 32
    if kind in PLAIN:
        assert loaded["value"] == value
    elif kind in OTHERS:
        what = {"quantized by channel": "quantized", "jagged": "nested", "sparse rows": "sparse"}
        assert done.left_out["value"] == f"{what.get(kind, kind)}, no dense array"
        assert loaded["value"].layout == value.layout
    else:
        assert "value" in done.untouched
        assert loaded["value"].dtype == value.dtype
        assert torch.equal(loaded["value"].view(torch.uint8), value.view(torch.uint8))


def test_a_tensor_with_attributes_is_a_tensor(tmp_path):
    weight = torch.randn(8, 8)
    weight.tag = "mine"
    done, loaded = pruned(tmp_path, {"weight": weight})
    assert done.report.pruned == 32
    assert loaded["weight"].tag == "mine"


def test_a_convolution_in_channels_last_is_left_out_and_named(tmp_path):
    net = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3), torch.nn.Conv2d(4, 4, 1))
    state = net.to(memory_format=torch.channels_last).state_dict()
    done, loaded = pruned(tmp_path, {**state, "fc.weight": torch.randn(8, 8)})
    assert "save it .contiguous()" in done.left_out["0.weight"]
    assert torch.equal(loaded["0.weight"], state["0.weight"])
    facts = {t.name: t for t in inspect_checkpoint(tmp_path / "model.pt").tensors}
    assert "save it .contiguous()" in facts["0.weight"].left_out


def test_a_pruned_model_goes_on_with_its_masks(tmp_path):
    from multiprune_torch import prune

    net = torch.nn.Sequential(torch.nn.Linear(30, 30), torch.nn.Linear(30, 30))
    prune.prune_model(net, sparsity=0.5)
    done, _ = pruned(tmp_path, net.state_dict())
    assert done.report.size == 1800
    masks = tmp_path / "masks.safetensors"
    done = prune_checkpoint(
        tmp_path / "model.pt", tmp_path / "more.pt", sparsity=0.8, save_masks=masks
    )
    assert done.report.pruned == 1440
    fresh = torch.nn.Sequential(torch.nn.Linear(30, 30), torch.nn.Linear(30, 30))
    prune.load_state_dict(fresh, torch.load(tmp_path / "more.pt", weights_only=True))
    prune.prune_model(net, sparsity=0.8)
    for module, other in zip(net, fresh, strict=True):
        assert torch.equal(module.weight_mask, other.weight_mask)
        assert torch.equal(module.weight, other.weight)


def test_a_lightning_checkpoint_is_read_by_its_name(tmp_path):
    saved = {
        "state_dict": {"fc.weight": torch.randn(8, 8)},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.randn(8, 8)}}}],
    }
    torch.save(saved, tmp_path / "last.ckpt")
    done = prune_checkpoint(tmp_path / "last.ckpt", tmp_path / "pruned.ckpt", sparsity=0.5)
    assert [t.name for t in done.report.tensors] == ["state_dict.fc.weight"]


OPTIMIZERS = {
    "Adagrad": {}, "RMSprop": {"momentum": 0.9, "centered": True}, "Rprop": {}, "ASGD": {},
    "Adadelta": {}, "Adamax": {}, "LBFGS": {},
}  # fmt: skip


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("key", ["solver", "state"])
def test_an_optimizers_state_is_none_of_the_weights_whatever_its_key(kind, key, tmp_path):
    net = torch.nn.Linear(8, 8)
    optimizer = getattr(torch.optim, kind)(net.parameters(), **OPTIMIZERS[kind])
    for _ in range(2):
        optimizer.step(lambda: (net(torch.ones(2, 8)) ** 2).sum())
    net(torch.ones(2, 8)).sum().backward()
    optimizer.step(lambda: net(torch.ones(2, 8)).sum())
    state = optimizer.state_dict()
    done, loaded = pruned(tmp_path, {"net": net.state_dict(), key: state})
    assert [t.name for t in done.report.tensors] == ["net.weight"]
    own = {n for n in done.untouched if n.startswith(f"{key}.")}
    assert own
    assert {done.left_out[name] for name in own} == {"the state of an optimizer"}
    assert str(loaded[key]) == str(state)
