"""Which leaves of a pytree are ranked: floating ones of two and more dimensions, or as asked.

Clauses: TIE-04, ERR-03.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from multiprune.errors import DtypeError, ParametersError, ParametersTypeError
from multiprune.patterns import as_patterns, is_selected
from multiprune_jax.memory import check_width
from multiprune_jax.paths import Tree

__all__ = ["Where", "as_array", "chosen_leaves", "is_weight", "named_leaves"]

Where = Callable[[str, Any], bool]
"""``where(path, leaf)`` says whether a leaf is ranked."""


def is_weight(path: str, leaf: Any) -> bool:
    """Whether a leaf is floating and has two or more dimensions: what is pruned by default.

    One called bias, scale or offset is not, though it has two where layers are stacked.
    """
    if path.rpartition("/")[2] in ("bias", "scale", "offset"):
        return False
    return leaf.ndim >= 2 and bool(jnp.issubdtype(leaf.dtype, jnp.floating))


def named_leaves(
    params: Any,
    where: Where | None = None,
    *,
    include: str | Iterable[str] = "*",
    exclude: str | Iterable[str] = (),
) -> dict[str, jax.Array]:
    """Return the leaves that would be pruned, by canonical name, in the order of their positions.

    Parameters
    ----------
    params : pytree
    where : callable, optional
        ``where(path, leaf)``; floating leaves with two or more dimensions if left out.
    include, exclude : str or iterable of str
        Shell patterns of canonical names.

    Raises
    ------
    ParametersError
        If there are none (a ValueError).

    Notes
    -----
    Clauses TIE-04, ERR-03.
    """
    return chosen_leaves(Tree(params), where, include, exclude)


def chosen_leaves(
    tree: Tree, where: Where | None, include: str | Iterable[str], exclude: str | Iterable[str]
) -> dict[str, jax.Array]:
    """Return the leaves of a tree that are ranked; see `named_leaves`."""
    if where is not None and not callable(where):
        raise ParametersTypeError(
            f"where={where!r} was given. Rule: where is a function of a name and a leaf [ERR-05]. "
            "Write where=lambda name, leaf: ..., or name patterns by include= and exclude=."
        )
    include, exclude = as_patterns(include, "include"), as_patterns(exclude, "exclude")
    leaves = tree.leaves.items()
    arrays = {n: leaf for n, leaf in leaves if hasattr(leaf, "dtype") and hasattr(leaf, "shape")}
    for name, leaf in arrays.items():
        if type(leaf).__module__.partition(".")[0] == "torch":
            raise ParametersTypeError(
                f"{name} is a {type(leaf).__name__} of torch. Rule: leaves are arrays of JAX or "
                "NumPy [ERR-05]. Convert it: leaf.numpy(), or jax.dlpack."
            )
    names: dict[str, list[str]] = {name: [name] for name in sorted(arrays)}
    for further, name in tree.tied.items():
        names[name].append(further)
    chosen = {
        name: as_array(arrays[name], name)
        for name, called in names.items()
        if any(is_selected(each, include, ()) for each in called)
        and all(is_selected(each, ("*",), exclude) for each in called)
        and (
            where(name, arrays[name])
            if where
            else name not in tree.no_parameters and is_weight(name, arrays[name])
        )
    }
    if not chosen:
        seen = [f"{name}: {leaf.dtype}{list(leaf.shape)}" for name, leaf in arrays.items()][:20]
        rule = "where(path, leaf) chose none" if where else "none is floating with ndim >= 2"
        if include != ["*"] or exclude:
            rule = f"{rule}, by the names of include={include} without exclude={exclude}"
        raise ParametersError(
            f"params have no leaf to prune: {rule} of {seen}. Rule: there is at least one "
            "[ERR-03]. Pass where=lambda path, leaf: ..., for example."
        )
    return chosen


def as_array(leaf: Any, name: str) -> jax.Array:
    """Make arrays of other kinds JAX's; those of NumPy are only read, so their memory will do."""
    if isinstance(leaf, jax.Array):
        if not all(isinstance(length, int) for length in leaf.shape):
            raise ParametersError(
                f"{name} has the symbolic shape {leaf.shape}. Rule: how many entries are pruned is "
                "counted of sizes that are known [AMT-02]. Export the function with the shapes of "
                "its parameters as numbers; those of its data may be symbolic."
            )
        return leaf
    if isinstance(leaf, jax.ShapeDtypeStruct):
        raise ParametersTypeError(
            f"{name} is a {leaf}, which has no values. Rule: entries are ranked by their values "
            "[ERR-05]. Pass arrays; for shapes alone call jax.eval_shape on the pruning."
        )
    check_width(leaf, name)
    try:
        return jax.device_put(np.asarray(leaf), may_alias=True)  # type: ignore[no-any-return]
    except TypeError as error:
        raise DtypeError(
            f"{name} has dtype {leaf.dtype}, which JAX does not have: {error}. Rule: leaves are "
            "arrays of JAX, or of NumPy in its dtypes [TYPE-05]. Convert it, by astype."
        ) from None
