"""Code as users write it. mypy checks it, strictly, and `test_types` runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import multiprune_jax
import numpy as np
import numpy.typing as npt
import torch
from multiprune_checkpoints import PrunedCheckpoint, prune_checkpoint
from multiprune_torch import AmountError, prune
from safetensors.numpy import save_file
from torch import nn

import multiprune


def on_torch(model: nn.Sequential) -> float:
    """Prune a model in the ways that README shows."""
    pairs = [(m, "weight") for m in model if isinstance(m, nn.Linear)]
    scores = {pair: torch.rand_like(pair[0].get_parameter("weight")) for pair in pairs}
    prune.global_unstructured(pairs, prune.L1Unstructured, scores, amount=0.2)
    prune.l1_unstructured(model[0], "weight", amount=10, mask_dtype=torch.bool)
    prune.ln_structured(model[2], "weight", amount=1, n="fro", dim=0)
    report = prune.prune_model(
        model, sparsity=0.7, types=nn.Linear, exclude="head*", keep_at_least={"*": 0.1}
    )
    try:
        prune.prune_model(model, amount=1.5, scope=(2, 4))
    except (AmountError, TypeError) as error:
        print(error)
    names: list[str] = prune.remove_all(model)
    return report.sparsity if names else 0.0


def on_numpy(weights: dict[str, npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float32]]:
    """Prune arrays twice, and apply the masks."""
    first = multiprune.global_unstructured(weights, amount=0.3, scope="row")
    pruned = multiprune.global_unstructured(
        weights, multiprune.RandomUnstructured, seed=3, amount=5, masks=first.masks
    )
    applied: dict[str, npt.NDArray[np.float32]] = multiprune.apply_masks(weights, pruned.masks)
    return applied


def on_jax(params: dict[str, jax.Array]) -> Any:
    """Prune a pytree, eagerly and under jit."""

    @jax.jit
    def masks(params: dict[str, jax.Array], count: jax.Array) -> Any:
        return multiprune_jax.global_unstructured(params, amount=count, include="*").masks

    pruned = multiprune_jax.global_unstructured(params, sparsity=0.5, allocation="erk")
    return multiprune_jax.apply_masks(pruned.params, masks(params, jnp.int32(3)))


def on_files(folder: Path) -> PrunedCheckpoint:
    """Prune a checkpoint."""
    save_file({"body": np.ones((4, 4), np.float32)}, folder / "model.safetensors")
    return prune_checkpoint(
        folder / "model.safetensors",
        folder / "pruned.safetensors",
        sparsity=0.5,
        method=multiprune.L1Unstructured,
        exclude="head",
    )
