"""Prune a real sentence encoder and see what that does to its sentence embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from multiprune_torch import prune
from torch import nn

from demo.encoder import SentenceEncoder
from demo.sentences import PAIRS
from demo.wordpiece import WordPiece
from multiprune.packed import digest, pack
from multiprune.verdict import DIFFERENT, Verification
from multiprune.verify import verify

if TYPE_CHECKING:
    from demo.fetch import Pretrained
    from multiprune import Report

AMOUNTS = (0.5, 0.8, 0.9)
DTYPES = (torch.float32, torch.bfloat16)
#: The masks of all are compared with those of the first.
BACKENDS = ("numpy", "torch", "jax", "torch.nn.utils.prune")
#: Steps that `study` tells its caller about: the dense model, then each pruning.
STEPS = 1 + len(AMOUNTS) * len(DTYPES)


@dataclass(frozen=True)
class Level:
    """One pruning of the dense weights, and what came of it.

    `masks` is the digest of the masks that the modules hold, and `elsewhere` what every backend
    makes of the same weights.
    """

    amount: float
    dtype: str
    report: Report
    similarities: tuple[float, ...]
    masks: str
    elsewhere: Verification

    @property
    def agrees(self) -> bool:
        """Whether nothing differs anywhere but the choice among ties, which stock torch leaves."""
        reference = self.elsewhere.outcomes[0].digest
        return self.elsewhere.verdict != DIFFERENT and self.masks == reference


@dataclass(frozen=True)
class Study:
    """The similarities of the dense model, and every pruning of it."""

    dense: tuple[float, ...]
    levels: tuple[Level, ...]

    @property
    def failures(self) -> int:
        """How many prunings made masks that differ somewhere outside the ties."""
        return sum(not level.agrees for level in self.levels)


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
        In bfloat16, the later half of the levels, thousands of weights share the threshold.

    Raises
    ------
    RuntimeError
        If the dense model does not tell paraphrases from unrelated sentences.
    """
    tokenizer = WordPiece(pretrained.vocabulary)
    step("MiniLM, dense")
    dense = _similarities(_build(pretrained, torch.float32), tokenizer)
    _expect_sense(dense)
    _set_up()
    levels = []
    for dtype in DTYPES:
        for amount in AMOUNTS:
            step(f"MiniLM in {_name(dtype)}, {amount:.0%} of the weights, on every backend")
            levels.append(_prune(pretrained, dtype, amount, tokenizer))
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


def _set_up() -> None:
    """Let every framework do what it does at its first call, so that no time shows it."""
    verify({"w": torch.ones(2, 2)}, amount=0.5, backends=BACKENDS)


def _prune(
    pretrained: Pretrained, dtype: torch.dtype, amount: float, tokenizer: WordPiece
) -> Level:
    model = _build(pretrained, dtype)
    pairs = prunable(model)
    weights = {
        name: module.get_parameter(parameter).detach()
        for name, (module, parameter) in pairs.items()
    }
    elsewhere = verify(weights, amount=amount, backends=BACKENDS)
    prune.global_unstructured(
        list(pairs.values()), pruning_method=prune.L1Unstructured, amount=amount
    )
    return Level(
        amount=amount,
        dtype=_name(dtype),
        report=prune.report(model),
        similarities=_similarities(model, tokenizer),
        masks=_digest(pairs),
        elsewhere=elsewhere,
    )


def _digest(pairs: Mapping[str, tuple[nn.Module, str]]) -> str:
    """Return the digest of the masks that pruned modules hold."""
    masks = {
        name: (module.get_buffer(f"{parameter}_mask") != 0).numpy()
        for name, (module, parameter) in pairs.items()
    }
    return digest({name: (mask.shape, pack(mask.tobytes())) for name, mask in masks.items()})


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _expect_sense(similarities: Sequence[float]) -> None:
    by_kind = {
        kind: [value for value, pair in zip(similarities, PAIRS, strict=True) if pair.kind == kind]
        for kind in ("same", "far")
    }
    if min(by_kind["same"]) < 0.5 or max(by_kind["far"]) > 0.3:
        raise RuntimeError(f"these are no sentence embeddings: {by_kind}")
