"""The leaves of any pytree, by canonical names.

A leaf is called by the way to it, "layers/0/kernel", whether dict keys, attributes or indices lead
there; what a framework puts around an array (`flax.nnx.Variable`, Linen's "params" collection) is
no part of the way. So one network has the same names in every container, and masks find their
leaves by name.
Clause: TIE-04.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from multiprune.errors import ParametersError
from multiprune_jax.containers import check_node, is_a, is_variable

__all__ = ["Tree"]

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
    tied : dict of str
        Further names of a parameter that a module holds several times (one `flax.nnx.Variable`),
        with its first name, which alone is among the leaves.
    left_out : list of str
        Names of places, leaves or whole branches, that hold None or `optax.MaskedNode`: they were
        taken out of this tree on purpose.
    no_parameters : set of str
        Leaves that are told not to be parameters: Variables of other kinds than `flax.nnx.Param`,
        collections beside Linen's "params".

    Raises
    ------
    ParametersError
        If two leaves have one name, or the tree holds an optimizer's state (a ValueError).

    Notes
    -----
    Clauses TIE-04, DEV-11.
    """

    def __init__(self, tree: Any) -> None:
        self._tree, self._structure = tree, jax.tree_util.tree_structure(tree)
        self._out: list[_Way] = []
        self._others: set[_Way] = set()
        self._variables: dict[int, _Way] = {}
        self._tied: dict[_Way, _Way] = {}
        named = list(self._walk(tree, ()))
        ways = [way for way, _ in named]
        short: Callable[[_Way], _Way] = _as_it_is
        if isinstance(tree, Mapping) and "params" in tree and not is_a(tree, "flax", "State"):
            self._others |= {way for way in ways if way[0] != "params"}
            if len({"/".join(_inside(way)) for way in ways}) == len(ways):
                short = _inside
        self._names = ["/".join(short(way)) for way in ways]
        if len(set(self._names)) < len(self._names):
            twice = sorted({name for name in self._names if self._names.count(name) > 1})
            raise ParametersError(
                f"the tree has two leaves called {twice}. Rule: a leaf is called by the keys that "
                'lead to it, joined by "/", and each by its own name [TIE-04]. Rename a key that '
                'holds "/".'
            )
        self.tied = {"/".join(short(a)): "/".join(short(b)) for a, b in self._tied.items()}
        self.left_out = ["/".join(short(way)) for way in self._out]
        self.no_parameters = {"/".join(short(way)) for way in self._others}
        self.leaves = {
            name: leaf
            for name, (_, leaf) in zip(self._names, named, strict=True)
            if name not in self.tied
        }

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
        leaves = [
            values.get(name, self.leaves[name] if keep else others)
            for name in (self.tied.get(name, name) for name in self._names)
        ]
        new = jax.tree_util.tree_unflatten(self._structure, leaves)
        return self._tie(new) if self.tied else new

    def own_names(self, masks: Mapping[str, Any]) -> dict[str, Any]:
        """Call masks by the first names of their leaves; what any name prunes is pruned: DEV-11."""
        own: dict[str, Any] = {}
        for name, mask in masks.items():
            first = self.tied.get(name, name)
            own[first] = mask if first not in own else jnp.logical_and(own[first], mask)
        return own

    def is_left_out(self, name: str) -> bool:
        """Whether this leaf, or a branch that it lies on, was taken out of the tree."""
        return any(name == out or name.startswith(f"{out}/") for out in self.left_out)

    def _tie(self, new: Any) -> Any:
        """Make Variables one again that were one before."""
        ties: dict[int, Any] = {}

        def tie(old: Any, node: Any) -> Any:
            return ties.setdefault(id(old), node) if is_variable(old) else node

        return jax.tree.map(tie, self._tree, new, is_leaf=is_variable)

    def _walk(self, node: Any, way: _Way) -> Iterator[tuple[_Way, Any]]:
        """Go down level by level, for only the nodes themselves tell what they are."""
        children = jax.tree_util.tree_flatten_with_path(node, is_leaf=lambda x: x is not node)[0]
        if node is None or is_a(node, "optax", "MaskedNode"):
            self._out.append(way)
        elif len(children) == 1 and not children[0][0]:
            yield way, node
        else:
            check_node(node, way)
            around = is_variable(node) or is_a(node, "flax", "AxisMetadata")
            below = [
                leaf
                for (key, *_), child in children
                for leaf in self._walk(child, way if around else (*way, _text(key)))
            ]
            if is_variable(node):
                first = self._variables.setdefault(id(node), way)
                if first != way:
                    self._tied |= {here: first + here[len(way) :] for here, _ in below}
                if not is_a(node, "flax", "Param") and type(node).__name__ != "Variable":
                    self._others |= {here for here, _ in below}
            yield from below


def _inside(way: _Way) -> _Way:
    """Leave out the collection that Linen keeps parameters in."""
    return way[1:] if way[0] == "params" and way[1:] else way


def _as_it_is(way: _Way) -> _Way:
    return way


def _text(key: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)
