"""Twelve architectures walk the whole way: pruned, trained, saved, loaded, made permanent.

Made from their configurations, with weights of their own initialisation.
"""

from __future__ import annotations

import pytest
import torch
from multiprune_torch import prune
from safetensors.torch import load_file, save_model
from torch import nn
from torch.nn.utils import parametrizations

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:transformers"),
    pytest.mark.filterwarnings("ignore:.*nested tensor.*:UserWarning"),
]
TOKENS = torch.arange(12).reshape(2, 6) % 29


def hugging_face(config, kind, **inputs):
    """A model of transformers, small, and a call of it."""

    def build():
        transformers = pytest.importorskip("transformers")
        small = {
            "vocab_size": 32,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            **CONFIGS[config],
        }
        return getattr(transformers, kind)(getattr(transformers, config)(**small))

    return build, inputs


CONFIGS = {
    "BertConfig": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    },
    "GPT2Config": {"n_embd": 16, "n_layer": 2, "n_head": 2},
    "T5Config": {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2},
    "ViTConfig": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 8,
        "patch_size": 4,
    },
    "LlamaConfig": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 32,
    },
    "MixtralConfig": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 32,
        "num_local_experts": 3,
        "tie_word_embeddings": True,
    },
    "WhisperConfig": {
        "d_model": 16,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "num_mel_bins": 8,
        "max_source_positions": 8,
        "max_target_positions": 16,
        "decoder_start_token_id": 1,
    },
}


class Lstm(nn.Module):
    """Embedding, two layers both ways, a head."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(32, 8)
        self.lstm = nn.LSTM(8, 8, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, tokens):
        return self.head(self.lstm(self.embedding(tokens))[0])


class Transformer(nn.Module):
    """torch's own encoder and decoder."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(32, 16)
        self.body = nn.Transformer(16, 2, 1, 1, 32, dropout=0.0, batch_first=True)

    def forward(self, tokens):
        x = self.embedding(tokens)
        return self.body(x, x)


class Normed(nn.Module):
    """A layer of which parametrizations own the weight, beside one that is plain."""

    def __init__(self):
        super().__init__()
        self.normed = parametrizations.weight_norm(nn.Linear(6, 8))
        self.plain = nn.Linear(8, 4)

    def forward(self, x):
        return self.plain(torch.relu(self.normed(x)))


def convolutional():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )
    return net.to(memory_format=torch.channels_last)


class Experts(nn.Module):
    """A mixture of experts in one tensor of three dimensions, and a head that is the embedding."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(32, 8)
        self.router = nn.Linear(8, 3, bias=False)
        self.experts = nn.Parameter(torch.randn(3, 8, 8) / 3)
        self.head = nn.Linear(8, 32, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        x = self.embedding(tokens)
        chances = self.router(x).softmax(-1)
        return self.head(torch.einsum("bti,eij,bte->btj", x, self.experts, chances))


ARCHITECTURES = {
    "BERT": hugging_face("BertConfig", "BertForMaskedLM", input_ids=TOKENS),
    "GPT-2": hugging_face("GPT2Config", "GPT2LMHeadModel", input_ids=TOKENS),
    "T5": hugging_face(
        "T5Config", "T5ForConditionalGeneration", input_ids=TOKENS, decoder_input_ids=TOKENS
    ),
    "ViT": hugging_face(
        "ViTConfig", "ViTForImageClassification", pixel_values=torch.ones(2, 3, 8, 8)
    ),
    "Llama": hugging_face("LlamaConfig", "LlamaForCausalLM", input_ids=TOKENS),
    "Mixtral": hugging_face("MixtralConfig", "MixtralForCausalLM", input_ids=TOKENS),
    "Whisper": hugging_face(
        "WhisperConfig",
        "WhisperForConditionalGeneration",
        input_features=torch.ones(2, 8, 16),
        decoder_input_ids=TOKENS,
    ),
    "LSTM": (Lstm, {"tokens": TOKENS}),
    "Transformer": (Transformer, {"tokens": TOKENS}),
    "weight_norm": (Normed, {"x": torch.ones(2, 6)}),
    "convolutional, channels_last": (
        convolutional,
        {"input": torch.ones(2, 3, 8, 8).to(memory_format=torch.channels_last)},
    ),
    "experts, tied": (Experts, {"tokens": TOKENS}),
}


def outputs(model, inputs):
    model.eval()
    with torch.no_grad():
        result = model(**inputs)
    return result if isinstance(result, torch.Tensor) else result.logits


def train(model, inputs, steps=3):
    """Three steps of AdamW, under weight decay."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        result = model(**inputs)
        (result if isinstance(result, torch.Tensor) else result.logits).square().mean().backward()
        optimizer.step()


def weights(model):
    return {full: getattr(module, name) for full, module, name in places(model)}


def places(model):
    for path, module in model.named_modules():
        for name in [n.removesuffix("_mask") for n in module._buffers if n.endswith("_mask")]:
            if f"{name}_orig" in module._parameters:
                yield f"{path}.{name}" if path else name, module, name


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_whole_way(name, tmp_path):
    build, inputs = ARCHITECTURES[name]
    torch.manual_seed(0)
    model = build()
    dense = {n: p.detach().clone() for n, p in model.named_parameters()}
    report = prune.prune_model(model, sparsity=0.6)
    assert report.pruned == round(0.6 * report.size)
    assert not any("parametrizations" in row.name for row in report.tensors)
    zeros = {full: value == 0 for full, value in weights(model).items()}
    assert sum(int(mask.sum()) for mask in zeros.values()) >= report.pruned

    train(model, inputs)
    assert all((value[zeros[full]] == 0).all() for full, value in weights(model).items())
    assert any(
        not torch.equal(p, dense[n.removesuffix("_orig")]) for n, p in model.named_parameters()
    )
    after = outputs(model, inputs)
    assert after.isfinite().all()

    torch.save(model.state_dict(), tmp_path / "model.pt")
    save_model(model, str(tmp_path / "pruned.safetensors"))
    for state in (
        torch.load(tmp_path / "model.pt", weights_only=True),
        load_file(tmp_path / "pruned.safetensors"),
    ):
        torch.manual_seed(1)
        fresh = build()
        prune.load_state_dict(fresh, state)
        assert torch.equal(outputs(fresh, inputs), after)

    kept = {full: value.detach().clone() for full, value in weights(model).items()}
    assert sorted(prune.remove_all(model)) == sorted(zeros)
    assert all(torch.equal(model.get_parameter(full), value) for full, value in kept.items())
    # Not to the bit: torch takes another kernel for a weight that requires a gradient.
    torch.testing.assert_close(outputs(model, inputs), after)
    after = outputs(model, inputs)
    save_model(model, str(tmp_path / "sparse.safetensors"))
    torch.manual_seed(2)
    fresh = build()
    assert set(dense) == {n for n, _ in fresh.named_parameters()}
    prune.load_state_dict(fresh, load_file(tmp_path / "sparse.safetensors"))
    assert torch.equal(outputs(fresh, inputs), after)
    for full, mask in zeros.items():
        assert (fresh.get_parameter(full)[mask] == 0).all()
