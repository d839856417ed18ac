"""The leaves of any pytree, by canonical names. The only room that knows containers.

A leaf is called by the way to it, "layers/0/kernel", whether dict keys, attributes or indices lead
there; what a framework puts around an array (`flax.nnx.Variable`, Linen's "params" collection) is
no part of the way. So one network has the same names in every container, and masks find their
leaves by name.
Clause: TIE-04.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from multiprune.errors import MaskError, MaskShapeError, ParametersError

__all__ = ["Tree", "check_masks", "leaves_of_masks"]

_Way = tuple[str, ...]


class Tree:
    """A pytree seen as named leaves.

    Parameters
    ----------
    tree : pytree

    Attributes
    ----------
    leaves : dict
        Every leaf by its canonical name, in the tree's own order; None is not a leaf.
    left_out : list of str
        Names of places, leaves or whole branches, that hold None or `optax.MaskedNode`: they were
        taken out of this tree on purpose.

    Raises
    ------
    ParametersError
        If two leaves have one name (a ValueError).
    """

    def __init__(self, tree: Any) -> None:
        out: list[tuple[str, ...]] = []
        named = list(self._walk(tree, (), out))
        self._structure = jax.tree_util.tree_structure(tree)
        ways = [way for way, _ in named]
        if isinstance(tree, Mapping) and "params" in tree and not _is_a(tree, "flax", "State"):
            shorter = [_inside(way) for way in ways]
            if len(set(map("/".join, shorter))) == len(ways):
                ways, out = shorter, [_inside(way) for way in out]
        names = ["/".join(way) for way in ways]
        self.left_out = ["/".join(way) for way in out]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ParametersError(
                f"the tree has two leaves called {twice}. Rule: a leaf is called by the keys that "
                'lead to it, joined by "/", and each by its own name [TIE-04]. Rename a key that '
                'holds "/".'
            )
        self.leaves = dict(zip(names, (leaf for _, leaf in named), strict=True))

    def replace(self, values: Mapping[str, Any], *, others: Any = None, keep: bool = False) -> Any:
        """Return a tree of the same structure with new leaves.

        Parameters
        ----------
        values : mapping
            New leaves by name.
        others : any
            What replaces leaves without a new one.
        keep : bool
            Let those stay as they are instead.
        """
        leaves = [values.get(n, leaf if keep else others) for n, leaf in self.leaves.items()]
        return jax.tree_util.tree_unflatten(self._structure, leaves)

    def is_left_out(self, name: str) -> bool:
        """Whether this leaf, or a branch that it lies on, was taken out of the tree."""
        return any(name == out or name.startswith(f"{out}/") for out in self.left_out)

    def _walk(self, node: Any, way: _Way, out: list[_Way]) -> Iterator[tuple[_Way, Any]]:
        """Go down level by level, for only the nodes themselves tell what they are."""
        children = jax.tree_util.tree_flatten_with_path(node, is_leaf=lambda x: x is not node)[0]
        if node is None or _is_a(node, "optax", "MaskedNode"):
            out.append(way)
        elif len(children) == 1 and not children[0][0]:
            yield way, node
        else:
            around = _is_a(node, "flax", "Variable")
            for (key, *_), child in children:
                yield from self._walk(child, way if around else (*way, _text(key)), out)


def leaves_of_masks(masks: Any) -> dict[str, Any]:
    """Return masks by canonical names.

    Raises
    ------
    MaskError
        If it is what a pruning returned, or holds a list in place of an array (a ValueError).

    Notes
    -----
    Clause MASK-04.
    """
    if hasattr(masks, "masks") and hasattr(masks, "report"):
        raise MaskError(
            "masks is what a pruning returned. Rule: masks are a tree as that of the parameters "
            "[MASK-04]. Pass the masks in it: masks=pruned.masks."
        )
    leaves = Tree(masks).leaves
    for name, mask in leaves.items():
        if not hasattr(mask, "shape"):
            raise MaskError(
                f"the mask {name} is a {type(mask).__name__}. Rule: a mask is an array of its "
                "leaf's shape [MASK-04]. Make it one: jax.numpy.asarray."
            )
    return leaves


def check_masks(masks: Mapping[str, Any], leaves: Mapping[str, Any], what: str) -> None:
    """Check that every mask has a leaf of its name and shape.

    Raises
    ------
    MaskError, MaskShapeError
        If not (ValueErrors).

    Notes
    -----
    Clause MASK-04.
    """
    lost = sorted(set(masks) - set(leaves))
    if lost:
        raise MaskError(
            f"masks {_some(lost)} match no leaf of {what}. Rule: masks belong to the tree that "
            f"they were made for, name by name; the leaves are {_some(leaves)}, the masks "
            f"{_some(masks)}. Pass the masks of this tree."
        )
    for name, mask in masks.items():
        if np.shape(mask) != np.shape(leaves[name]):
            raise MaskShapeError(
                f"the mask of {name} has shape {np.shape(mask)}, the leaf of {what} "
                f"{np.shape(leaves[name])}. Rule: a mask has the shape of its tensor [MASK-04]."
            )


def _inside(way: _Way) -> _Way:
    """Leave out the collection that Linen keeps parameters in."""
    return way[1:] if way[0] == "params" and way[1:] else way


def _is_a(node: Any, root: str, name: str) -> bool:
    """Whether a class of this name made it, without importing the package that has the class."""
    return any(
        base.__name__ == name and base.__module__.partition(".")[0] == root
        for base in type(node).__mro__
    )


def _text(key: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _some(names: Iterable[str]) -> str:
    """List names, but not hundreds."""
    every = sorted(names)
    return str(every) if len(every) <= 20 else f"{every[:20]} and {len(every) - 20} more"
