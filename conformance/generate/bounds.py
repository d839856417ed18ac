"""Vectors of SPEC.md 17: who is bounded by what, and what is no bound."""

from __future__ import annotations

from functools import partial

from craft import Area, Json, array, drawn, part, ratio, whole

# Tables of vectors read better when they are packed.
# fmt: off

SMALL, GREAT = array([1, 2, 3, 4], name="small"), array([*range(11, 21)], name="great")
NAMES = ("keep_at_least", "prune_at_most", "prune_at_least")


def fill(area: Area) -> None:
    """Add these vectors to the area."""
    for add in (_each, _settings, _limits, _refused):
        add(area)


def _each(area: Area) -> None:
    put = partial(area.prune, profile="bounds")
    both = [SMALL, GREAT]
    put("BOUND-08/without", "without a bound the small tensor is emptied", "BOUND-08 RANK-01",
        "BoundIgnored", both, [[0] * 4, [0] * 3 + [1] * 7], amount=part(0.5))
    put("BOUND-02/one", "one entry of each tensor is kept", "BOUND-08 BOUND-02", "BoundIgnored",
        both, [[0, 0, 0, 1], [0] * 4 + [1] * 6], amount=part(0.5), keep_at_least=whole(1))
    put("BOUND-02/half", "half of each tensor is kept", "BOUND-02 BOUND-09", "BoundIgnored", both,
        [[0, 0, 1, 1], [0] * 5 + [1] * 5], amount=whole(7), keep_at_least=part(0.5))
    put("BOUND-02/more", "a tensor smaller than the bound keeps what it has",
        "BOUND-02 BOUND-10", "BoundIgnored", both, [[1] * 4, [0] * 4 + [1] * 6], amount=whole(4),
        keep_at_least=whole(6))
    put("BOUND-03/one", "one entry of each tensor is pruned at most", "BOUND-03", "BoundIgnored",
        both, [[0, 1, 1, 1], [0] + [1] * 9], amount=whole(2), prune_at_most=whole(1))
    put("BOUND-03/half", "half of each tensor is pruned at most", "BOUND-03 BOUND-09",
        "BoundIgnored", both, [[0, 0, 1, 1], [0] * 4 + [1] * 6], amount=whole(6),
        prune_at_most=part(0.5))
    put("BOUND-04/one", "one entry of each tensor is pruned at least", "BOUND-04", "BoundIgnored",
        both, [[0, 0, 1, 1], [0] + [1] * 9], amount=whole(3), prune_at_least=whole(1))
    put("BOUND-04/half", "half of each tensor is pruned at least", "BOUND-04 BOUND-09",
        "BoundIgnored", both, [[0, 0, 0, 1], [0] * 5 + [1] * 5], amount=whole(8),
        prune_at_least=part(0.5))
    area.add("BOUND-02/counts", "counts within bounds", "BOUND-02", "BoundIgnored", "counts",
        {"tensors": both, "amount": whole(7), "keep_at_least": part(0.25)}, {"counts": [3, 4]},
        profile="bounds")
    put("BOUND-08/scope", "bounds go with the scope global by its name", "BOUND-08 BOUND-07",
        "BoundIgnored", both, [[0, 0, 0, 1], [0] * 4 + [1] * 6], amount=part(0.5), scope="global",
        keep_at_least=whole(1))


def _settings(area: Area) -> None:
    put = partial(area.prune, profile="bounds")
    both = [SMALL, GREAT]
    three = [array([1, 2, 3], name="a.0"), array([4, 5, 6], name="a.1"), array([7, 8], name="b.0")]
    put("BOUND-08/one-of-two", "a tensor that no key matches has no bound", "BOUND-08",
        "BoundIgnored", both, [[0, 0, 0, 1], [0] * 7 + [1] * 3], amount=whole(10),
        keep_at_least={"small": whole(1)})
    put("BOUND-08/nothing", "a mapping of nothing bounds nothing", "BOUND-08", "BoundIgnored",
        both, [[0] * 4, [0] + [1] * 9], amount=whole(5), keep_at_least={})
    put("BOUND-08/all-three", "three bounds hold together", "BOUND-08 BOUND-05", "BoundIgnored",
        three, [[0, 1, 1], [0, 0, 1], [0, 1]], amount=whole(4), keep_at_least=whole(1),
        prune_at_most={"a.0": whole(1)}, prune_at_least={"b*": part(0.5)})
    put("BOUND-08/both-above", "the narrower of two bounds decides", "BOUND-08 BOUND-05",
        "BoundIgnored", three, [[0, 1, 1], [0, 0, 1], [0, 1]], amount=whole(4),
        keep_at_least={"a.0": whole(2), "a.1": whole(1)}, prune_at_most={"a.*": whole(2)})
    put("BOUND-08/names", "bounds follow names, whatever the order of the input", "BOUND-08",
        "Patterns", [three[2], three[0]], [[0, 0], [0, 1, 1]], amount=whole(3),
        keep_at_least={"b.0": whole(0), "a.0": whole(2)})
    put("SCOPE-05/bounds", "a whole name has its own bound", "SCOPE-05", "Patterns", three,
        [[0, 0, 0], [0, 1, 1], [1, 1]], amount=whole(4),
        keep_at_least={"*": whole(2), "a.0": whole(0)})
    put("SCOPE-05/bounds-unnamed", "bounds of tensors without names go by place", "SCOPE-05",
        "Patterns", [array([1, 2]), array([3, 4])], [[0, 1], [0, 0]], amount=whole(3),
        keep_at_least={"0": whole(1)})
    put("SCOPE-12/bounds", "patterns that disagree are refused", "SCOPE-12", "Typo", three,
        "bounds", amount=whole(1), keep_at_least={"a*": whole(1), "*.0": whole(2)})
    put("SCOPE-12/bounds-types", "1 and 1.0 are different bounds", "SCOPE-12 AMT-05", "Typo",
        three, "bounds", amount=whole(1), prune_at_most={"a*": whole(1), "*.0": part(1.0)})
    put("SCOPE-12/bounds-agree", "patterns that agree are one", "SCOPE-12", "Typo", three,
        [[0, 1, 1], [0, 1, 1], [0, 1]], amount=whole(3),
        prune_at_most={"a*": whole(1), "*.0": whole(1)})
    for name in NAMES:
        put(f"SCOPE-13/{name}", f"a key of {name} without a tensor is refused", "SCOPE-13", "Typo",
            three, "bounds", amount=whole(1), **{name: {"a.*": whole(0), "a.2": whole(0)}})
    put("SCOPE-13/bounds-taken", "a pattern whose tensors have names of their own is no typo",
        "SCOPE-13", "Typo", both, [[0, 0, 0, 1], [0, 0] + [1] * 8], amount=whole(5),
        keep_at_least={"small": whole(1), "great": whole(2), "*": whole(3)})


def _limits(area: Area) -> None:
    put = partial(area.prune, profile="bounds")
    both = [SMALL, GREAT]
    for name, wrong in {"counts": (whole(2), whole(3)), "parts": (part(0.5), part(0.6)),
        "kinds": (part(0.75), whole(2))}.items():
        put(f"BOUND-05/{name}", "bounds that contradict each other are refused", "BOUND-05",
            "Contradiction", both, "bounds", amount=whole(7), keep_at_least={"small": wrong[0]},
            prune_at_least={"small": wrong[1]})
    put("BOUND-05/most-and-least", "at most one and at least two are refused", "BOUND-05",
        "Contradiction", both, "bounds", amount=whole(5), prune_at_most=whole(1),
        prune_at_least=whole(2))
    put("BOUND-05/too-small", "more than there are cannot be pruned of a tensor", "BOUND-05",
        "Contradiction", both, "bounds", amount=whole(10), prune_at_least=whole(5))
    put("BOUND-05/equal", "bounds that meet fix the number", "BOUND-05", "Contradiction", both,
        [[0, 0, 1, 1], [0] * 4 + [1] * 6], amount=whole(6), keep_at_least={"small": part(0.5)},
        prune_at_least={"small": part(0.5)})
    for name, goal, bounds in [
        ("above", {"amount": whole(11)}, {"keep_at_least": whole(2)}),
        ("above-all", {"amount": part(1.0)}, {"keep_at_least": whole(1)}),
        ("above-most", {"sparsity": part(0.5)}, {"prune_at_most": part(0.25)}),
        ("below", {"amount": whole(1)}, {"prune_at_least": whole(1)}),
        ("below-half", {"sparsity": part(0.25)}, {"prune_at_least": part(0.5)}),
        ("below-none", {"amount": whole(0)}, {"prune_at_least": {"small": whole(1)}}),
    ]:
        put(f"BOUND-06/{name}", "an amount outside the bounds is refused", "BOUND-06", "CutDown",
            both, "bounds", **goal, **bounds)
    put("BOUND-06/all-high", "an amount that takes all that the bounds allow is accepted",
        "BOUND-06", "CutDown", both, [[0, 0, 1, 1], [0] * 8 + [1] * 2], amount=whole(10),
        keep_at_least=whole(2))
    put("BOUND-06/all-low", "an amount that takes no more than it has to is accepted", "BOUND-06",
        "CutDown", both, [[0, 1, 1, 1], [0] * 3 + [1] * 7], amount=whole(4),
        prune_at_least=part(0.25))
    put("BOUND-06/nothing", "nothing is pruned within bounds that let it", "BOUND-06", "CutDown",
        both, [[1] * 4, [1] * 10], amount=whole(0), keep_at_least=whole(3))


def _refused(area: Area) -> None:
    put = partial(area.prune, profile="bounds")
    tables = [array([[1, 2], [3, 4]], name="a"), array([[5, 6], [7, 8]], name="b")]
    for place, name in enumerate(NAMES):
        for scope in ("tensor", "row", {"*": "x"}):
            word = "labels" if isinstance(scope, dict) else scope
            put(f"BOUND-07/{name}-{word}", f"{name} with a scope of {word} is refused",
                "BOUND-07", "NoBound", tables, "bounds", amount=whole(1), scope=scope,
                **{name: whole(place // 2)})
        put(f"BOUND-07/{name}-allocation", f"{name} with an allocation is refused", "BOUND-07",
            "NoBound", tables, "bounds", amount=whole(2), allocation="uniform",
            **{name: whole(place // 2)})
    put("BOUND-07/groups", "a bound with a pair is refused", "BOUND-07", "NoBound", tables,
        "bounds", scope=[1, 2], keep_at_least=whole(1))
    odd: list[tuple[str, str, Json]] = [("bool", "amount-type", {"kind": "bool", "value": True}),
        ("text", "amount-type", {"kind": "text", "value": "1"}),
        ("list", "amount-type", {"kind": "list", "value": [1, 1]}),
        ("nan", "amount-out-of-range", part("NaN")), ("above", "amount-out-of-range", part(1.5)),
        ("minus", "amount-out-of-range", part(-0.25)), ("less", "amount-out-of-range", whole(-1)),
        ("infinite", "amount-out-of-range", part("Infinity"))]
    for place, (name, kind, value) in enumerate(odd):
        put(f"BOUND-10/{name}", f"the bound {value['value']} is refused", "BOUND-10", "NoNumber",
            tables, kind, amount=whole(1), **{NAMES[place % 3]: value})
        put(f"BOUND-10/{name}-named", f"the bound {value['value']} of a name is refused",
            "BOUND-10", "NoNumber", tables, kind, amount=whole(1),
            **{NAMES[(place + 1) % 3]: {"a": value, "*": whole(0)}})
    put("BOUND-10/one", "the bound 1 is one entry", "BOUND-10 AMT-05", "NoNumber", tables,
        [[0, 0, 0, 1], [0, 0, 1, 1]], amount=whole(5), keep_at_least=whole(1))
    put("BOUND-10/one-point-zero", "the bound 1.0 is every entry", "BOUND-10 AMT-05", "NoNumber",
        tables, [[1] * 4, [0] * 3 + [1]], amount=whole(3), keep_at_least={"a": part(1.0)})
    put("BOUND-10/large", "a bound above every size limits nothing", "BOUND-10", "NoNumber",
        tables, [[0] * 4, [0] + [1] * 3], amount=whole(5), prune_at_most=whole(1000))
    put("BOUND-10/float32", "a float32 bound is widened first", "BOUND-10 AMT-07", "NoNumber",
        [drawn([10], 1)], amount=whole(8),
        keep_at_least={"kind": "float32", "value": "3dcccccd"})
    put("BOUND-10/fraction", "a fraction becomes a float64", "BOUND-10 AMT-07", "NoNumber",
        [drawn([3], 1), drawn([9], 2)], amount=whole(8), keep_at_least=ratio(1, 3))
