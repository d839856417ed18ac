"""The oracle: global pruning in plain NumPy, with the clause of SPEC.md at each step.

It is slow, sorts everything, and shares no line with any implementation. When it
and an implementation disagree, one of the two has a bug that this page shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from multiprune_conformance import oracle_counts, oracle_pools
from multiprune_conformance.oracle_counts import count, count_sparsity
from multiprune_conformance.oracle_dtypes import Array, Refused, convert, keys, promote, typed
from multiprune_conformance.oracle_masks import digest, pack, unpack
from multiprune_conformance.oracle_random import philox, philox_block

__all__ = [
    "Refused", "convert", "count", "count_sparsity", "cut", "digest", "global_unstructured",
    "keys", "pack", "philox", "philox_block", "promote", "pruned", "random_structured",
    "random_unstructured", "structured", "unpack",
]  # fmt: skip

Masks = Sequence[Any] | None


def _live(shapes: list[tuple[int, ...]], masks: Masks) -> list[Array]:
    """Check prior masks and return them as booleans (MASK-03 to MASK-05)."""
    priors = [None] * len(shapes) if masks is None else list(masks)
    if not shapes:
        raise Refused("parameters-empty", "no tensor to prune")  # ERR-03
    if len(priors) != len(shapes):
        raise Refused("mask-shape", f"{len(priors)} masks for {len(shapes)} tensors")
    live = []
    for shape, mask in zip(shapes, priors, strict=True):
        if mask is None:
            live.append(np.ones(shape, dtype=bool))
            continue
        values = np.asarray(mask)
        if values.shape != shape:
            raise Refused("mask-shape", f"{values.shape} for a tensor of {shape}")
        if not np.all((values == 0) | (values == 1)):
            raise Refused("mask-values", "a mask holds 0 and 1 only")
        live.append(values == 1)
    return live


def _ranked(key: Array, live: Array, k: int) -> Array:
    """Return the positions that go: the k smallest by (key, position) (RANK-02, TIE-01)."""
    order = np.argsort(key, kind="stable")  # stable, so equal keys stay by position
    return order[live[order]][:k]  # pruned entries rank nothing (MASK-02)


def _flat(arrays: list[Array]) -> Array:
    return np.concatenate([array.reshape(-1) for array in arrays])  # row-major (TIE-02)


def _pool(scores: Sequence[Any], masks: Masks, signed: bool) -> tuple[Array, list[Array]]:
    """Return all keys in a row, and the live entries of each tensor."""
    arrays = [typed(score) for score in scores]
    live = _live([array.data.shape for array in arrays], masks)
    common = promote([array.name for array in arrays])  # TYPE-01
    return _flat([keys(convert(array, common), signed=signed) for array in arrays]), live


def _masks(gone: Array, live: list[Array]) -> list[Array]:
    """Return one mask per tensor: what was live and did not go (MASK-01, RANK-04)."""
    kept = _flat(live)
    kept[gone] = False
    ends = np.cumsum([mask.size for mask in live])[:-1]
    return [part.reshape(mask.shape) for part, mask in zip(np.split(kept, ends), live, strict=True)]


def global_unstructured(
    scores: Sequence[Any], *, amount: Any = None, sparsity: Any = None,
    masks: Masks = None, signed: bool = False,
) -> list[Array]:  # fmt: skip
    """Prune tensors together and return their masks, True where an entry is kept.

    Parameters
    ----------
    scores
        One array per tensor: NumPy, ml_dtypes, or a pair (dtype name, bits).
    amount, sparsity
        Exactly one of the two (AMT-16).
    masks
        Prior masks, None for a tensor without one.
    signed
        Rank by value instead of magnitude.
    """
    key, live = _pool(scores, masks, signed)
    flat = _flat(live)
    return _masks(_ranked(key, flat, oracle_counts.how_many(amount, sparsity, flat)), live)


def pruned(
    scores: Sequence[Any], *, masks: Masks = None, signed: bool = False, seed: Any = None,
    names: Sequence[str] | None = None, **request: Any,
) -> list[Array]:  # fmt: skip
    """Prune tensors in pools and return their masks, True where an entry is kept (SPEC.md 15).

    Parameters
    ----------
    scores
        One array per tensor: NumPy, ml_dtypes, or a pair (dtype name, bits). They stand in the
        order of positions, whatever their names.
    masks, signed
        As in `global_unstructured`.
    seed
        Rank by the draws of this seed in place of the scores, of which only the shapes count.
    names
        What the keys of mappings are matched with; "0", "1", … where there are none (SCOPE-05).
    **request
        amount, sparsity, scope, dim, keep_at_least, prune_at_most, prune_at_least and allocation,
        each None where it is not given (the scope "global").
    """
    if seed is None:
        key, live = _pool(scores, masks, signed)
    else:
        live = _live([_shape(score) for score in scores], masks)
        key = philox(seed, np.arange(_flat(live).size))  # RAND-05
    named = [str(place) for place in range(len(live))] if names is None else names
    return _masks(oracle_pools.chosen(key, live, named, oracle_pools.Request(**request)), live)


def _shape(score: Any) -> tuple[int, ...]:
    pair = isinstance(score, tuple) and len(score) == 2 and isinstance(score[0], str)
    return tuple(np.shape(score[1] if pair else score))


def cut(
    scores: Sequence[Any], *, amount: Any = None, sparsity: Any = None,
    masks: Masks = None, signed: bool = False,
) -> tuple[int, int, int]:  # fmt: skip
    """Return (threshold key, position, ties) (RANK-06, RANK-07).

    `ties` is the number of live entries at the threshold key, gone or kept.
    """
    key, live_parts = _pool(scores, masks, signed)
    live = _flat(live_parts)
    gone = _ranked(key, live, oracle_counts.how_many(amount, sparsity, live))
    if gone.size == 0:
        return -1, -1, 0
    threshold = key[gone[-1]]
    ties = int((live & (key == threshold)).sum())
    all_go = int((key[gone] == threshold).sum()) == ties
    return int(threshold), key.size - 1 if all_go else int(gone[-1]), ties


def random_unstructured(
    shapes: Sequence[tuple[int, ...]], *, seed: int, amount: Any = None, sparsity: Any = None,
    masks: Masks = None,
) -> list[Array]:  # fmt: skip
    """Prune the live entries with the lowest draws (RAND-04, RAND-05)."""
    live = _live([tuple(shape) for shape in shapes], masks)
    flat = _flat(live)
    draws = philox(seed, np.arange(flat.size))
    return _masks(_ranked(draws, flat, oracle_counts.how_many(amount, sparsity, flat)), live)


def structured(norms: Any, mask: Any, dim: int, *, amount: Any) -> Array:
    """Prune whole channels: those of the lowest (norm key, index) (METH-05 to METH-09)."""
    prior = np.asarray(mask)
    if prior.ndim < 2:
        raise Refused("not-structured", f"a tensor of {prior.ndim} dimensions has no channels")
    if not -prior.ndim <= dim < prior.ndim:
        raise Refused("dim", f"{dim} in a tensor of {prior.ndim} dimensions")
    by_channel = np.moveaxis(_live([prior.shape], [prior])[0].copy(), dim, 0)
    others = tuple(range(1, by_channel.ndim))
    live = np.asarray(by_channel.any(axis=others))  # METH-06
    gone = _ranked(keys(norms).reshape(-1), live, oracle_counts.count(amount, int(live.sum())))
    by_channel[gone] = False
    return np.moveaxis(by_channel, 0, dim)


def random_structured(mask: Any, dim: int, *, seed: int, amount: Any) -> Array:
    """Prune channels by the draw of their index (RAND-06)."""
    shape = np.asarray(mask).shape
    channels = shape[dim] if -len(shape) <= dim < len(shape) else 0
    return structured(philox(seed, np.arange(channels)), mask, dim, amount=amount)
