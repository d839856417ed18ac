"""Importance scores for parameters, checked before anything is changed.

Clauses: SCORE-01 to SCORE-03, SCORE-08.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multiprune.errors import (
    DtypeError,
    MultipruneError,
    ScoresError,
    ScoresShapeError,
    ScoresTypeError,
)
from multiprune.keys import format_of, promote
from multiprune_torch.request.parameters import Place, is_pair, locate
from multiprune_torch.request.refusals import about, show

__all__ = ["check_rankable", "check_scores", "check_table", "match_scores"]


def match_scores(places: Sequence[Place], scores: Any) -> list[torch.Tensor] | None:
    """Return the importance scores of each place, checked; None where none were given.

    Raises
    ------
    ScoresTypeError, ScoresError, ScoresShapeError

    Notes
    -----
    Clauses SCORE-01 to SCORE-03, SCORE-08, DEV-31 to DEV-34.
    """
    if scores is None:
        return None
    check_table(scores)
    by_pair = {_known_as(key): value for key, value in scores.items()}
    matched: list[torch.Tensor] = []
    known = set()
    for place in places:
        keys = [(id(p.module), p.name) for p in (place, *place.shared)]
        known.update(keys)
        value = next((by_pair[k] for k in keys if k in by_pair), None)
        if value is None:
            raise ScoresError(
                f"importance_scores has none for {place}. Rule: scores are given for every "
                "parameter of the call and for no other [SCORE-03]. Its keys are (module, name) "
                "pairs, as in parameters; to rank that weight itself, pass it as its score."
            )
        matched.append(check_scores(place, value))
    unknown = [key for key in scores if _known_as(key) not in known]
    if unknown:
        raise ScoresError(
            f"importance_scores has the keys {[show(k) for k in unknown]}, which are no parameters "
            "of the call. Rule: its keys are the (module, name) pairs of parameters [SCORE-03]."
        )
    return matched


def check_table(scores: Any) -> None:
    """Check that scores, if any, are a dict, and not the amount in their place.

    Raises
    ------
    ScoresTypeError
        If they are not a dict (a TypeError).

    Notes
    -----
    Clauses SCORE-08, DEV-16.
    """
    if scores is not None and not isinstance(scores, dict):
        hint = f" An amount goes by its name: amount={scores!r}."
        raise ScoresTypeError(
            "global_unstructured(): importance_scores must be of type dict. Rule: its keys are the "
            f"(module, name) pairs of parameters [SCORE-08]; a {type(scores).__name__} was given."
            + (hint if isinstance(scores, (int, float)) else "")
        )


def _known_as(key: Any) -> Any:
    """Return how a key of the scores is identified: by its module, wherever a name leads."""
    try:
        module, name = locate(*key) if is_pair(key) else (None, None)
    except MultipruneError:
        return None
    return id(module), name


def check_scores(place: Place, scores: Any) -> torch.Tensor:
    """Check one parameter's scores, and make them a tensor.

    Raises
    ------
    ScoresTypeError
        If they are no array (a TypeError).
    ScoresShapeError
        If they have another shape (a ValueError, an AssertionError and an IndexError).
    """
    try:
        tensor = scores if isinstance(scores, torch.Tensor) else torch.as_tensor(scores)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ScoresTypeError(
            f"importance_scores of {place} is {show(scores)}. Rule: scores are a tensor or what "
            f"torch.as_tensor takes [DEV-34]: {error}"
        ) from None
    if tensor.layout != torch.strided or tensor.is_meta:
        kind = "has no values" if tensor.is_meta else f"is sparse ({tensor.layout})"
        raise ScoresTypeError(
            f"importance_scores of {place} {kind}. Rule: scores are dense, with a value for each "
            "entry [SCORE-08]. Pass scores.to_dense(), or compute them on a real device."
        )
    if tensor.shape != place.orig.shape:
        raise ScoresShapeError(
            f"importance_scores of {place} should have the same shape as the parameter, got "
            f"{tuple(tensor.shape)} vs {tuple(place.orig.shape)} [SCORE-02]. Give each entry "
            "its score at the same place."
        )
    return tensor.detach()


def check_rankable(places: Sequence[Place], scores: Sequence[torch.Tensor]) -> None:
    """Check that dtypes can be ranked, each by itself and together.

    Raises
    ------
    DtypeError
        It names the parameter, or one of each dtype where they do not go together (a TypeError).

    Notes
    -----
    Clauses NUM-12, NUM-13, TYPE-07.
    """
    first: dict[str, Place] = {}
    for place, tensor in zip(places, scores, strict=True):
        name = str(tensor.dtype).removeprefix("torch.")
        if name not in first:
            first[name] = place
            with about(place):
                format_of(name)
    try:
        promote(first)
    except DtypeError as error:
        listed = ", ".join(f"{name} for {place}" for name, place in first.items())
        raise DtypeError(f"{error} Given were {listed}.") from None
