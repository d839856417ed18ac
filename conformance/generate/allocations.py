"""Vectors of SPEC.md 18: a total shared out to tensors."""

from __future__ import annotations

import math
import random
from functools import partial
from typing import Any

from craft import Area, Json, array, drawn, drawn_mask, mask, part, ratio, whole

# Tables of vectors read better when they are packed.
# fmt: off

NOTES = {
    "NoAllocation": ("names taken as they come", "another rule than the one that was asked for"),
    "WeightOfLive": ("weights of what is live", "densities drift over the rounds"),
    "Kernel": ("other dimensions in the weight", "convolutions get another density"),
    "Shares": ("shares per tensor instead of per entry, or no shares at all", "other densities"),
    "Dense": ("shares cut off at the size of a tensor", "the total is missed by a layer"),
    "InFloats": ("shares in floats", "the total, or a tie, is missed by an entry"),
    "EachRounded": ("shares rounded tensor by tensor", "the total is missed by entries"),
    "Remainders": ("missing entries given to others", "counts differ by one"),
    "OtherScope": ("an allocation in pools that it does not know", "settings are lost in silence"),
    "Which": ("another order inside a tensor", "other entries are pruned"),
    "Uncovered": ("a tensor without a share", "it is left dense, or emptied"),
    "Finished": ("tensors that have nothing left", "their share is lost"),
    "Typo": ("keys that match nothing, or contradict each other", "settings are lost in silence"),
}
NET: list[tuple[str, list[int]]] = [("conv.bias", [4]), ("conv.weight", [4, 3, 3, 3]),
    ("fc.bias", [10]), ("fc.weight", [10, 36]), ("scale", [])]


def build() -> list[Area]:
    """Return the area's file."""
    area = Area("allocation", NOTES)
    for fill in (_uniform, _erk, _shares, _rounding, _refused, _rounds, _drawn):
        fill(area)
    return [area]


def _net(start: int, dtype: str = "float32") -> list[Json]:
    return [drawn(shape, start + place, dtype, name=name) for place, (name, shape) in
        enumerate(NET)]


def _counts(area: Area, ident: str, title: str, clauses: str, flag: str, tensors: list[Json],
    expect: list[int] | None = None, **options: Any) -> None:
    answer = None if expect is None else {"counts": expect}
    area.add(ident, title, clauses, flag, "counts", {"tensors": tensors, **options}, answer,
        "allocation")


def _zeros(*shapes: list[int]) -> list[Json]:
    return [{"dtype": "int8", "shape": shape, "lcg": {"start": 0, "shift": 0, "mask": "0"}} for
        shape in shapes]


def _uniform(area: Area) -> None:
    put = partial(area.prune, profile="allocation")
    small, great = array([1, 2, 3, 4]), array([11, 12, 13, 14, 15, 16, 17, 18])
    put("ALLOC-02/half", "half of each tensor is kept", "ALLOC-02 ALLOC-01 ALLOC-06 ALLOC-07",
        "NoAllocation", [small, great], [[0, 0, 1, 1], [0] * 4 + [1] * 4], amount=part(0.5),
        allocation="uniform")
    for name, goal in {"whole": {"amount": whole(7)}, "part": {"amount": part(0.35)}, "target":
        {"sparsity": part(0.8)}, "none": {"amount": whole(0)}, "all": {"amount": part(1.0)},
        "last": {"amount": whole(482)}}.items():
        for rule in ("uniform", "erk"):
            _counts(area, f"ALLOC-01/{rule}-{name}", "the counts add up to the total",
                "ALLOC-01 ALLOC-05", "EachRounded", _net(1), allocation=rule, **goal)
    for place, word in enumerate(["lamp", "ERK", "Uniform", ""]):
        put(f"ALLOC-01/unknown-{place}", f"the allocation {word!r} is refused", "ALLOC-01",
            "NoAllocation", [small, great], "allocation", amount=part(0.5), allocation=word)
    put("ALLOC-01/number", "a number is no allocation", "ALLOC-01", "NoAllocation",
        [small, great], "allocation", amount=part(0.5), allocation=part(0.5))
    put("ALLOC-01/too-many", "the amount is one of all entries", "ALLOC-01 AMT-11",
        "NoAllocation", [small, great], "amount-too-large", amount=whole(13),
        allocation="uniform")
    for seed in range(3):
        tensors = [drawn([10, 10], seed, mask=drawn_mask([10, 10], seed + 3)),
            drawn([100], seed + 9), drawn([5, 8], 2, mask=drawn_mask([5, 8], seed + 5))]
        _counts(area, f"ALLOC-02/of-all-{seed}", "weights are of all entries", "ALLOC-02 ALLOC-05",
            "WeightOfLive", tensors, amount=part(0.6 + seed / 10), allocation="uniform")


def _erk(area: Area) -> None:
    _counts(area, "ALLOC-03/matrices", "densities go by rows plus columns, divided by their "
        "product", "ALLOC-03 ALLOC-05", "Kernel", _zeros([10, 10], [20, 20]), [80, 360],
        amount=whole(440), allocation="erk")
    _counts(area, "ALLOC-03/kernels", "all four dimensions of a kernel count", "ALLOC-03",
        "Kernel", _zeros([8, 8, 3, 3], [14, 8]), [554, 90], amount=whole(644), allocation="erk")
    _counts(area, "ALLOC-03/scalars", "a tensor without dimensions weighs one", "ALLOC-03",
        "Kernel", _zeros([], [3, 3], []), amount=whole(9), allocation="erk")
    for value in (0.1, 0.5, 0.8, 0.9, 0.95, 0.99):
        _counts(area, f"ALLOC-03/net-{value}", f"{value} of a small network", "ALLOC-03 ALLOC-05",
            "Kernel Dense", _net(4), sparsity=part(value), allocation="erk")
    _counts(area, "ALLOC-05/dense", "a tensor that is full hands its share on", "ALLOC-05",
        "Dense", _zeros([2, 2], [10, 10]), [0, 50], amount=whole(50), allocation="erk")
    _counts(area, "ALLOC-05/one-after-another", "tensors fill one after another", "ALLOC-05",
        "Dense", _zeros([2, 2], [6, 6], [20, 20]), amount=whole(300), allocation="erk")
    _counts(area, "ALLOC-05/almost-all", "all tensors but one are full", "ALLOC-05", "Dense",
        _zeros([2, 2], [6, 6], [20, 20]), [0, 0, 10], amount=whole(10), allocation="erk")
    for seed in range(12):
        draw = random.Random(seed)
        shapes = [[draw.randrange(2, 24) for _ in range(draw.choice([1, 2, 2, 3]))]
            for _ in range(draw.randrange(3, 9))]
        shapes = [shape if math.prod(shape) < 900 else shape[:2] for shape in shapes]
        _counts(area, f"ALLOC-05/drawn-{seed}", "a network of any shapes", "ALLOC-05",
            "Dense InFloats", _zeros(*shapes), amount=part(0.3 + seed / 18), allocation="erk")


def _shares(area: Area) -> None:
    put = partial(area.prune, profile="allocation")
    two = [array([1, 2, 3, 4], name="a"), array([1, 2, 3, 4, 5, 6, 7, 8], name="b")]
    put("ALLOC-04/double", "one tensor is twice as dense as the other",
        "ALLOC-04 ALLOC-07 ALLOC-09", "Shares", two, [[0, 0, 1, 1], [0] * 6 + [1] * 2],
        amount=whole(8), allocation={"a": whole(2), "b": whole(1)})
    for name, shares in {"equal": {"*": whole(7)}, "floats": {"a": part(0.125), "b": part(0.125)},
        "fractions": {"a": ratio(1, 3), "b": ratio(1, 3)}}.items():
        put(f"ALLOC-04/{name}", "equal shares are uniform", "ALLOC-04 ALLOC-09", "Shares", two,
            [[0, 0, 1, 1], [0] * 4 + [1] * 4], amount=whole(6), allocation=shares)
    put("ALLOC-04/large", "a share above what there is leaves a tensor dense",
        "ALLOC-04 ALLOC-05", "Dense", two, [[1] * 4, [0] * 6 + [1] * 2], amount=whole(6),
        allocation={"a": whole(1000), "b": whole(1)})
    odd: dict[str, Json] = {"bool": {"kind": "bool", "value": True}, "zero": whole(0),
        "minus": whole(-1), "nothing": part(0.0), "nan": part("NaN"), "infinite": part("Infinity"),
        "text": {"kind": "text", "value": "1"}, "none": {"kind": "none", "value": None},
        "complex": {"kind": "complex", "value": [1, 0]}}
    for name, value in odd.items():
        put(f"ALLOC-04/{name}", "a share is a positive finite number", "ALLOC-04", "Shares", two,
            "allocation", amount=whole(6), allocation={"a": whole(1), "b": value})
    for seed in range(8):
        draw = random.Random(seed)
        shapes = [[draw.randrange(2, 40)] for _ in range(6)]
        shares = {str(i): draw.choice([whole(draw.randrange(1, 9)), part(draw.random() + 0.01),
            ratio(draw.randrange(1, 9), draw.randrange(1, 9))]) for i in range(6)}
        _counts(area, f"ALLOC-04/drawn-{seed}", "shares of several kinds", "ALLOC-04 ALLOC-05",
            "Shares Dense", _zeros(*shapes), amount=part(0.4 + seed / 16), allocation=shares)
    put("SCOPE-05/shares", "a whole name has its own share", "SCOPE-05 SCOPE-13", "Shares", two,
        [[0, 0, 1, 1], [0] * 6 + [1] * 2], amount=whole(8),
        allocation={"*": whole(1), "a": whole(2)})
    put("SCOPE-12/shares", "patterns that disagree are refused", "SCOPE-12", "Typo", two,
        "allocation", amount=whole(8), allocation={"*": whole(1), "[ab]": whole(2)})
    put("SCOPE-12/shares-agree", "shares are equal by their values", "SCOPE-12", "Typo", two,
        [[0, 0, 1, 1], [0] * 4 + [1] * 4], amount=whole(6),
        allocation={"*": part(0.5), "[ab]": ratio(1, 2)})
    put("SCOPE-13/shares", "a key without a tensor is refused", "SCOPE-13", "Typo", two,
        "allocation", amount=whole(8), allocation={"*": whole(1), "c": whole(2)})
    for name, shares in {"one": {"a": whole(2)}, "none": {}}.items():
        put(f"ALLOC-09/{name}", "a tensor without a share is refused", "ALLOC-09", "Uncovered",
            two, "allocation", amount=whole(8), allocation=shares)


def _rounding(area: Area) -> None:
    thirds = _zeros([5], [5], [5])
    for k, expect in [(1, [0, 0, 1]), (2, [0, 1, 1]), (4, [1, 1, 2]), (7, [2, 2, 3]),
        (8, [2, 3, 3]), (14, [4, 5, 5])]:
        _counts(area, f"ALLOC-05/first-{k}", "of equal remainders the first is rounded up",
            "ALLOC-05", "Remainders EachRounded", thirds, expect, amount=whole(k),
            allocation="uniform")
    named = [dict(item, name=name) for item, name in zip(thirds, "zxy", strict=True)]
    _counts(area, "ALLOC-05/names", "the first by name is rounded up", "ALLOC-05", "Remainders",
        named, [2, 1, 1], amount=whole(4), allocation="uniform")
    _counts(area, "ALLOC-05/largest", "the largest remainder is rounded up", "ALLOC-05",
        "Remainders", _zeros([5], [7], [3]), [1, 1, 1], amount=whole(3), allocation="uniform")
    for sizes in ([3, 5, 7, 9], [1, 1, 1, 1, 1], [2, 3, 2, 3], [11, 2, 2, 2], [1, 30, 1]):
        for value in (0.25, 0.5, 0.85):
            _counts(area, f"ALLOC-05/{'-'.join(map(str, sizes))}-{value}",
                "rounded shares add up", "ALLOC-05 ALLOC-01", "EachRounded Remainders",
                _zeros(*([size] for size in sizes)), amount=part(value), allocation="uniform")
    # 1/3 + 1/6 + 1/2: as float64 the first two lie below their values.
    fractions = {"0": ratio(1, 3), "1": ratio(1, 6), "2": ratio(1, 2)}
    sixths = _zeros([60], [60], [60])
    for keep in (1, 5, 10, 27, 33, 57, 75):
        _counts(area, f"ALLOC-08/sixths-{keep}", "fractions are read exactly", "ALLOC-08",
            "InFloats", sixths, amount=whole(180 - keep), allocation=fractions)
    for keep in (1, 15, 16, 22):
        _counts(area, f"ALLOC-08/tenths-{keep}", "0.1 is the float64 next to a tenth", "ALLOC-08",
            "InFloats", _zeros([10], [10], [30]), amount=whole(50 - keep),
            allocation={"[01]": part(0.3), "2": part(0.1)})
    for size, keep in [(4099, 2050), (8191, 4097), (5003, 2503)]:
        _counts(area, f"ALLOC-05/large-{size}", "shares of large tensors are exact",
            "ALLOC-05", "InFloats", _zeros([size], [3], [size - 2], [11, size // 11]),
            amount=whole(3 * size - keep), allocation={"*": ratio(2, 7), "1": whole(2)})


def _refused(area: Area) -> None:
    put = partial(area.prune, profile="allocation")
    two = [array([[1, 2], [3, 4]], name="a"), array([[5, 6], [7, 8]], name="b")]
    put("ALLOC-06/tensor", "the scope tensor changes nothing", "ALLOC-06", "OtherScope", two,
        amount=whole(3), scope="tensor", allocation="uniform")
    put("ALLOC-06/global", "nor does the scope global", "ALLOC-06", "OtherScope", two,
        amount=whole(3), scope="global", allocation="uniform")
    for name, scope in {"row": "row", "labels": {"*": "x"}}.items():
        put(f"ALLOC-06/{name}", f"an allocation with a scope of {name} is refused", "ALLOC-06",
            "OtherScope", two, "allocation", amount=whole(2), scope=scope, allocation="uniform")
    put("ALLOC-06/groups", "an allocation with a pair is refused", "ALLOC-06", "OtherScope", two,
        "allocation", scope=[1, 2], allocation="erk")


def _rounds(area: Area) -> None:
    put = partial(area.prune, profile="allocation")
    done = array([9, 8, 7, 6], mask=mask([0] * 4))
    held = array([1, 2, 3, 4], mask=mask([0, 0, 1, 1]))
    put("ALLOC-10/finished", "a tensor without live entries takes nothing", "ALLOC-10 ALLOC-02",
        "Finished", [done, array([1, 2, 3, 4]), array([5, 6, 7, 8])],
        [[0] * 4, [0, 0, 1, 1], [0, 0, 1, 1]], amount=whole(4), allocation="uniform")
    put("ALLOC-10/empty", "a tensor without entries takes nothing", "ALLOC-10 ALLOC-03",
        "Finished", [{"dtype": "float32", "shape": [0, 30], "data": []}, array([[1, 2], [3, 4]]),
        array([[5, 6], [7, 8]])], [[], [0, 0, 1, 1], [0, 0, 1, 1]], amount=whole(4),
        allocation="erk")
    put("ALLOC-10/all-finished", "nothing is left of nothing", "ALLOC-10", "Finished",
        [done, done], [[0] * 4, [0] * 4], amount=part(0.5), allocation="uniform")
    put("ALLOC-05/rounds", "a tensor pruned below its share loses nothing", "ALLOC-05 ALLOC-02",
        "WeightOfLive", [held, array([1, 2, 3, 4])], [[0, 0, 1, 1], [0, 0, 1, 1]],
        amount=whole(2), allocation="uniform")
    put("ALLOC-07/masks", "the lowest of what is live are pruned", "ALLOC-07", "Which",
        [array([1, 5, 4, 3, 2, 6], mask=mask([0, 1, 1, 1, 1, 1])), array([2, 1, 2, 1, 3, 3])],
        [[0, 1, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1]], amount=whole(7), allocation="uniform")


def _drawn(area: Area) -> None:
    put = partial(area.prune, profile="allocation")
    put("ALLOC-07/ties", "of equal entries the first are pruned", "ALLOC-07 TIE-01", "Which",
        [array([1] * 4), array([1] * 6)], [[0, 0, 1, 1], [0, 0, 0, 1, 1, 1]], amount=part(0.5),
        allocation="uniform")
    for place, dtype in enumerate(["float16", "bfloat16", "float8_e4m3fn", "int8", "float64"]):
        for rule in ("uniform", "erk"):
            put(f"ALLOC-07/{rule}-{dtype}", f"{dtype} entries of a network", "ALLOC-07 ALLOC-05",
                "Which", _net(place, dtype)[:3], sparsity=part(0.6 + place / 20), allocation=rule)
    net = _net(5)[:3]
    put("ALLOC-07/signed", "signed scores are ranked by value", "ALLOC-07 NUM-14", "Which", net,
        sparsity=part(0.7), allocation="erk", signed=True)
    put("ALLOC-07/random", "draws are by position in the call", "ALLOC-07 RAND-05", "Which", net,
        sparsity=part(0.7), allocation="erk", method="random_unstructured", seed=4)
