"""The collections that tensors come in. In with names and an order, out as they came.

Clauses: TIE-03, TIE-04, SCORE-02, SCORE-03, ERR-03.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from multiprune._array import Array
from multiprune.errors import (
    ParametersError,
    ParametersTypeError,
    ScoresError,
    ScoresShapeError,
    ScoresTypeError,
)

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
            One tensor for each of ours, of its shape. None stands for our own tensors, or, where
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
        if isinstance(other, Mapping) != isinstance(self.source, Mapping) or not isinstance(
            other, Iterable
        ):
            raise ScoresTypeError(
                f"{what} is a {type(other).__name__}. Rule: it has the structure of the tensors, "
                f"a {type(self.source).__name__} [SCORE-03]."
            )
        given = dict(other) if isinstance(other, Mapping) else _numbered(other)
        unknown = [name for name in given if name not in self.names]
        missing = [name for name in self.names if name not in given and not optional]
        if unknown or missing:
            raise ScoresError(
                f"{what} lacks {missing} and names {unknown}, which are not pruned. Rule: it holds "
                f"one array for each tensor and no other [SCORE-03]; the tensors are {self.names}."
            )
        found: list[Any] = [given.get(name) for name in self.names]
        for name, array, tensor in zip(self.names, found, self.values, strict=True):
            if optional:
                continue  # masks have a check of their own
            if tuple(array.shape) != tuple(tensor.shape):
                raise ScoresShapeError(
                    f"{what} of {name} has shape {tuple(array.shape)}, its tensor "
                    f"{tuple(tensor.shape)}. Rule: scores have their tensor's shape [SCORE-02]."
                )
        return found

    def rebuild(self, values: list[Array]) -> Any:
        """Put one value for each tensor into the structure that the tensors came in."""
        if isinstance(self.source, Mapping):
            found = dict(zip(self.names, values, strict=True))
            return {name: found[name] for name in self.source}
        return tuple(values) if isinstance(self.source, tuple) else values


def named(tensors: Any) -> Named:
    """Give each tensor a name and a place.

    Raises
    ------
    ParametersTypeError
        If it is no sequence or mapping with text for names (a TypeError).
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
    return Named(tensors, names, values)


def _numbered(values: Iterable[Any]) -> dict[str, Any]:
    return {str(i): value for i, value in enumerate(values)}
