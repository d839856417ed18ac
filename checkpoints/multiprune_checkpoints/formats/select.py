"""*which* tensors of a checkpoint are pruned. Names, dtypes and dimensions; no data.

Clauses: TIE-04, ERR-03, SCORE-02, SCORE-03.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from multiprune.errors import DtypeError, ParametersError, ScoresError, ScoresShapeError
from multiprune.patterns import as_patterns, matches
from multiprune_checkpoints.formats.checkpoint import Checkpoint
from multiprune_checkpoints.formats.dtypes import is_float
from multiprune_checkpoints.formats.source import Stored

__all__ = ["matching", "select"]


def select(
    tensors: Mapping[str, Stored],
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    min_ndim: int = 2,
    left_out: Collection[str] = (),
) -> list[Stored]:
    """Choose the tensors that are ranked, in the order of their positions.

    Parameters
    ----------
    tensors : mapping of Stored
        All of them.
    include, exclude : str or iterable of str
        Shell patterns of full names; without `include` all match.
    min_ndim : int
        The fewest dimensions of a pruned tensor: 2 leaves biases and norms alone.
    left_out : collection of str
        Names of those that are no weights; a pattern of `include` that matches nothing else has
        them ranked all the same.

    Returns
    -------
    list of Stored
        Floats only, in the code-point order of their names. Of several names for the same bytes
        the first, if none of them is excluded.

    Raises
    ------
    ParametersTypeError
        If patterns are not strings (a TypeError).
    ParametersError
        If a pattern of `include` matches nothing, or nothing is left (a ValueError).
    DtypeError
        If `include` names a tensor outright that is not a float (a TypeError).

    Notes
    -----
    Clauses TIE-04, ERR-03.
    """
    include, exclude = as_patterns(include, "include"), as_patterns(exclude, "exclude")
    for pattern in include:
        _check_pattern(pattern, tensors)
    weights = tensors.keys() - set(left_out)
    alone = [p for p in include if not any(matches(name, [p]) for name in weights)]
    # Bytes that are excluded under one name are not pruned under another.
    taken = {t.place for name, t in tensors.items() if t.size and matches(name, exclude)}
    chosen = []
    for name in sorted(tensors):
        tensor = tensors[name]
        if (
            is_float(tensor.dtype)
            and len(tensor.shape) >= min_ndim
            and (tensor.size == 0 or tensor.place not in taken)
            and (not include or matches(name, include))
            and (name not in left_out or matches(name, alone))
            and not matches(name, exclude)
        ):
            chosen.append(tensor)
            taken.add(tensor.place)
    if not chosen:
        held = ", ".join(sorted({f"{t.dtype}[{len(t.shape)}d]" for t in tensors.values()})[:8])
        raise ParametersError(
            f"no tensor is left to prune: {include=}, {exclude=}, "
            f"min_ndim={min_ndim}, and the file holds {held or 'none'}, {len(left_out)} of them no "
            "weights. Rule: floats of min_ndim and more dimensions are pruned, at least one "
            "[ERR-03]. See them, and why they are left out, with multiprune inspect; include= "
            "names one all the same."
        )
    return chosen


def matching(scores: Checkpoint, tensors: Sequence[Stored]) -> list[Stored]:
    """Return the scores of tensors, in their order.

    Parameters
    ----------
    scores : Checkpoint
    tensors : sequence of Stored

    Raises
    ------
    ScoresError, ScoresShapeError
        If one is missing or too many, or has another shape (ValueErrors).

    Notes
    -----
    Clauses SCORE-02, SCORE-03.
    """
    names = {tensor.name for tensor in tensors}
    missing = sorted(names - set(scores.tensors))
    unknown = sorted(set(scores.tensors) - names)
    if missing or unknown:
        raise ScoresError(
            f"{scores.path} lacks scores of {missing[:5]} and has some of {unknown[:5]}, which are "
            "not pruned. Rule: one tensor of scores for each that is pruned and no other "
            "[SCORE-03]. Mind --include, --exclude and --min-ndim."
        )
    for tensor in tensors:
        score = scores.tensors[tensor.name]
        if score.shape != tensor.shape:
            raise ScoresShapeError(
                f"{scores.path}: the scores of {tensor.name!r} have shape {score.shape}, its "
                f"tensor {tensor.shape}. Rule: they are the same [SCORE-02]."
            )
    return [scores.tensors[tensor.name] for tensor in tensors]


def _check_pattern(pattern: str, tensors: Mapping[str, Stored]) -> None:
    named = tensors.get(pattern)
    if named is not None and not is_float(named.dtype):
        raise DtypeError(
            f"tensor {pattern!r} is of dtype {named.dtype}. Rule: floats of 8 to 64 bits are "
            "pruned; quantized and whole numbers mean something else than their magnitude. Leave "
            "it out."
        )
    if named is None and not any(matches(name, [pattern]) for name in tensors):
        close = ", ".join(sorted(tensors)[:3])
        raise ParametersError(
            f"include={pattern!r} matches none of {len(tensors)} tensors ({close}, ...). Rule: a "
            "pattern matches full names as a shell does. See them with multiprune inspect."
        )
