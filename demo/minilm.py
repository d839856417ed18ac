"""Prune a real sentence encoder and see what that does to its sentence embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from multiprune_torch import prune
from torch import Tensor, nn

from demo import check
from demo.encoder import SentenceEncoder
from demo.sentences import PAIRS
from demo.wordpiece import WordPiece

if TYPE_CHECKING:
    from demo.fetch import Pretrained
    from multiprune import Report

AMOUNTS = (0.5, 0.8, 0.9)
#: Steps that `study` tells its caller about: the dense model, then each pruning.
STEPS = 2 + len(AMOUNTS)


@dataclass(frozen=True)
class Level:
    """One pruning of the dense weights, and what came of it."""

    amount: float
    dtype: str
    report: Report
    similarities: tuple[float, ...]
    against_numpy: check.Verdict | None
    against_torch: check.Verdict


@dataclass(frozen=True)
class Study:
    """The similarities of the dense model, and every pruning of it."""

    dense: tuple[float, ...]
    levels: tuple[Level, ...]

    @property
    def failures(self) -> int:
        """How many comparisons found masks that differ outside the ties."""
        every = [(level.against_numpy, level.against_torch) for level in self.levels]
        return check.failures([verdict for both in every for verdict in both])


def study(pretrained: Pretrained, step: Callable[[str], None]) -> Study:
    """Embed the sentence pairs with the dense model and with every pruned one.

    Parameters
    ----------
    pretrained : Pretrained
        The weights, configuration and vocabulary.
    step : callable
        Called with a few words before each of the `STEPS` steps.

    Returns
    -------
    Study
        The last level is the bfloat16 one: there, thousands of weights share the threshold.

    Raises
    ------
    RuntimeError
        If the dense model does not tell paraphrases from unrelated sentences.
    """
    tokenizer = WordPiece(pretrained.vocabulary)
    step("MiniLM, dense")
    dense = _similarities(_build(pretrained, torch.float32), tokenizer)
    _expect_sense(dense)
    levels = []
    for amount in AMOUNTS:
        step(f"MiniLM, {amount:.0%} of the weights, and torch's own masks to compare")
        levels.append(_prune(pretrained, torch.float32, amount, tokenizer))
    step("MiniLM in bfloat16, 80%, where ties are common")
    levels.append(_prune(pretrained, torch.bfloat16, 0.8, tokenizer))
    return Study(dense, tuple(levels))


def prunable(model: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """Return the weights with two or more dimensions, by name.

    The names come in code-point order, which is also the order in which `multiprune` reads a
    mapping: where weights tie, order decides.
    """
    found = {
        f"{path}.{name}": (module, name)
        for path, module in model.named_modules()
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.dim() >= 2
    }
    return dict(sorted(found.items()))


def _build(pretrained: Pretrained, dtype: torch.dtype) -> SentenceEncoder:
    with torch.device("meta"):  # no time lost on random weights that are replaced at once
        model = SentenceEncoder(pretrained.config)
    weights = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in pretrained.weights.items()
    }
    model.load_state_dict(weights, assign=True)
    return model.eval()


@torch.no_grad()
def _similarities(model: SentenceEncoder, tokenizer: WordPiece) -> tuple[float, ...]:
    first = model(*tokenizer.batch(pair.first for pair in PAIRS))
    second = model(*tokenizer.batch(pair.second for pair in PAIRS))
    return tuple((first * second).sum(1).tolist())


def _prune(
    pretrained: Pretrained, dtype: torch.dtype, amount: float, tokenizer: WordPiece
) -> Level:
    model, twin = _build(pretrained, dtype), _build(pretrained, dtype)
    pairs = prunable(model)
    weights: dict[str, Tensor] = {
        name: module.get_parameter(parameter).detach()
        for name, (module, parameter) in pairs.items()
    }
    prune.global_unstructured(
        list(pairs.values()), pruning_method=prune.L1Unstructured, amount=amount
    )
    ours = check.masks_of(pairs)
    theirs = check.stock_masks(prunable(twin), amount)
    same = check.numpy_masks(weights, amount)
    return Level(
        amount=amount,
        dtype=str(dtype).removeprefix("torch."),
        report=prune.report(model),
        similarities=_similarities(model, tokenizer),
        against_numpy=None if same is None else check.judge(weights, ours, same),
        against_torch=check.judge(weights, ours, theirs),
    )


def _expect_sense(similarities: Sequence[float]) -> None:
    by_kind = {
        kind: [value for value, pair in zip(similarities, PAIRS, strict=True) if pair.kind == kind]
        for kind in ("same", "far")
    }
    if min(by_kind["same"]) < 0.5 or max(by_kind["far"]) > 0.3:
        raise RuntimeError(f"these are no sentence embeddings: {by_kind}")
