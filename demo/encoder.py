"""A BERT sentence encoder in plain torch modules.

The attribute names are those of the published checkpoint, so its tensors load with
``strict=True`` and every report names layers as the checkpoint does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class SentenceEncoder(nn.Module):
    """Embeddings, a stack of transformer layers, the mean over the words, length one.

    Parameters
    ----------
    config : mapping
        The checkpoint's ``config.json``.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.embeddings = _Embeddings(config)
        self.encoder = nn.ModuleDict(
            {"layer": nn.ModuleList(_Layer(config) for _ in range(config["num_hidden_layers"]))}
        )
        # The checkpoint carries a pooler from its pre-training. Mean pooling never calls it, and
        # its weights are tiny: a global ranking finds that out by itself.
        self.pooler = nn.ModuleDict({"dense": _linear(config, "hidden_size", "hidden_size")})

    def forward(self, numbers: Tensor, real: Tensor) -> Tensor:
        """Return one unit vector per text; `real` is False at padding."""
        hidden: Tensor = self.embeddings(numbers)
        layers = self.encoder["layer"]
        assert isinstance(layers, nn.ModuleList)
        for layer in layers:
            hidden = layer(hidden, real)
        weight = real.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * weight).sum(1) / weight.sum(1)
        return functional.normalize(mean, dim=-1)


class _Embeddings(nn.Module):
    position_ids: Tensor

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        size = config["hidden_size"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], size)
        self.position_embeddings = nn.Embedding(config["max_position_embeddings"], size)
        self.token_type_embeddings = nn.Embedding(config["type_vocab_size"], size)
        self.LayerNorm = _norm(config)
        places = torch.arange(config["max_position_embeddings"]).unsqueeze(0)
        self.register_buffer("position_ids", places)

    def forward(self, numbers: Tensor) -> Tensor:
        words = self.word_embeddings(numbers)
        places = self.position_embeddings(self.position_ids[:, : numbers.shape[1]])
        types = self.token_type_embeddings(torch.zeros_like(numbers))
        return _tensor(self.LayerNorm(words + places + types))


class _Layer(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {"self": _SelfAttention(config), "output": _AddAndNorm(config, "hidden_size")}
        )
        self.intermediate = nn.ModuleDict(
            {"dense": _linear(config, "hidden_size", "intermediate_size")}
        )
        self.output = _AddAndNorm(config, "intermediate_size")

    def forward(self, hidden: Tensor, real: Tensor) -> Tensor:
        seen = self.attention["self"](hidden, real)
        hidden = self.attention["output"](seen, hidden)
        wide = functional.gelu(self.intermediate["dense"](hidden))
        return _tensor(self.output(wide, hidden))


class _SelfAttention(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.heads: int = config["num_attention_heads"]
        self.query = _linear(config, "hidden_size", "hidden_size")
        self.key = _linear(config, "hidden_size", "hidden_size")
        self.value = _linear(config, "hidden_size", "hidden_size")

    def forward(self, hidden: Tensor, real: Tensor) -> Tensor:
        query, key, value = (
            part(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        allowed = real[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        return mixed.transpose(1, 2).flatten(2)


class _AddAndNorm(nn.Module):
    def __init__(self, config: Mapping[str, Any], size: str) -> None:
        super().__init__()
        self.dense = _linear(config, size, "hidden_size")
        self.LayerNorm = _norm(config)

    def forward(self, change: Tensor, hidden: Tensor) -> Tensor:
        return _tensor(self.LayerNorm(self.dense(change) + hidden))


def _linear(config: Mapping[str, Any], inside: str, outside: str) -> nn.Linear:
    return nn.Linear(config[inside], config[outside])


def _norm(config: Mapping[str, Any]) -> nn.LayerNorm:
    return nn.LayerNorm(config["hidden_size"], eps=config["layer_norm_eps"])


def _tensor(value: Any) -> Tensor:
    """Tell the type checker what calling a module gives back."""
    assert isinstance(value, Tensor)
    return value
