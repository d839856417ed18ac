"""States as they are saved: without duplicates, with versions, into models on the meta device."""

import pytest
import torch
from multiprune_torch import prune
from multiprune_torch.errors import MaskTypeError, StateError, UnprunableError
from safetensors.torch import load_file, save_model
from torch import nn


class Tied(nn.Module):
    """A language model's head: its weight is the embedding's."""

    def __init__(self, device=None):
        super().__init__()
        self.embedding = nn.Embedding(6, 4, device=device)
        self.middle = nn.Linear(4, 4, device=device)
        self.head = nn.Linear(4, 6, bias=False, device=device)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(self.middle(self.embedding(x)))


TOKENS = torch.arange(6)


@pytest.fixture
def pruned():
    model = Tied()
    prune.prune_model(model, sparsity=0.5)
    return model


def is_same(one, other):
    is_tied = one.head.weight_orig is one.embedding.weight_orig
    return is_tied and torch.equal(one(TOKENS), other(TOKENS))


def test_a_state_that_safetensors_saved_without_duplicates(pruned, tmp_path):
    save_model(pruned, str(tmp_path / "tied.safetensors"))
    state = load_file(tmp_path / "tied.safetensors")
    assert sum(name.endswith("_orig") for name in state) == 2
    fresh = Tied()
    prune.load_state_dict(fresh, state)
    assert is_same(fresh, pruned)
    assert torch.equal(fresh.head.weight_mask, pruned.embedding.weight_mask)


@pytest.mark.parametrize("dropped", ["embedding", "head"])
@pytest.mark.parametrize("assign", [False, True])
def test_either_name_is_enough(pruned, dropped, assign):
    state = {k: v for k, v in pruned.state_dict().items() if not k.startswith(dropped)}
    fresh = Tied(device="meta" if assign else None)
    prune.load_state_dict(fresh, state, assign=assign)
    assert is_same(fresh, pruned)


def test_a_mask_of_its_own_stays_where_only_the_values_were_dropped(pruned):
    state = pruned.state_dict()
    del state["head.weight_orig"]
    state["head.weight_mask"] = torch.ones(6, 4)
    fresh = Tied()
    prune.load_state_dict(fresh, state)
    assert fresh.head.weight_mask.all()
    assert torch.equal(fresh.embedding.weight_mask, pruned.embedding.weight_mask)


def test_a_dense_state_without_duplicates(pruned):
    dense = Tied()
    state = {k: v for k, v in dense.state_dict().items() if k != "head.weight"}
    prune.load_state_dict(pruned, state)
    assert torch.equal(pruned(TOKENS), dense(TOKENS))
    assert not prune.is_pruned(pruned)


def test_of_names_that_are_not_tied_each_is_needed(pruned):
    state = {k: v for k, v in pruned.state_dict().items() if not k.startswith("head")}
    fresh = Tied()
    fresh.head = nn.Linear(4, 6, bias=False)
    with pytest.raises(StateError, match="missing"):
        prune.load_state_dict(fresh, state)
    assert not prune.is_pruned(fresh)


def test_hugging_face_saves_a_tied_model_once(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        n_layer=1, n_head=2, n_embd=8, vocab_size=20, bos_token_id=0, eos_token_id=0
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    prune.prune_model(model, sparsity=0.5)
    model.save_pretrained(tmp_path)
    fresh = transformers.GPT2LMHeadModel(config).eval()
    prune.load_state_dict(fresh, load_file(tmp_path / "model.safetensors"))
    tokens = torch.arange(5)[None]
    assert torch.equal(fresh(tokens).logits, model(tokens).logits)
    assert fresh.lm_head.weight_orig is fresh.transformer.wte.weight_orig


class Versioned(nn.Linear):
    """A module that reads older states otherwise, as quantized layers and batch norms do."""

    _version = 3

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        self.seen = local_metadata.get("version")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def test_versions_reach_the_modules():
    saved, fresh = Versioned(3, 4), Versioned(3, 4)
    prune.l1_unstructured(saved, "weight", 5)
    prune.load_state_dict(fresh, saved.state_dict())
    assert fresh.seen == 3


def test_assign_takes_dtypes(pruned):
    state = {k: v.double() for k, v in pruned.state_dict().items()}
    fresh = Tied()
    prune.load_state_dict(fresh, state, assign=True)
    assert fresh.middle.weight.dtype == fresh.middle.weight_mask.dtype == torch.float64
    assert fresh.middle.weight_orig.data_ptr() == state["middle.weight_orig"].data_ptr()


def test_a_model_on_meta_asks_for_assign(pruned):
    fresh = Tied(device="meta")
    before = list(fresh.state_dict())
    with pytest.raises(StateError, match="assign=True"):
        prune.load_state_dict(fresh, pruned.state_dict())
    assert list(fresh.state_dict()) == before


def test_a_loaded_meta_model_trains_and_comes_back(pruned):
    fresh = Tied(device="meta")
    prune.load_state_dict(fresh, pruned.state_dict(), assign=True)
    fresh(TOKENS).sum().backward()
    assert (fresh.middle.weight_orig.grad[fresh.middle.weight_mask == 0] == 0).all()
    prune.remove_all(fresh)
    assert torch.equal(fresh(TOKENS), pruned(TOKENS))
    assert fresh.head.weight is fresh.embedding.weight


ON_META = {
    "identity": lambda m: prune.identity(m, "weight"),
    "the whole model": lambda m: prune.prune_model(m, prune.Identity),
    "a list": lambda m: prune.global_unstructured([(m, "weight")], prune.Identity),
    "a mask": lambda m: prune.custom_from_mask(m, "weight", torch.ones(4, 3, device="meta")),
}


@pytest.mark.parametrize("what", ON_META)
def test_what_ranks_nothing_is_done_on_meta(what):
    module = nn.Linear(3, 4, device="meta")
    ON_META[what](module)
    assert module.weight.is_meta
    assert module.weight_mask.is_meta
    assert prune.report(module).sparsity == 0
    module.to_empty(device="cpu")
    module.load_state_dict(
        {"weight_orig": torch.ones(4, 3), "weight_mask": torch.eye(4, 3), "bias": torch.ones(4)}
    )
    assert torch.equal(module.weight, torch.eye(4, 3))


@pytest.mark.parametrize(
    "prunes",
    [
        lambda m: prune.l1_unstructured(m, "weight", 3),
        lambda m: prune.random_unstructured(m, "weight", 3),
        lambda m: prune.ln_structured(m, "weight", 1, 2, 0),
        lambda m: prune.prune_model(m, sparsity=0.5),
    ],
)
def test_what_ranks_says_that_there_are_no_values(prunes):
    module = nn.Linear(3, 4, device="meta")
    with pytest.raises(UnprunableError, match="ranked by their values"):
        prunes(module)
    assert list(module._parameters) == ["weight", "bias"]


def test_a_mask_with_values_would_lose_them_on_meta():
    module = nn.Linear(3, 4, device="meta")
    with pytest.raises(MaskTypeError, match="lose its values"):
        prune.custom_from_mask(module, "weight", torch.ones(4, 3))
