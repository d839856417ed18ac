"""Ranking where the arrays are: traced, on an accelerator, or sharded over a mesh.

Nothing comes to the host but counts; under ``jit`` not even those.
Clauses: AMT, RANK, SCOPE, GROUP, BOUND, ALLOC, METH-05 to METH-09.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import accumulate
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from multiprune.masks import live_channels, spread
from multiprune.methods import CustomFromMask, LnStructured, PruningMethod, RandomStructured
from multiprune.order import Order
from multiprune.question import Question, count_in
from multiprune.scope import Pools, Scope
from multiprune.structured import channel_norms, check_dim, check_norm
from multiprune_jax.asked import Ask, Asked, asker, at_most, count_traced
from multiprune_jax.bits import draws, ordered
from multiprune_jax.columns import LeafColumn, check_size, is_alone, joined
from multiprune_jax.counts import Count
from multiprune_jax.local import keep_groups, keep_rows, row_sums
from multiprune_jax.membership import Membership
from multiprune_jax.named_masks import as_mask
from multiprune_jax.report import count_kept, counts_of_rows
from multiprune_jax.traced import Found, traced_cuts

__all__ = ["Masks", "compiled", "compiled_local", "count_live", "count_rows", "mask_of", "rank"]

Masks = Sequence[jax.Array | None]


def rank(
    scores: Sequence[jax.Array],
    question: Question,
    method: PruningMethod,
    masks: Masks,
    names: Sequence[str],
    amount: jax.Array | None = None,
) -> list[jax.Array]:
    """Rank tensors in a traced function, and return their masks.

    Parameters
    ----------
    scores : sequence of arrays
        In the order of positions.
    question : Question
    method : PruningMethod
    masks : sequence of (array of bool or None)
        Prior masks.
    names : sequence of str
        Of the tensors.
    amount : integer array, optional
        A traced count, instead of the method's; more than is left is all that is left.
    """
    order = Order.of([score.dtype.name for score in scores], method, names)
    shapes = [score.shape for score in scores]
    pools = question.pools(names, shapes)
    if question.scope.kind == "group":
        return prune_local(scores, masks, None, order, question.scope)
    if question.scope.kind == "row":
        counts = [
            count_rows(question, score.shape, mask, name, amount)
            for score, mask, name in zip(scores, masks, names, strict=True)
        ]
        return prune_local(scores, masks, counts, order, question.scope)
    known = not any(isinstance(mask, jax.core.Tracer) for mask in masks)
    live = count_live(shapes, masks, pools) if known else None
    ask = asker(question, pools, names, shapes, live, amount)
    return prune_pools(scores, masks, order, pools.of, ask, join=True)[0]


def prune_pools(
    scores: Sequence[jax.Array],
    masks: Masks,
    order: Order,
    pools: Sequence[int],
    ask: Ask,
    *,
    join: bool = False,
) -> tuple[list[jax.Array], Found]:
    """Return masks of pools of whole tensors, and their cuts.

    With `join` small tensors share a column, and nothing is known of each but its mask.
    """
    keys, make = _ordered(scores, order)
    sizes = [score.size for score in scores]
    groups: list[tuple[int, ...]] = [(i,) for i in range(len(sizes))]
    if join and is_alone():
        groups = joined(sizes, [(p, s.dtype) for p, s in zip(pools, scores, strict=True)])
    columns = [LeafColumn.of(group, keys, make, order.bits, masks) for group in groups]
    members = Membership([pools[group[0]] for group in groups], max(pools) + 1)
    cuts = traced_cuts(columns, sizes, members, order.bits, ask)
    kept: dict[int, jax.Array] = {}
    for i, (column, pool) in enumerate(zip(columns, members.of, strict=True)):
        shapes = [scores[leaf].shape for leaf in column.leaves]
        border = cuts.borders[i : i + 1]
        leaf_masks = column.keep(cuts.threshold[pool : pool + 1], border, shapes)
        kept.update(zip(column.leaves, leaf_masks, strict=True))
    return [kept[i] for i in range(len(scores))], cuts


def prune_local(
    scores: Sequence[jax.Array],
    masks: Masks,
    counts: Sequence[jax.Array] | None,
    order: Order,
    scope: Scope,
) -> list[jax.Array]:
    """Return masks of rows, of each of which so many entries are pruned, or of groups."""
    kept = []
    ranked, make = _ordered(scores, order)
    for i, (keys, alive) in enumerate(zip(ranked, masks, strict=True)):
        if counts is None:
            where = scope.dim, scope.keep, scope.of
            kept.append(keep_groups(keys, make, order.bits, alive, *where))
        else:
            kept.append(keep_rows(keys, make, order.bits, alive, scope.dim, counts[i]))
    return kept


@partial(jax.jit, static_argnums=(2, 3))
def compiled(
    scores: Sequence[jax.Array], masks: Masks, order: Order, pools: Sequence[int], asked: Asked
) -> tuple[list[jax.Array], Found]:
    """Rank arrays with values in one program; see `prune_pools`."""
    return prune_pools(scores, masks, order, pools, lambda live: asked)


compiled_local: Any = jax.jit(prune_local, static_argnums=(3, 4))
"""Rows and groups of arrays with values, in one program."""


def count_live(shapes: Sequence[tuple[int, ...]], masks: Masks, pools: Pools) -> list[int]:
    """Count the unpruned entries of each pool, of masks with values."""
    live = [0] * len(pools.sizes)
    for shape, mask, pool in zip(shapes, masks, pools.of, strict=True):
        live[pool] += math.prod(shape) if mask is None else count_kept(mask)
    return live


def count_rows(
    question: Question,
    shape: tuple[int, ...],
    mask: jax.Array | None,
    name: str,
    amount: jax.Array | None = None,
) -> Any:
    """Return how many entries are pruned of each row of a tensor: uint32, shape (rows,).

    Raises
    ------
    AmountError, SparsityError
        If so many cannot be pruned of one, and that is known (ValueErrors).
    AmountTypeError
        If the count takes numbers that are traced (a TypeError).
    """
    dim = question.scope.dim
    rows = shape[dim]
    size = math.prod(shape) // rows if rows else 0
    if isinstance(mask, jax.core.Tracer) or amount is not None:
        live = jnp.full(rows, size, np.uint32) if mask is None else row_sums(mask, dim)
        each = Count.of_words(live)
        wanted = count_traced(question.target, amount, [size] * rows)(each)
        return at_most(wanted, each).within(live)
    known = np.full(rows, size) if mask is None else counts_of_rows(mask, dim)
    counts = np.zeros(rows, np.uint32)
    for alive in np.unique(known):
        row = int(np.flatnonzero(known == alive)[0])
        label = f"tensor {name}, row {row}"
        counts[known == alive] = count_in(question.target, label, size, int(alive))
    return counts


def mask_of(
    leaf: jax.Array, method: PruningMethod, mask: jax.Array | None, *, scores: jax.Array
) -> jax.Array:
    """Prune one array by any method; see `multiprune.mask_of`.

    Notes
    -----
    Clauses METH-01 to METH-11.
    """
    if isinstance(method, CustomFromMask):
        own = as_mask(method.mask, "the given mask")
        return own if mask is None else own & mask
    if not isinstance(method, LnStructured | RandomStructured):
        return rank([scores], Question(method.target), method, [mask], ["0"])[0]
    dim = check_dim(leaf.shape, method.dim)
    with nullcontext() if isinstance(mask, jax.core.Tracer) else jax.ensure_compile_time_eval():
        live = None if mask is None else live_channels(mask, leaf, dim, xp=jnp)
    if isinstance(method, LnStructured):
        check_norm(method.n, leaf.ndim)
        alive = scores if mask is None else jnp.where(mask, scores, jnp.zeros_like(scores))
        norms = channel_norms(alive, method.n, dim, xp=jnp)
    else:
        norms = jnp.zeros(leaf.shape[dim], dtype=jnp.float32)
    kept = rank([norms], Question(method.target), method.of_channels(), [live], ["0"])[0]
    whole: jax.Array = spread(kept, mask, leaf, dim, xp=jnp)
    return whole


def _ordered(
    scores: Sequence[jax.Array], order: Order
) -> tuple[list[jax.Array], Callable[[jax.Array], jax.Array]]:
    """Return what is ranked of each tensor, and what makes keys of it."""
    for score in scores:
        check_size(score.shape)
    if order.seed is None:
        make = partial(ordered, fmt=order.format, signed=order.signed)
        return [jax.lax.stop_gradient(score) for score in scores], make
    offsets = accumulate((math.prod(score.shape) for score in scores), initial=0)
    every = zip(scores, offsets, strict=False)
    return [draws(order.seed, at, score.shape) for score, at in every], _as_it_is


def _as_it_is(keys: jax.Array) -> jax.Array:
    return keys
