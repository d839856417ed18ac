"""What may be asked of several tensors: scopes, bounds, allocations; some cannot be met."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

BOUNDS = ["keep_at_least", "prune_at_most", "prune_at_least"]


def where_of(draw: random.Random, shapes: list[tuple[int, ...]]) -> dict[str, Any]:
    """Return a scope, bounds or an allocation for tensors of these shapes."""
    kind = draw.choice(["tensor", "row", "group", "pools", "bounds", "bounds", "allocation"])
    names = [str(i) for i in range(len(shapes))]
    dim = {"dim": draw.randint(-3, 2)} if draw.random() < 0.4 else {}
    if kind == "tensor":
        return {"scope": "tensor"}
    if kind == "row":
        return {"scope": "row", **dim}
    if kind == "group":
        of = draw.choice([1, 1, 2, 2, 3, 4])
        return {"scope": (draw.randint(1, of), of), **dim}
    if kind == "pools":
        labels: dict[str, Any] = {name: draw.choice("abc") for name in names}
        return {"scope": labels if draw.random() < 0.9 else {"*": "a", "0": "b", "[1-9]": "a"}}
    if kind == "bounds":
        chosen = draw.sample(BOUNDS, draw.choice([1, 1, 2, 3]))
        return {name: _setting(draw, names, _limit) for name in chosen}
    if draw.random() < 0.6:
        return {"allocation": draw.choice(["uniform", "erk"])}
    shares = {name: _share(draw) for name in names}
    return {"allocation": shares if draw.random() < 0.9 else {"*": 1, "0": 2}}


def _setting(draw: random.Random, names: list[str], value: Any) -> Any:
    if draw.random() < 0.5:
        return value(draw)
    keys = draw.sample([*names, "*", "[0-1]"], draw.choice([1, 2]))
    return {key: value(draw) for key in keys}


def _limit(draw: random.Random) -> Any:
    return draw.choice([0.0, 0.05, 0.1, 0.25, 0.5, 1.0, draw.random(), 0, 1, 2, 5, 12])


def _share(draw: random.Random) -> Any:
    return draw.choice([1, 2, 7, 0.5, 0.1, 3.25, draw.random() + 0.01, Fraction(1, 3)])
