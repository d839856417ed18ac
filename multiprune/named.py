"""The collections that tensors come in. In with names and an order, out as they came.

Clauses: TIE-03, TIE-04, SCORE-02, SCORE-03, ERR-03.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from multiprune._array import Array, is_array, namespace_of
from multiprune.errors import (
    MaskError,
    ParametersError,
    ParametersTypeError,
    ScoresError,
    ScoresShapeError,
    ScoresTypeError,
)
from multiprune.masks import check_mask

__all__ = ["Named", "named"]


class Named:
    """Tensors in the order of their positions.

    Attributes
    ----------
    names : list of str
        A mapping's names in code-point order, or ``"0"``, ``"1"``, ...
    values : list of array
    """

    def __init__(self, source: Any, names: list[str], values: list[Array]) -> None:
        self.source, self.names, self.values = source, names, values

    def matching(self, other: Any, what: str, *, optional: bool = False) -> list[Any]:
        """Return another collection's tensors in this one's order.

        Parameters
        ----------
        other : sequence, mapping or None
            One tensor for each of ours, of its shape. None means our own tensors, or, where
            `optional`, for a None each; then single tensors may be None or missing, too.
        what : str
            Its name, for messages.
        optional : bool

        Raises
        ------
        ScoresTypeError, ScoresError, ScoresShapeError
        """
        if other is None:
            return [None] * len(self.values) if optional else self.values
        if hasattr(other, "masks") and hasattr(other, "report"):
            raise ScoresTypeError(
                f"{what} is what a pruning returned. Rule: it has the structure of the tensors "
                f"[SCORE-03]. Pass the masks in it: {what}=pruned.masks."
            )
        if isinstance(other, Mapping) != isinstance(self.source, Mapping) or not isinstance(
            other, Iterable
        ):
            raise ScoresTypeError(
                f"{what} is a {type(other).__name__}. Rule: it has the structure of the tensors, "
                f"a {type(self.source).__name__} [SCORE-03]."
            )
        arrays = dict(other) if isinstance(other, Mapping) else _numbered(other)
        unknown = [name for name in arrays if name not in self.names]
        missing = [name for name in self.names if name not in arrays and not optional]
        if unknown or missing:
            raise ScoresError(
                f"{what} lacks {missing} and names {unknown}, which are not pruned. Rule: it holds "
                f"one array for each tensor and no other [SCORE-03]; the tensors are {self.names}."
            )
        matched: list[Any] = [arrays.get(name) for name in self.names]
        for name, array, tensor in zip(self.names, matched, self.values, strict=True):
            if optional and (array is None or _is_numpy(array)):
                continue  # masks may lie on the host: `masks` converts them
            if not is_array(array) or not _is_of(array, tensor):
                error = MaskError if what == "masks" else ScoresTypeError
                raise error(
                    f"{what} of {name} is a {_kind(array)}, its tensor a {_kind(tensor)}. Rule: "
                    "what belongs to a tensor is an array of the same framework [SCORE-03]. "
                    "Convert it first."
                )
            if not optional and tuple(array.shape) != tuple(tensor.shape):
                raise ScoresShapeError(
                    f"{what} of {name} has shape {tuple(array.shape)}, its tensor "
                    f"{tuple(tensor.shape)}. Rule: scores have their tensor's shape [SCORE-02]."
                )
        return matched

    def masks(self, masks: Any) -> list[Any]:
        """Return prior masks in this order, checked; None for a tensor that has none.

        Raises
        ------
        ScoresTypeError, ScoresError, MaskError, MaskShapeError
            If they do not belong to the tensors.
        """
        matched = self.matching(masks, "masks", optional=True)
        for i, (name, tensor, mask) in enumerate(
            zip(self.names, self.values, matched, strict=True)
        ):
            if mask is not None:
                check_mask(mask, tensor, name, xp=namespace_of(mask))
                if not _is_of(mask, tensor):
                    matched[i] = namespace_of(tensor).asarray(mask)
        return matched

    def rebuild(self, values: list[Array]) -> Any:
        """Put one value for each tensor into the structure that the tensors came in."""
        if isinstance(self.source, Mapping):
            by_name = dict(zip(self.names, values, strict=True))
            return {name: by_name[name] for name in self.source}
        return tuple(values) if isinstance(self.source, tuple) else values


def named(tensors: Any) -> Named:
    """Give each tensor a name and a place.

    Raises
    ------
    ParametersTypeError
        If it is not a sequence or mapping with text for names (a TypeError).
    ParametersError
        If it is empty (a ValueError).

    Notes
    -----
    Clauses TIE-03, TIE-04, ERR-03.
    """
    if hasattr(tensors, "shape") or not isinstance(tensors, Iterable) or isinstance(tensors, str):
        raise ParametersTypeError(
            f"{type(tensors).__name__} was given. Rule: tensors come in a list, a tuple, or a dict "
            "with names [ERR-05]. Write [array] for a single one."
        )
    if isinstance(tensors, Mapping):
        if not all(isinstance(name, str) for name in tensors):
            raise ParametersTypeError(
                f"the names {[n for n in tensors if not isinstance(n, str)]!r} are no text. Rule: "
                "tensors in a dict are ranked in the code-point order of their names [TIE-04]."
            )
        names = sorted(tensors)
        values = [tensors[name] for name in names]
    else:
        tensors = tensors if isinstance(tensors, tuple) else list(tensors)
        names, values = list(_numbered(tensors)), list(tensors)
    if not values:
        raise ParametersError(
            "no tensors were given. Rule: there is at least one to prune [ERR-03]. Was an iterator "
            "used up, or a filter too narrow?"
        )
    for name, value in zip(names, values, strict=True):
        if is_array(value) and is_array(values[0]) and not _is_of(value, values[0]):
            raise ParametersTypeError(
                f"tensor {name} is a {_kind(value)}, tensor {names[0]} a {_kind(values[0])}. Rule: "
                "tensors that are ranked together are of one framework [ERR-05]. Convert them "
                "first."
            )
    return Named(tensors, names, values)


def _numbered(values: Iterable[Any]) -> dict[str, Any]:
    return {str(i): value for i, value in enumerate(values)}


def _is_of(array: Array, tensor: Array) -> bool:
    """Whether two arrays are of one framework."""
    if type(array) is type(tensor):
        return True
    try:
        namespace_of(array, tensor)
    except TypeError:
        return False
    return True


def _is_numpy(array: Any) -> bool:
    return type(array).__module__ == "numpy" and type(array).__name__ == "ndarray"


def _kind(array: Any) -> str:
    return f"{type(array).__module__.partition('.')[0]}.{type(array).__name__}".removeprefix(
        "builtins."
    )
