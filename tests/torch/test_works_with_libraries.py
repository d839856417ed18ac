"""Lightning's pruning callback and a transformers model take our classes for torch's."""

from __future__ import annotations

import io
from copy import deepcopy

import pytest
import torch
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock
from torch.utils.data import DataLoader

THEIRS = [
    "ignore::UserWarning:pytorch_lightning",
    "ignore::DeprecationWarning:pytorch_lightning",
    "ignore::FutureWarning:pytorch_lightning",
    "ignore:.*does not have many workers.*:UserWarning",
    "ignore:.*pkg_resources.*:Warning",
    "ignore:.*LeafSpec.*:FutureWarning",
]
LIGHTNING = [pytest.mark.filterwarnings(text) for text in THEIRS]


def lightning_run(callback_of, tmp_path, epochs=3):
    """Train a small net under a callback; return it and its last checkpoint's state."""
    pl = pytest.importorskip("pytorch_lightning")

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))

        def training_step(self, batch, index):
            return self.net(batch).square().mean()

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    torch.manual_seed(0)
    module, data = Module(), torch.randn(8, 6)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[callback_of(pl.callbacks)],
    )
    trainer.fit(module, DataLoader(data, batch_size=4))
    trainer.save_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    return module, state


def zeros(state):
    return {k: v == 0 for k, v in state.items()}


@pytest.mark.parametrize(
    "options",
    [
        {"amount": 0.3, "use_lottery_ticket_hypothesis": False},
        {"amount": 0.3, "use_lottery_ticket_hypothesis": True},
        {"amount": 0.3, "resample_parameters": True, "verbose": 2},
        {"amount": lambda epoch: (0.5, 0.0, 7)[epoch]},
    ],
)
@pytest.mark.parametrize("permanent", [True, False])
def test_lightnings_callback_prunes_globally_with_our_classes(options, permanent, tmp_path):
    states, models = [], []
    for p in (stock, prune):

        def callback(callbacks, p=p):
            return callbacks.ModelPruning(
                p.L1Unstructured, make_pruning_permanent=permanent, **options
            )

        module, state = lightning_run(callback, tmp_path)
        models.append(module)
        states.append(state)
    theirs, ours = states
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        assert torch.equal(ours[key], value), key
    assert prune.is_pruned(models[1]) is not permanent
    assert stock.is_pruned(models[1]) is not permanent
    fresh = type(models[1])()
    prune.load_state_dict(fresh, ours)
    assert prune.is_pruned(fresh) is not permanent
    assert torch.equal(fresh.net(torch.ones(1, 6)), models[1].net(torch.ones(1, 6)))


@pytest.mark.parametrize("name", ["l1_unstructured", "random_unstructured", "ln_structured"])
@pytest.mark.parametrize("globally", [True, False])
def test_lightnings_callback_prunes_with_its_import_changed_to_ours(
    name, globally, tmp_path, monkeypatch
):
    if globally and name == "ln_structured":
        pytest.skip("structured methods prune locally")
    states = []
    for p in (stock, prune):

        def callback(callbacks, p=p):
            pruning = callbacks.pruning
            monkeypatch.setattr(pruning, "pytorch_prune", p)
            for table in (pruning._PYTORCH_PRUNING_FUNCTIONS, pruning._PYTORCH_PRUNING_METHOD):
                for key, value in list(table.items()):
                    monkeypatch.setitem(table, key, getattr(p, value.__name__))
            return callbacks.ModelPruning(
                name,
                amount=0.3,
                use_global_unstructured=globally,
                pruning_dim=0,
                pruning_norm=1,
                parameter_names=["weight"],
                use_lottery_ticket_hypothesis=False,
            )

        states.append(lightning_run(callback, tmp_path)[1])
    theirs, ours = map(zeros, states)
    assert theirs.keys() == ours.keys()
    assert all(int(v.sum()) > 0 for k, v in ours.items() if k.endswith("weight"))
    if name != "l1_unstructured":  # there it is the current weights that ours ranks: DEV-01
        assert all(torch.equal(ours[k], v) for k, v in theirs.items())
    else:
        assert sum(int(v.sum()) for v in ours.values()) == sum(
            int(v.sum()) for v in theirs.values()
        )


for _test in (
    test_lightnings_callback_prunes_globally_with_our_classes,
    test_lightnings_callback_prunes_with_its_import_changed_to_ours,
):
    for _mark in LIGHTNING:
        _mark(_test)


def bert():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=12,
    )
    torch.manual_seed(0)
    return transformers.BertForMaskedLM(config)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_transformers_model_is_pruned_trained_copied_and_saved(tmp_path):
    model = bert()
    ids = torch.arange(24).view(2, 12)
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    decoder = model.cls.predictions.decoder
    assert decoder.weight is model.get_input_embeddings().weight  # tied
    pairs = [(m, "weight") for m in layers] + [(model.get_input_embeddings(), "weight")]
    total = sum(m.weight.numel() for m in layers)
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=0.7)
    assert sum(key.endswith("_mask") for key in model.state_dict()) == len(pairs)
    gone = sum(int((m.weight == 0).sum()) for m in layers)
    assert gone == round(0.7 * total)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(2):
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert sum(int((m.weight == 0).sum()) for m in layers) == gone
    model.eval()
    out = model(input_ids=ids).logits
    assert torch.equal(deepcopy(model)(input_ids=ids).logits, out)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    twin = bert().eval()
    prune.load_state_dict(twin, torch.load(file))
    assert torch.equal(twin(input_ids=ids).logits, out)
    prune.remove_all(model)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    assert torch.equal(again(input_ids=ids).logits, out)
    assert again.get_input_embeddings().weight is again.cls.predictions.decoder.weight
