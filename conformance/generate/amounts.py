"""Vectors of SPEC.md 1: amounts and sparsities."""

from __future__ import annotations

import math
from typing import Any

from craft import Area, array, mask, part, whole

# Tables of vectors read better when they are packed.
# fmt: off

NOTES = {
    "HalfEven": ("rounding half away from zero, or truncation", "one entry too many or too few"),
    "Float32Count": ("counting in float32", "hundreds of entries off on large models"),
    "OfTotal": ("a fraction of all entries instead of the live ones", "rounds prune too much"),
    "OneIsOne": ("1 and 1.0 read as one number", "one entry instead of all, or the reverse"),
    "Compounding": ("a target read as a fraction of the rest", "three calls of 0.8 leave 0.8 %"),
    "BoolAmount": ("booleans read as 0 and 1", "a flag prunes an entry"),
    "NaNAmount": ("range checks that NaN passes", "an obscure failure, or nothing pruned"),
    "TooLarge": ("clipping a count to what is there", "requests fail in silence"),
    "NotANumber": ("guessing numbers from other types", "text prunes"),
    "NarrowFloat": ("products in float16 or float32", "counts off, or an overflow"),
    "Boundary": ("off-by-one at the ends of the range", "nothing, or everything, is pruned"),
    "TwoRequests": ("one of two requests dropped", "another amount than the caller thinks"),
}
ODD = ["1", None, [1], [0.5, 0.5], {"amount": 1}, ""]


def build() -> list[Area]:
    """Return the area's file."""
    area = Area("amounts", NOTES)
    _counts(area)
    _refusals(area)
    _sparsity(area)
    _applied(area)
    return [area]


def _count(
    area: Area,
    ident: str,
    title: str,
    clauses: str,
    flag: str,
    expect: int | str | None = None,
    **request: Any,
) -> None:
    if isinstance(expect, str):
        answer = {"error": expect}
    else:
        answer = None if expect is None else {"count": expect}
    area.add(ident, title, clauses, flag, "count", request, answer)


def _counts(area: Area) -> None:
    for n, expect in [(0, 0), (1, 1), (3, 3), (10, 10)]:
        _count(area, f"AMT-01/int-{n}-of-10", f"the integer {n} takes {n} of ten", "AMT-01",
            "Boundary", expect, amount=whole(n), live=10)
    halves = {1: 0, 3: 2, 5: 2, 7: 4, 9: 4, 11: 6, 13: 6, 15: 8, 25: 12, 101: 50, 1001: 500}
    for n, expect in halves.items():
        _count(area, f"AMT-02/half-of-{n}", f"half of {n} rounds to the even {expect}", "AMT-02",
            "HalfEven", expect, amount=part(0.5), live=n)
    for value, n, expect in [(0.15, 10, 2), (0.25, 10, 2), (0.35, 10, 4), (0.1, 25, 2),
        (0.3, 10, 3), (0.7, 10, 7), (0.29, 100, 29), (0.57, 100, 57), (0.999, 1000, 999),
        (0.125, 12, 2), (0.375, 12, 4), (0.35, 30, 10), (0.45, 10, 4), (0.85, 10, 8),
        (0.99, 10, 10)]:
        _count(area, f"AMT-02/{value}-of-{n}", f"{value} of {n} rounds to {expect}", "AMT-02",
            "HalfEven", expect, amount=part(value), live=n)
    for value, n in [(0.9, 7_000_000_000), (0.8, 1_558_000_000), (0.9, 25_557_032),
        (0.9, 61_100_840), (0.8, 304_326_632), (0.5, 16_777_217), (0.5, 2**31 + 1),
        (0.3, 2**33 + 1), (0.7, 70_553_706_496), (0.1, 123_456_789), (1 / 3, 10**12),
        (0.99, 2**40 + 1)]:
        _count(area, f"AMT-02/{value:.4g}-of-{n}", f"{value:.4g} of {n} is counted in float64",
            "AMT-02", "Float32Count", amount=part(value), live=n)
    _count(area, "AMT-05/int-1", "the integer 1 takes one entry", "AMT-05", "OneIsOne", 1,
        amount=whole(1), live=100)
    _count(area, "AMT-05/float-1", "the float 1.0 takes every entry", "AMT-05 AMT-06", "OneIsOne",
        100, amount=part(1.0), live=100)
    zero = {"int-0": whole(0), "float-0": part(0.0), "minus-0": part("-0.0"), "tiny": part(1e-12),
        "smallest": part(5e-324)}
    for name, amount in zero.items():
        _count(area, f"AMT-06/{name}", "an amount of nothing takes nothing", "AMT-06", "Boundary",
            0, amount=amount, live=15)
    below = part(math.nextafter(1.0, 0.0))
    _count(area, "AMT-06/below-one", "the float next to 1.0 still rounds to all", "AMT-06",
        "Boundary", 15, amount=below, live=15)
    narrow = [("float32", "3f666666", 123_456_789, 111_111_107),
        ("float16", "3800", 200_001, None), ("float16", "2e66", 1000, None),
        ("float32", "3dcccccd", 10**9, None), ("float32", "3eaaaaab", 10**10, None)]
    for kind, word, n, _ in narrow:
        _count(area, f"AMT-07/{kind}-{word}-of-{n}", f"a {kind} amount is widened first",
            "AMT-07 DEV-20", "NarrowFloat", amount={"kind": kind, "value": word}, live=n)
    for top, bottom, n in [(1, 3, 10), (1, 2, 5), (2, 3, 1000)]:
        _count(area, f"AMT-07/fraction-{top}-{bottom}", "a fraction becomes a float64", "AMT-07",
            "NarrowFloat", amount={"kind": "fraction", "value": [top, bottom]}, live=n)
    _count(area, "AMT-11/equal", "an integer equal to the live entries takes all", "AMT-11",
        "TooLarge Boundary", 15, amount=whole(15), live=15)
    for name, amount in {"int-0": whole(0), "half": part(0.5), "one": part(1.0)}.items():
        _count(area, f"AMT-12/{name}-of-none", "nothing left gives nothing", "AMT-12", "Boundary",
            0, amount=amount, live=0)


def _refusals(area: Area) -> None:
    for value in (True, False):
        _count(area, f"AMT-08/{str(value).lower()}", f"the boolean {value} is no amount",
            "AMT-08 DEV-17", "BoolAmount", "amount-type", amount={"kind": "bool", "value": value},
            live=10)
    for place, value in enumerate(ODD):
        kind = "none" if value is None else "text" if isinstance(value, str) else "list"
        if isinstance(value, dict):
            kind = "object"
        _count(area, f"AMT-09/{kind}-{place}", f"{value!r} is no amount", "AMT-09 ERR-02",
            "NotANumber", "amount-type", amount={"kind": kind, "value": value}, live=10)
    _count(area, "AMT-09/complex", "a complex number is no amount", "AMT-09", "NotANumber",
        "amount-type", amount={"kind": "complex", "value": [0.5, 0]}, live=10)
    wrong: list[Any] = ["NaN", "Infinity", "-Infinity", -0.1, -1.0, 1.0001, 2.0, -5e-324,
        math.nextafter(1.0, 2.0)]
    for value in wrong:
        also = " DEV-19" if value == "NaN" else ""
        flag = "NaNAmount" if value == "NaN" else "Boundary"
        _count(area, f"AMT-10/float-{value}", f"the float {value} is out of range",
            f"AMT-10{also}", flag, "amount-out-of-range", amount=part(value), live=10)
    for number in (-1, -10):
        _count(area, f"AMT-10/int-{number}", f"the integer {number} is out of range", "AMT-10",
            "Boundary", "amount-out-of-range", amount=whole(number), live=10)
    for number, n in [(16, 15), (1, 0), (2**31, 10), (20, 19), ("18446744073709551616", 10)]:
        _count(area, f"AMT-11/{number}-of-{n}", f"{number} of {n} live entries is too much",
            "AMT-12 AMT-11" if n == 0 else "AMT-11", "TooLarge", "amount-too-large",
            amount=whole(number), live=n)


def _sparsity(area: Area) -> None:
    for value, total, live in [(0.5, 100, 100), (0.8, 100, 50), (0.8, 100, 20), (0.5, 15, 15),
        (0.5, 5, 4), (1.0, 10, 3), (0.0, 10, 10), (0.9, 7 * 10**9, 10**9), (0.75, 100, 25),
        (0.35, 10, 9), (0.45, 30, 20)]:
        _count(area, f"AMT-13/{value}-of-{total}-live-{live}",
            f"sparsity {value} counts over all {total} entries", "AMT-13", "Compounding",
            sparsity=part(value), total=total, live=live)
    for value, total, live in [(0.5, 100, 49), (0.0, 10, 9), (0.3, 10, 6), (0.79, 100, 20)]:
        _count(area, f"AMT-14/{value}-of-{total}-live-{live}",
            "a target already passed is refused", "AMT-14", "Compounding",
            "sparsity-below-current", sparsity=part(value), total=total, live=live)
    for name, value, kind in [("int-0", whole(0), "amount-type"),
        ("int-1", whole(1), "amount-type"),
        ("bool", {"kind": "bool", "value": True}, "amount-type"),
        ("text", {"kind": "text", "value": "0.5"}, "amount-type"),
        ("nan", part("NaN"), "amount-out-of-range"), ("above", part(1.5), "amount-out-of-range"),
        ("below", part(-0.5), "amount-out-of-range")]:
        _count(area, f"AMT-15/{name}", "a sparsity is a float in [0, 1]", "AMT-15", "NotANumber",
            kind, sparsity=value, total=10, live=10)
    wide = {"kind": "float32", "value": "3f666666"}
    _count(area, "AMT-15/float32", "a float32 sparsity is widened first", "AMT-15 AMT-07",
        "NarrowFloat", sparsity=wide, total=123_456_789, live=123_456_789)
    _count(area, "AMT-16/both", "amount and sparsity together are refused", "AMT-16",
        "TwoRequests", "amount-type", amount=part(0.5), sparsity=part(0.5), total=10, live=10)
    _count(area, "AMT-16/neither", "no request at all is refused", "AMT-16", "TwoRequests",
        "amount-type", total=10, live=10)


def _applied(area: Area) -> None:
    five, six = array([5, 1, 4, 2, 3]), array([[6, -12, 7], [8, 9, -10]])
    area.prune("AMT-01/three-of-two-tensors", "an integer counts over all tensors together",
        "AMT-01 RANK-01", "OfTotal", [five, six], [[1, 0, 1, 0, 0], [1] * 6], amount=whole(3))
    area.prune("AMT-02/half-of-eleven", "a fraction counts over all tensors together", "AMT-02",
        "HalfEven", [five, six], amount=part(0.5))
    for name, fraction in {"tenth": 0.1, "quarter": 0.25, "third": 1 / 3, "most": 0.9}.items():
        area.prune(f"AMT-02/{name}-of-eleven", "the rounded product goes, no more and no less",
            "AMT-02 AMT-04", "HalfEven", [five, six], amount=part(fraction))
    area.prune("AMT-05/one-entry", "the integer 1 prunes the smallest entry", "AMT-05",
        "OneIsOne", [five], [[1, 0, 1, 1, 1]], amount=whole(1))
    area.prune("AMT-05/all-entries", "the float 1.0 prunes everything", "AMT-05 AMT-06",
        "OneIsOne", [five], [[0] * 5], amount=part(1.0))
    prior = mask([1, 0, 1, 0, 1])
    held = dict(five, mask=prior)
    area.prune("AMT-03/half-of-three", "a fraction is of the live entries", "AMT-03 AMT-02",
        "OfTotal", [held], [[1, 0, 0, 0, 0]], amount=part(0.5))
    area.prune("AMT-03/int-beside-prior", "an integer comes on top of what is pruned", "AMT-03",
        "OfTotal", [held], [[1, 0, 1, 0, 0]], amount=whole(1))
    area.prune("AMT-11/four-of-three", "more than the live entries is refused", "AMT-11 AMT-03",
        "TooLarge", [held], "amount-too-large", amount=whole(4))
    area.prune("AMT-13/target-on-top", "a sparsity counts what is pruned already", "AMT-13",
        "Compounding", [held], [[1, 0, 1, 0, 0]], sparsity=part(0.6))
    area.prune("AMT-14/target-passed", "a target below the prior masks is refused", "AMT-14",
        "Compounding", [held], "sparsity-below-current", sparsity=part(0.2))
    area.prune("AMT-12/all-pruned", "a fraction of nothing is nothing", "AMT-12", "Boundary",
        [dict(five, mask=mask([0] * 5))], [[0] * 5], amount=part(0.5))
    area.prune("AMT-12/prune-one-of-none", "an entry of nothing is refused", "AMT-12", "TooLarge",
        [dict(five, mask=mask([0] * 5))], "amount-too-large", amount=whole(1))
    area.prune("AMT-16/prune-both", "two requests are refused", "AMT-16", "TwoRequests", [five],
        "amount-type", amount=whole(1), sparsity=part(0.5))
    for name, amount, kind in [("bool", {"kind": "bool", "value": True}, "amount-type"),
        ("nan", part("NaN"), "amount-out-of-range"),
        ("minus-one", whole(-1), "amount-out-of-range")]:
        clause = {"bool": "AMT-08", "nan": "AMT-10", "minus-one": "AMT-10"}[name]
        flag = {"bool": "BoolAmount", "nan": "NaNAmount", "minus-one": "Boundary"}[name]
        area.prune(f"{clause}/prune-{name}", "a bad amount is refused", clause, flag, [five],
            kind, amount=amount)
    narrow = {"kind": "float32", "value": "3f666666"}
    ramp = {"dtype": "int16", "shape": [1005], "lcg": {"start": 5, "shift": 17, "mask": "7fff"}}
    area.prune("AMT-07/float32-on-values", "0.9 in float32 is not 0.9", "AMT-07 DEV-20",
        "NarrowFloat", [ramp], amount=narrow)
