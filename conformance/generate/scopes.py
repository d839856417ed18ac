"""Vectors of SPEC.md 15: which entries a scope ranks together, and what is no scope."""

from __future__ import annotations

from functools import partial

from craft import Area, array, drawn, part, whole

# Tables of vectors read better when they are packed.
# fmt: off

TABLE = [[4, 1, 3, 2], [40, 10, 30, 20], [1, 2, 3, 4]]
SMALL, GREAT = array([[1, 2], [3, 4]]), array([100, 200, 300, 400])


def fill(area: Area) -> None:
    """Add these vectors to the area."""
    for add in (_which, _rows, _labels, _names, _refused):
        add(area)


def _which(area: Area) -> None:
    put = partial(area.prune, profile="scope")
    put("SCOPE-01/global", "the scope global ranks everything together", "SCOPE-01 RANK-01",
        "ScopeIgnored", [SMALL, GREAT], [[0] * 4, [1] * 4], amount=part(0.5), scope="global")
    put("SCOPE-01/none", "no scope is the scope global", "SCOPE-01 RANK-01", "ScopeIgnored",
        [SMALL, GREAT], [[0] * 4, [1] * 4], amount=part(0.5))
    for place, text in enumerate(["layer", "rows", "Tensor", "all", ""]):
        put(f"SCOPE-01/unknown-{place}", f"the scope {text!r} is refused", "SCOPE-01",
            "ScopeIgnored", [SMALL], "scope", amount=part(0.5), scope=text)
    put("SCOPE-02/halves", "half of each tensor is pruned", "SCOPE-02 SCOPE-08", "ScopeIgnored",
        [SMALL, GREAT], [[0, 0, 1, 1], [0, 0, 1, 1]], amount=part(0.5), scope="tensor")
    put("SCOPE-02/scalar", "a tensor without dimensions is a pool", "SCOPE-02 RANK-04",
        "ScopeIgnored", [array([3, 1]), array(2.0)], [[1, 0], [0]], amount=whole(1),
        scope="tensor")
    put("SCOPE-02/empty", "a tensor without entries is a pool of none", "SCOPE-02 SCOPE-11",
        "ScopeIgnored", [array([3, 1]), {"dtype": "float32", "shape": [0, 3], "data": []}],
        [[1, 0], []], amount=part(0.5), scope="tensor")
    for seed, shapes in enumerate([[[7], [5, 3], [2, 2, 2]], [[1], [9], [3, 3]], [[16, 4], [64]]]):
        area.add(f"SCOPE-02/counts-{seed}", "each tensor is counted by itself",
            "SCOPE-02 SCOPE-08", "OneCount", "counts", {"tensors": [drawn(s, 9 * seed + i)
            for i, s in enumerate(shapes)], "amount": part(0.5), "scope": "tensor"},
            profile="scope")


def _rows(area: Area) -> None:
    put = partial(area.prune, profile="scope")
    table = array(TABLE)
    half = [1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1]
    column = [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]
    cube = array([[[8, 1], [2, 7]], [[3, 6], [5, 4]], [[9, 12], [11, 10]]])
    put("SCOPE-03/default", "the first dimension numbers the rows",
        "SCOPE-03 SCOPE-07 SCOPE-08", "WrongRows", [table], [half], amount=part(0.5), scope="row")
    put("SCOPE-03/first", "dimension 0 numbers the rows", "SCOPE-03 SCOPE-06", "WrongRows",
        [table], [half], amount=part(0.5), scope="row", dim=0)
    put("SCOPE-03/last", "dimension 1 numbers the columns", "SCOPE-03 SCOPE-06", "WrongRows",
        [table], [column], amount=whole(2), scope="row", dim=1)
    for dim in (0, 1, 2, -1, -3):
        put(f"SCOPE-03/cube{dim}", f"dimension {dim} of three numbers the rows",
            "SCOPE-03 SCOPE-06", "WrongRows", [cube], amount=part(0.5), scope="row", dim=dim)
    for dim in (-1, 0, 1):
        put(f"SCOPE-03/kernels{dim}", f"rows of kernels and of a matrix along {dim}", "SCOPE-03",
            "WrongRows", [drawn([4, 3, 2, 2], 5), drawn([6, 4], 6)], amount=part(0.4),
            scope="row", dim=dim)
    for shape in ([0, 4], [4, 0]):
        put(f"SCOPE-03/empty-{shape[0]}", f"a tensor of shape {shape} has rows without entries",
            "SCOPE-03 SCOPE-11", "WrongRows", [{"dtype": "float32", "shape": shape, "data": []},
            table], [[], half], amount=part(0.5), scope="row")


def _labels(area: Area) -> None:
    put = partial(area.prune, profile="scope")
    three = [array([1, 5, 9, 2], name="a"), array([3, 4], name="b"), array([6, 8], name="c")]
    put("SCOPE-04/two", "tensors of one label are ranked together", "SCOPE-04 SCOPE-08", "Pooled",
        three, [[0, 0, 1, 0], [0, 1], [1, 1]], amount=part(0.5),
        scope={"a": "x", "b": "y", "c": "x"})
    put("SCOPE-04/one", "one label is one pool", "SCOPE-04", "Pooled", three,
        [[0, 1, 1, 0], [0, 0], [1, 1]], amount=part(0.5), scope={"*": "all"})
    put("SCOPE-04/own", "labels of their own are pools of their own", "SCOPE-04", "Pooled", three,
        [[0, 1, 1, 0], [0, 1], [0, 1]], amount=part(0.5), scope={"a": "b", "b": "c", "c": "a"})
    put("SCOPE-04/missed", "a tensor without a label is refused", "SCOPE-04", "Pooled", three,
        "scope", amount=part(0.5), scope={"a": "x", "b": "y"})
    put("SCOPE-04/none", "a mapping of nothing is refused", "SCOPE-04", "Pooled", three, "scope",
        amount=part(0.5), scope={})
    put("SCOPE-04/parts", "numbers count in each pool of several tensors", "SCOPE-04 SCOPE-08",
        "Pooled OneCount", [*three, array([7], name="d")], amount=whole(1),
        scope={"[ab]": "x", "[cd]": "y"})


def _names(area: Area) -> None:
    put = partial(area.prune, profile="scope")
    layers = [array([i + 1, 9 - i], name=name) for i, name in enumerate(
        ["enc.0.w", "enc.1.w", "Enc.2.w", "dec.0.w", "dec[0].w"])]
    for name, scope in {
        "whole-first": {"*": "rest", "enc.0.w": "one"},
        "whole-last": {"enc.0.w": "one", "*": "rest"},
        "brackets": {"dec[0].w": "one", "dec.0.w": "two", "*nc*": "three"},
        "stars": {"enc.*": "x", "dec*": "y", "Enc.*": "z"},
        "marks": {"?nc.?.w": "x", "dec?0?.w": "y", "dec?0?w": "z"},
        "sets": {"[ed]*": "x", "E*": "y"},
        "not-sets": {"[!e]*": "x", "e*": "y"},
        "case": {"enc*": "x", "Enc*": "y", "dec*": "x"},
        "agreeing": {"enc*": "x", "*.w": "x"},
    }.items():
        put(f"SCOPE-05/{name}", "names are looked up whole, then as patterns",
            "SCOPE-05 SCOPE-12 SCOPE-13", "Patterns", layers, amount=whole(1), scope=scope)
    bare = [array([5, 6]), array([1, 2]), array([3, 4])]
    put("SCOPE-05/numbers", "tensors without names are named by their places", "SCOPE-05",
        "Patterns", bare, [[0, 1], [0, 0], [1, 1]], amount=part(0.5),
        scope={"1": "x", "2": "x", "0": "y"})
    put("SCOPE-05/numbered-patterns", "patterns match the places of unnamed tensors", "SCOPE-05",
        "Patterns", bare, [[0, 1], [0, 0], [1, 1]], amount=part(0.5), scope={"[12]": "x", "0": "y"})
    put("SCOPE-12/differ", "patterns that disagree are refused", "SCOPE-12", "Typo", layers,
        "scope", amount=whole(1), scope={"*": "x", "enc*": "y"})
    put("SCOPE-12/whole", "a whole name settles what patterns disagree on", "SCOPE-12 SCOPE-05",
        "Typo", [array([1, 2], name="ab"), array([3, 4], name="b")], [[0, 1], [0, 1]],
        amount=part(0.5), scope={"a*": "x", "*b": "y", "ab": "z"})
    for name, scope in {"name": {"*": "x", "enc.3.w": "y"}, "pattern": {"*": "x", "head.*": "x"},
        "case": {"*": "x", "ENC.*": "x"}}.items():
        put(f"SCOPE-13/{name}", "a key without a tensor is refused", "SCOPE-13", "Typo", layers,
            "scope", amount=whole(1), scope=scope)
    put("SCOPE-13/taken", "a pattern whose tensors have names of their own is no typo",
        "SCOPE-13 SCOPE-05", "Typo", [array([1, 2], name="a"), array([3, 4], name="b")],
        [[0, 1], [0, 1]], amount=part(0.5), scope={"a": "x", "b": "y", "*": "z"})


def _refused(area: Area) -> None:
    put = partial(area.prune, profile="scope")
    table, cube = array(TABLE), array([[[1, 2], [3, 4]]])
    for dim in (2, -3, 7):
        put(f"SCOPE-06/outside{dim}", f"dimension {dim} of two is refused", "SCOPE-06", "NotARow",
            [table], "dim", amount=part(0.5), scope="row", dim=dim)
    put("SCOPE-06/one-of-two", "a dimension that one tensor has not is refused", "SCOPE-06",
        "NotARow", [cube, table], "dim", amount=part(0.5), scope="row", dim=2)
    for name, scope in {"global": "global", "tensor": "tensor", "mapping": {"*": "x"}}.items():
        put(f"SCOPE-06/{name}", f"a dimension with a scope of {name} is refused", "SCOPE-06",
            "NotARow", [table], "scope", amount=part(0.5), scope=scope, dim=0)
    put("SCOPE-06/alone", "a dimension without a scope is refused", "SCOPE-06", "NotARow",
        [table], "scope", amount=part(0.5), dim=0)
    for name, tensor in {"vector": array([1, 2, 3]), "scalar": array(2.0)}.items():
        put(f"SCOPE-07/{name}", f"a {name} has no rows", "SCOPE-07", "NotARow", [table, tensor],
            "not-structured", amount=part(0.5), scope="row")
