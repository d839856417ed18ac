"""Train a small network on scikit-learn's digits, prune it, fine-tune it with the masks held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from multiprune_torch import prune
from sklearn.datasets import load_digits  # type: ignore[import-untyped]
from sklearn.model_selection import train_test_split  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from multiprune import Report

SPARSITIES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98)
SEEDS = (0, 1, 2)
#: Steps that `study` tells its caller about: one training and every sparsity, per seed.
STEPS = len(SEEDS) * (1 + len(SPARSITIES))
_EPOCHS, _TUNING_EPOCHS, _BATCH = 40, 10, 64
#: The sparsity whose report stands in for MiniLM's where that was not fetched.
SHOWN = 0.9


@dataclass(frozen=True)
class Study:
    """Test accuracies; one inner tuple per seed, in the order of `SPARSITIES`."""

    dense: tuple[float, ...]
    one_shot: tuple[tuple[float, ...], ...]
    tuned: tuple[tuple[float, ...], ...]
    report: Report


@dataclass(frozen=True)
class _Data:
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def study(step: Callable[[str], None]) -> Study:
    """Measure accuracy against sparsity, pruned in one shot and fine-tuned after it.

    Parameters
    ----------
    step : callable
        Called with a few words before each of the `STEPS` steps.

    Returns
    -------
    Study
    """
    threads = torch.get_num_threads()
    # Layers this small gain nothing from a second thread, and wait for it on a busy machine.
    torch.set_num_threads(1)
    try:
        return _study(step)
    finally:
        torch.set_num_threads(threads)


def _study(step: Callable[[str], None]) -> Study:
    data = _data()
    dense, one_shot, tuned = [], [], []
    shown: Report | None = None
    for seed in SEEDS:
        step(f"digits, seed {seed}: training")
        torch.manual_seed(seed)
        trained = _network()
        _train(trained, data, _EPOCHS)
        dense.append(_accuracy(trained, data))
        before, after = [], []
        for sparsity in SPARSITIES:
            step(f"digits, seed {seed}: {sparsity:.0%} pruned, then fine-tuned")
            model = _network()
            model.load_state_dict(trained.state_dict())
            layers = [(layer, "weight") for layer in model if isinstance(layer, nn.Linear)]
            prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=sparsity)
            before.append(_accuracy(model, data))
            _train(model, data, _TUNING_EPOCHS)
            after.append(_accuracy(model, data))
            _expect_held(model, sparsity)
            if sparsity == SHOWN:
                shown = prune.report(model)
        one_shot.append(tuple(before))
        tuned.append(tuple(after))
    assert shown is not None
    return Study(tuple(dense), tuple(one_shot), tuple(tuned), shown)


def _data() -> _Data:
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=0)
    train, test, train_labels, test_labels = (torch.from_numpy(part) for part in parts)
    # Pixels run from 0 to 16.
    return _Data((train.float() / 16, train_labels), (test.float() / 16, test_labels))


def _network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )


def _train(model: nn.Sequential, data: _Data, epochs: int) -> None:
    images, labels = data.train
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(labels)), _BATCH):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(images[batch]), labels[batch])
            torch.autograd.backward(loss)
            optimizer.step()


@torch.no_grad()
def _accuracy(model: nn.Sequential, data: _Data) -> float:
    images, labels = data.test
    return float((model(images).argmax(1) == labels).double().mean())


def _expect_held(model: nn.Sequential, sparsity: float) -> None:
    """Check after training that what was pruned is still zero, and that it is as much as asked."""
    weights = [layer.weight for layer in model if isinstance(layer, nn.Linear)]
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    asked = round(sparsity * sum(weight.numel() for weight in weights))
    if zeros < asked:
        raise RuntimeError(f"{asked - zeros} pruned weights came back during fine-tuning")
