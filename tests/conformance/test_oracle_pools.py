"""The oracle's pools against exhaustive search, tuples and sorted()."""

import itertools
import math
import random
from fractions import Fraction

import numpy as np
import pytest
from multiprune_conformance import oracle, oracle_allocation, oracle_bounds
from multiprune_conformance.oracle_dtypes import Refused

WORDS = [0, 0x8000, 0x0001, 0x3C00, 0xBC00, 0x7C00, 0x7E00, 0xFE01, 0x4000, 0x3800]


def drawn(draw, shapes):
    """Return float16 scores with ties, NaN and zeros, and prior masks."""
    size = math.prod
    scores = [
        ("float16", np.array([draw.choice(WORDS) for _ in range(size(s))], "uint16").reshape(s))
        for s in shapes
    ]
    masks = [np.array([draw.random() < 0.75 for _ in range(size(s))]).reshape(s) for s in shapes]
    return scores, [None if draw.random() < 0.2 else mask for mask in masks]


def entries_of(scores, masks):
    """Return (key, position, tensor, index) of every live entry."""
    entries, start = [], 0
    for tensor, (score, mask) in enumerate(zip(scores, masks, strict=True)):
        key = oracle.keys(score)
        live = np.ones(key.shape, bool) if mask is None else mask
        for place, index in enumerate(np.ndindex(key.shape)):
            if live[index]:
                entries.append((int(key[index]), start + place, tensor, index))
        start += key.size
    return entries


def masks_of(scores, entries, gone):
    kept = [np.zeros(score[1].shape, bool) for score in scores]
    for entry in set(entries) - set(gone):
        kept[entry[2]][entry[3]] = True
    return kept


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def by_pools(scores, masks, pool_of, pools, count):
    """Prune the lowest of each pool; `count` says how many of (live, size)."""
    entries = sorted(entries_of(scores, masks))
    gone = []
    for pool, size in pools.items():
        members = [e for e in entries if pool_of(e[2], e[3]) == pool]
        gone += members[: count(len(members), size)]
    return masks_of(scores, entries, gone)


SHAPES = [(3, 4), (2, 2, 4), (4, 8), (1, 4), (0, 4), (5, 0), (2, 4, 3, 1)]


@pytest.mark.parametrize("seed", range(60))
def test_tensors_rows_and_named_pools(seed):
    draw = random.Random(seed)
    shapes = [draw.choice(SHAPES) for _ in range(draw.randrange(1, 4))]
    scores, masks = drawn(draw, shapes)
    amount = draw.choice([0.0, 0.3, 0.5, 0.9, 1.0])
    labels = {str(place): draw.choice("xy") for place in range(len(shapes))}

    def part(live, size):
        return round(amount * live)

    each = {place: math.prod(shape) for place, shape in enumerate(shapes)}
    found = oracle.pruned(scores, masks=masks, amount=amount, scope="tensor")
    assert same(found, by_pools(scores, masks, lambda t, i: t, each, part))
    found = oracle.pruned(scores, masks=masks, amount=amount, scope=labels)
    named = dict.fromkeys(labels.values(), 0)
    assert same(found, by_pools(scores, masks, lambda t, i: labels[str(t)], named, part))
    for dim in (0, 1, -1):
        found = oracle.pruned(scores, masks=masks, amount=amount, scope="row", dim=dim)
        rows = {(t, r): 0 for t, shape in enumerate(shapes) for r in range(shape[dim])}
        assert same(found, by_pools(scores, masks, lambda t, i, d=dim: (t, i[d]), rows, part))


@pytest.mark.parametrize("seed", range(40))
def test_groups(seed):
    draw = random.Random(seed)
    dim = draw.choice([0, 1, -1])
    m = draw.choice([1, 2, 4])
    n = draw.randrange(1, m + 1)
    shapes = [draw.choice([(4, 8), (4, 4, 4), (8, 4, 12), (0, 4), (4, 0)]) for _ in range(2)]
    scores, masks = drawn(draw, shapes)

    def group(tensor, index):
        along = dim % len(index)
        return tensor, index[:along], index[along] // m, index[along + 1 :]

    groups = {group(e[2], e[3]): m for e in entries_of(scores, [None] * 2)}
    expected = by_pools(scores, masks, group, groups, lambda live, size: max(0, live - n))
    assert same(oracle.pruned(scores, masks=masks, scope=(n, m), dim=dim), expected)


@pytest.mark.parametrize("seed", range(150))
def test_the_bounded_optimum_is_that_of_exhaustive_search(seed):
    """All sets of the right size, each tensor within its limits: one has the least ranks."""
    draw = random.Random(seed)
    entries = 10
    tensor = np.array([draw.randrange(3) for _ in range(entries)])
    order = np.array(draw.sample(range(entries), entries))
    sizes = [int((tensor == t).sum()) for t in range(3)]
    high = [draw.randrange(size + 1) for size in sizes]
    low = [draw.randrange(most + 1) for most in high]
    total = draw.randrange(sum(low), sum(high) + 1)
    rank = {int(entry): place for place, entry in enumerate(order)}
    sums: dict[int, list[set[int]]] = {}
    for chosen in itertools.combinations(range(entries), total):
        counts = [sum(tensor[e] == t for e in chosen) for t in range(3)]
        if all(a <= c <= b for a, c, b in zip(low, counts, high, strict=True)):
            sums.setdefault(sum(rank[e] for e in chosen), []).append(set(chosen))
    best = sums[min(sums)]
    assert best == [set(oracle_bounds.within(order, tensor, low, high, total).tolist())]


@pytest.mark.parametrize("seed", range(150))
def test_allocations_add_up_and_share_one_eps(seed):
    draw = random.Random(seed)
    live = [draw.randrange(200) for _ in range(draw.randrange(1, 7))]
    weights = [Fraction(draw.randrange(1, 50), draw.randrange(1, 9)) for _ in live]
    keep = draw.randrange(sum(live) + 1)
    shares = oracle_allocation.exact(weights, live, keep)
    assert sum(shares) == keep
    open_ = {share / w for share, w, a in zip(shares, weights, live, strict=True) if share < a}
    assert len(open_) <= 1
    for eps in open_:
        assert shares == [min(Fraction(a), eps * w) for a, w in zip(live, weights, strict=True)]
    kept = oracle_allocation.whole(shares)
    assert sum(kept) == keep
    up = {i for i, (n, s) in enumerate(zip(kept, shares, strict=True)) if n > s}
    assert all(n in (math.floor(s), math.ceil(s)) for n, s in zip(kept, shares, strict=True))
    order = sorted(range(len(live)), key=lambda i: (math.floor(shares[i]) - shares[i], i))
    assert up == {i for i in order[: len(up)] if shares[i] != kept[i]}


@pytest.mark.parametrize("size", [1, 3, 7, 10, 49, 100, 365])
def test_fractions_of_bounds_are_quotients(size):
    """0.07 * 100 is above 7 in float64, and 7 / 100 is 0.07 all the same."""
    live = np.ones(size, bool)
    for fraction in [0.0, 0.05, 0.07, 0.1, 0.29, 1 / 3, 0.57, 0.7, 1.0]:
        least = next(n for n in range(size + 1) if n / size >= fraction)
        greatest = next(n for n in reversed(range(size + 1)) if n / size <= fraction)
        assert oracle_bounds.entries(fraction, live, "keep_at_least") == least
        assert oracle_bounds.entries(fraction, live, "prune_at_least") == least
        assert oracle_bounds.entries(fraction, live, "prune_at_most") == greatest


def test_without_more_it_is_global_pruning():
    draw = random.Random(1)
    for _ in range(30):
        scores, masks = drawn(draw, [(3, 4), (7,), ()])
        asked = {"masks": masks, "sparsity": 0.9, "signed": draw.random() < 0.5}
        assert same(oracle.pruned(scores, **asked), oracle.global_unstructured(scores, **asked))


@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        ("scope", {"scope": "layer", "amount": 1}),
        ("scope", {"scope": None, "amount": 1}),
        ("scope", {"scope": (0, 4)}),
        ("scope", {"scope": (5, 4)}),
        ("scope", {"scope": (2, 3)}),
        ("scope", {"scope": (True, 2)}),
        ("scope", {"scope": "global", "dim": 0, "amount": 1}),
        ("scope", {"scope": "row", "dim": 0.0, "amount": 1}),
        ("scope", {"scope": {"0": "x"}, "amount": 1}),
        ("scope", {"scope": {"*": "x", "?2": "x"}, "amount": 1}),
        ("scope", {"scope": {"*": "x", "?": "y"}, "amount": 1}),
        ("dim", {"scope": "row", "dim": 2, "amount": 1}),
        ("amount-type", {"scope": (2, 4), "amount": 1}),
        ("amount-type", {"scope": "row", "amount": True}),
        ("amount-type", {"scope": "tensor"}),
        ("amount-too-large", {"scope": "row", "amount": 5}),
        ("bounds", {"scope": "tensor", "amount": 1, "keep_at_least": 1}),
        ("bounds", {"amount": 1, "keep_at_least": 1, "allocation": "erk"}),
        ("bounds", {"amount": 0, "prune_at_least": 1}),
        ("bounds", {"amount": 16, "keep_at_least": 1}),
        ("bounds", {"amount": 1, "keep_at_least": 0.5, "prune_at_least": 0.6}),
        ("bounds", {"amount": 1, "keep_at_least": {"2": 1}}),
        ("bounds", {"amount": 1, "keep_at_least": {"?": 1, "*": 1.0}}),
        ("amount-type", {"amount": 1, "keep_at_least": True}),
        ("amount-out-of-range", {"amount": 1, "prune_at_most": -1}),
        ("allocation", {"amount": 1, "allocation": "lamp"}),
        ("allocation", {"amount": 1, "allocation": "erk", "scope": "row"}),
        ("allocation", {"amount": 1, "allocation": {"0": 1}}),
        ("allocation", {"amount": 1, "allocation": {"*": 0}}),
        ("allocation", {"amount": 1, "allocation": {"*": float("inf")}}),
        ("allocation", {"amount": 1, "allocation": {"*": True}}),
    ],
)
def test_what_is_refused(kind, request_):
    with pytest.raises(Refused) as refused:
        oracle.pruned([np.ones((2, 4)), np.ones((2, 4))], **request_)
    assert refused.value.kind == kind
