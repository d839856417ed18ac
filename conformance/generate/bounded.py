"""Vectors of SPEC.md 17: what is pruned within bounds."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import bounds
from bounds import NAMES, SMALL
from craft import Area, array, drawn, drawn_mask, mask, part, whole

# Tables of vectors read better when they are packed.
# fmt: off

NOTES = {
    "BoundIgnored": ("a bound dropped, or one of several", "a layer collapses"),
    "OfLive": ("a bound of the live entries, or of a round", "rounds pass the bound"),
    "Contradiction": ("one of two bounds preferred", "the other is broken in silence"),
    "CutDown": ("an amount cut to what the bounds allow", "another sparsity than was asked for"),
    "NoBound": ("bounds where the number is fixed", "settings are lost in silence"),
    "Recut": ("clamping, and ranking the others anew", "not the optimum, or no answer at all"),
    "ClampedParts": ("counters clamped before they are added", "counts depend on the blocks"),
    "Product": ("fractions by products", "an entry too many or too few"),
    "NoNumber": ("numbers guessed from other types", "a flag keeps an entry"),
    "BoundTies": ("another order among equals", "other entries are pruned"),
    "Patterns": ("patterns before names", "an exception is overruled"),
    "Typo": ("keys that match nothing, or contradict each other", "settings are lost in silence"),
}


def build() -> list[Area]:
    """Return the area's file."""
    area = Area("bounds", NOTES)
    for fill in (bounds.fill, _fractions, _optimum, _rounds, _drawn):
        fill(area)
    return [area]


def _fractions(area: Area) -> None:
    """Cases whose product in float64 lies on the other side of an integer."""
    for value, size in [(0.07, 100), (0.14, 50), (0.28, 25), (0.55, 100), (0.57, 100), (1 / 3, 3),
        (0.5, 5), (0.3, 4), (0.7, 4)]:
        for name in NAMES:
            least = next(n for n in range(size + 1) if n / size >= value)
            most = max(n for n in range(size + 1) if n / size <= value)
            amount = {"keep_at_least": size - least, "prune_at_most": most + 1,
                "prune_at_least": least}[name]
            tensors = [drawn([size], 1, name="a"), array([4] * 3, name="b")]
            if name == "prune_at_least":
                tensors = [array([4] * size, name="a"), drawn([3], 5, name="b")]
            area.add(f"BOUND-09/{name}-{value:.3g}-of-{size}",
                f"{value:.3g} of {size} is a quotient", "BOUND-09", "Product", "counts",
                {"tensors": tensors, "amount": whole(amount), name: {"a": part(value)}},
                profile="bounds")
    empty = {"dtype": "float32", "shape": [0, 3], "data": [], "name": "e"}
    for name in NAMES:
        for value in (0.5, 1.0) if name != "prune_at_most" else (0.0, 0.5):
            area.prune(f"BOUND-09/{name}-{value}-of-none", "every fraction of no entries is none",
                "BOUND-09", "Product", [empty, SMALL], [[], [0, 1, 1, 1]], amount=whole(1),
                **{name: {"e": part(value)}}, profile="bounds")


def _optimum(area: Area) -> None:
    put = partial(area.prune, profile="bounds")
    put("BOUND-01/recut", "a bound from below that stops binding once another one holds",
        "BOUND-01", "Recut", [array([1, 2, 3, 4, 5, 6], name="a"), array([7, 8, 9], name="b"),
        array([10, 11, 12], name="c")], [[0, 0, 1, 1, 1, 1], [0, 0, 0], [0, 1, 1]],
        amount=whole(6), prune_at_most={"a": whole(2)}, prune_at_least={"b": whole(1)})
    put("BOUND-01/nothing-left", "a tensor is left to prune where clamping finds none", "BOUND-01",
        "Recut", [array([1, 2, 3, 4], name="a"), array([5, 6], name="b"),
        array([7, 8], name="c")], [[0, 1, 1, 1], [0, 0], [0, 1]], amount=whole(4),
        prune_at_most={"a": whole(1)}, prune_at_least={"[bc]": whole(1)})
    put("BOUND-01/ties", "among equals bounds hold, then positions", "BOUND-01 TIE-01",
        "BoundTies", [array([1] * 4), array([1] * 4), array([1] * 4)],
        [[0, 0, 0, 1], [0, 0, 0, 1], [0, 1, 1, 1]], amount=whole(7), keep_at_least=whole(1))
    put("BOUND-01/least-ties", "what has to be pruned is the first of equals", "BOUND-01 TIE-01",
        "BoundTies", [array([2] * 3), array([1] * 3), array([2] * 3)],
        [[0, 1, 1], [0, 0, 0], [0, 1, 1]], amount=whole(5), prune_at_least=whole(1))
    for seed in range(24):
        draw = random.Random(seed)
        sizes = [draw.randrange(2, 9) for _ in range(3)]
        high = [draw.randrange(1, size + 1) for size in sizes]
        low = [draw.randrange(most + 1) for most in high]
        total = draw.randrange(sum(low), sum(high) + 1)
        tensors = [array([draw.randrange(-9, 10) + 6 * place for _ in range(size)],
            name=f"t{place}") for place, size in enumerate(sizes)]
        put(f"BOUND-01/two-sided-{seed}", "limits on both sides", "BOUND-01 BOUND-05",
            "Recut BoundTies", tensors, amount=whole(total),
            prune_at_most={f"t{i}": whole(n) for i, n in enumerate(high)},
            prune_at_least={f"t{i}": whole(n) for i, n in enumerate(low)})


def _rounds(area: Area) -> None:
    put = partial(area.prune, profile="bounds")
    held = array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], name="a",
        mask=mask([0, 0, 0, 0, 0, 0, 1, 1, 1, 1]))
    more = array([*range(11, 21)], name="b")
    for ident, title, amount, expect, limits in [
        ("BOUND-02/of-all", "a fraction to keep is one of all entries", 3,
            [[0] * 7 + [1] * 3, [0, 0] + [1] * 8], {"keep_at_least": part(0.3)}),
        ("BOUND-02/of-live", "a tensor below its bound keeps what it has", 2,
            [[0] * 6 + [1] * 4, [0, 0] + [1] * 8], {"keep_at_least": part(0.5)}),
        ("BOUND-03/of-all", "entries pruned earlier are counted", 3,
            [[0] * 8 + [1] * 2, [0] + [1] * 9], {"prune_at_most": whole(8)}),
        ("BOUND-03/passed", "a tensor past its bound loses nothing more", 2,
            [[0] * 6 + [1] * 4, [0, 0] + [1] * 8], {"prune_at_most": part(0.5)}),
        ("BOUND-04/of-all", "entries pruned earlier are counted", 7,
            [[0] * 7 + [1] * 3, [0] * 6 + [1] * 4],
            {"prune_at_least": part(0.6), "keep_at_least": {"a": whole(3)}}),
        ("BOUND-04/met", "a tensor that has met its bound is free", 1,
            [[0] * 7 + [1] * 3, [1] * 10], {"prune_at_least": {"a": whole(5)}}),
        ("BOUND-11/least", "a round that need not add anything adds nothing", 0,
            [[0] * 6 + [1] * 4, [1] * 10], {"prune_at_least": {"a": part(0.6)}}),
        ("BOUND-11/most", "a bound that is passed is no error", 3,
            [[0] * 6 + [1] * 4, [0] * 3 + [1] * 7], {"prune_at_most": {"a": whole(0)}}),
    ]:
        put(ident, title, f"{ident[:8]} BOUND-11", "OfLive", [held, more], expect,
            amount=whole(amount), **limits)
    put("BOUND-06/dead", "what was pruned earlier is not there to be pruned", "BOUND-06 BOUND-11",
        "OfLive CutDown", [held, more], "bounds", amount=whole(13), keep_at_least=whole(1))


def _drawn(area: Area) -> None:
    put = partial(area.prune, profile="bounds")
    for place, dtype in enumerate(["float16", "bfloat16", "float32", "float8_e4m3fn", "int8",
        "float64"]):
        for kind, limits in enumerate([{"keep_at_least": part(0.2)}, {"prune_at_most": part(0.6),
            "prune_at_least": part(0.4)}, {"keep_at_least": whole(9), "prune_at_least": whole(7)}]):
            tensors: list[Any] = [drawn([size, 6], 31 * place + size, dtype) for size in (3, 8, 5)]
            if kind < 2:
                tensors[1]["mask"] = drawn_mask([8, 6], place)
            put(f"BOUND-01/{dtype}-{kind}", f"{dtype} entries within bounds", "BOUND-01 BOUND-11",
                "BoundTies OfLive", tensors, sparsity=part(0.55), **limits)
    mixed = [drawn([5, 8], 3, "float16"), drawn([3, 8], 4, "bfloat16"), drawn([4, 8], 5)]
    put("BOUND-01/mixed", "mixed dtypes within bounds", "BOUND-01 TYPE-01", "BoundTies", mixed,
        sparsity=part(0.7), keep_at_least=part(0.25))
    put("BOUND-01/signed", "signed scores within bounds", "BOUND-01 NUM-14", "BoundTies", mixed,
        sparsity=part(0.7), keep_at_least=part(0.25), signed=True)
    put("BOUND-01/random", "draws within bounds", "BOUND-01 RAND-05", "BoundTies", mixed,
        sparsity=part(0.5), prune_at_least=part(0.45), keep_at_least=part(0.45),
        method="random_unstructured", seed=3)
