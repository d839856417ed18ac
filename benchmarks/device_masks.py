"""Masks that a device makes, beside those of the CPU, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from multiprune_torch import prune
from torch import nn

from benchmarks.device_times import Reading, name_of, say
from benchmarks.worker import Layer

EQUAL = "equal"
_SPECIAL = [torch.nan, -torch.nan, torch.inf, -torch.inf, 0.0, -0.0, 1e-40, 5e-324, -6e-8, 1.0]
_KINDS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
_L1 = prune.L1Unstructured
_QUESTIONS: dict[str, list[dict[str, Any]]] = {
    "global": [{"amount": 0.8}],
    "prior masks": [{"amount": 0.5}, {"amount": 0.5}],
    "scope=(2, 4)": [{"scope": (2, 4)}],
    'scope="row"': [{"amount": 0.5, "scope": "row"}],
    'scope="tensor", prior masks': [{"amount": 0.4}, {"amount": 0.5, "scope": "tensor"}],
    "keep_at_least": [{"amount": 0.8, "keep_at_least": 0.15}],
    "scope=(2, 4), prior masks": [{"amount": 0.4}, {"scope": (2, 4)}],
    'scope="row", prior masks': [{"amount": 0.4}, {"amount": 0.5, "scope": "row"}],
    "random, seed=1": [{"amount": 0.5, "pruning_method": prune.RandomUnstructured, "seed": 1}],
}


def readings(device: torch.device, *, quick: bool) -> Iterator[Reading]:
    """Compare masks over dtypes, values and questions."""
    rows, large = (64, 1 << 16) if quick else (1024, 100_000_000)
    for values in ("normal", "ties", "NaN, infinities, subnormals"):
        for kind in _KINDS:
            for question, rounds in _QUESTIONS.items():
                if values != "normal" and question in ("random, seed=1", "keep_at_least"):
                    continue
                weights = [_values((n, 512), values, kind) for n in (rows, rows // 2, 8)]
                yield _compared(f"masks, {values}: {question}", weights, rounds, device)
    for kind in (torch.float32, torch.bfloat16):
        weights = [_values((large,), "normal", kind, torch.float32)]
        yield _compared("masks, large: global", weights, [{"amount": 0.8}], device)


def _compared(
    work: str, weights: list[torch.Tensor], rounds: list[dict[str, Any]], device: torch.device
) -> Reading:
    entries, kind = sum(w.numel() for w in weights), name_of(weights[0])
    try:
        here, there = (_pruned(weights, rounds, d) for d in (torch.device("cpu"), device))
        wrong = sum(
            int((a.get_buffer("weight_mask") != b.get_buffer("weight_mask").cpu()).sum())
            for a, b in zip(here, there, strict=True)
        )
    except Exception as error:
        return Reading(work, entries, kind, note=say(error))
    return Reading(work, entries, kind, note=f"{wrong} entries differ" if wrong else EQUAL)


def _pruned(
    weights: list[torch.Tensor], rounds: list[dict[str, Any]], device: torch.device
) -> list[nn.Module]:
    layers: list[nn.Module] = [Layer(weight.to(device)) for weight in weights]
    for options in rounds:
        asked = {"pruning_method": _L1, **options}
        prune.global_unstructured([(layer, "weight") for layer in layers], **asked)
    return layers


def _values(
    shape: tuple[int, ...], values: str, kind: torch.dtype, drawn: torch.dtype = torch.float64
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    numbers = torch.randn(shape, generator=generator, dtype=drawn)
    if values == "ties":
        numbers = (2 * numbers).round() / 2
    elif values != "normal":
        odd = torch.tensor(_SPECIAL, dtype=drawn)
        places = torch.randint(len(_SPECIAL), shape, generator=generator)
        numbers = torch.where(torch.rand(shape, generator=generator) < 0.3, odd[places], numbers)
    return numbers.to(kind)
