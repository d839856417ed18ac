"""Room: importance scores for parameters, checked before anything is changed.

Clauses: SCORE-01 to SCORE-03, SCORE-08.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multiprune.errors import ScoresError, ScoresShapeError, ScoresTypeError
from multiprune_torch.parameters import Place, is_pair, show

__all__ = ["check_scores", "match_scores"]


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
    if not isinstance(scores, dict):
        hint = " An amount goes by its name: amount=..." if isinstance(scores, (int, float)) else ""
        raise ScoresTypeError(
            "global_unstructured(): importance_scores must be of type dict. Rule: its keys are the "
            f"(module, name) pairs of parameters [SCORE-08]; a {type(scores).__name__} was given."
            + hint
        )
    given = {(id(key[0]), key[1]): value for key, value in scores.items() if is_pair(key)}
    found: list[torch.Tensor] = []
    known = set()
    for place in places:
        keys = [(id(p.module), p.name) for p in (place, *place.shared)]
        known.update(keys)
        value = next((given[k] for k in keys if k in given), None)
        if value is None:
            raise ScoresError(
                f"importance_scores has none for {place}. Rule: scores are given for every "
                "parameter of the call and for no other [SCORE-03]. Its keys are (module, name) "
                "pairs, as in parameters; to rank that weight itself, pass it as its score."
            )
        found.append(check_scores(place, value))
    unknown = [key for key in scores if not is_pair(key) or (id(key[0]), key[1]) not in known]
    if unknown:
        raise ScoresError(
            f"importance_scores has the keys {[show(k) for k in unknown]}, which are no parameters "
            "of the call. Rule: its keys are the (module, name) pairs of parameters [SCORE-03]."
        )
    return found


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
    if tensor.shape != place.orig.shape:
        raise ScoresShapeError(
            f"importance_scores of {place} should have the same shape as the parameter, got "
            f"{tuple(tensor.shape)} vs {tuple(place.orig.shape)} [SCORE-02]."
        )
    return tensor.detach()
