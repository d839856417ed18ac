"""Vectors of SPEC.md 15: how much of each pool is pruned, and in which order."""

from __future__ import annotations

from functools import partial

import scopes
from craft import Area, array, drawn, drawn_mask, mask, part, ratio, whole

# Tables of vectors read better when they are packed.
# fmt: off

NOTES = {
    "ScopeIgnored": ("a scope read as global, or as another", "other entries are pruned"),
    "WrongRows": ("rows along another dimension", "inputs are compared instead of outputs"),
    "Pooled": ("pools of other tensors than the labels say", "layers are ranked with strangers"),
    "Patterns": ("patterns before names, or without case", "an exception is overruled"),
    "Typo": ("keys that match nothing, or contradict each other", "settings are lost in silence"),
    "NotARow": ("dimensions that are not there", "another pool, or an obscure failure"),
    "OneCount": ("one count for all pools", "pools of equal size lose different numbers"),
    "OfPool": ("counts clipped to a pool, or taken of all tensors", "requests fail in silence"),
    "PoolTies": ("another order inside a pool", "other entries among equals"),
    "PoolDtype": ("keys promoted pool by pool", "rounding depends on who shares a pool"),
    "PoolDraws": ("draws that begin anew in each pool", "every row loses the same places"),
    "DeadPool": ("pruned entries counted in their pool", "rounds prune too much"),
}
TABLE = [[4, 1, 3, 2], [40, 10, 30, 20], [1, 2, 3, 4]]


def build() -> list[Area]:
    """Return the area's file."""
    area = Area("scope", NOTES)
    for fill in (scopes.fill, _amounts, _order, _rounds, _drawn):
        fill(area)
    return [area]


def _amounts(area: Area) -> None:
    put = partial(area.prune, profile="scope")
    five, three, two = array([5, 1, 4, 2, 3]), array([30, 10, 20]), array([7, 8])
    held = array([5, 1, 4, 2], mask=mask([0, 1, 1, 0]))
    put("SCOPE-08/two-each", "an integer counts in each tensor", "SCOPE-08", "OneCount",
        [five, three, two], [[1, 0, 1, 0, 1], [1, 0, 0], [0, 0]], amount=whole(2), scope="tensor")
    put("SCOPE-08/half-even", "each pool rounds by itself, half to even", "SCOPE-08 AMT-02",
        "OneCount", [five, three, array([1])], [[1, 0, 1, 0, 1], [1, 0, 0], [1]],
        amount=part(0.5), scope="tensor")
    for value in (0.1, 0.3, 0.7, 0.9, 1.0):
        put(f"SCOPE-08/rows-{value}", f"{value} of each row of five", "SCOPE-08 AMT-02",
            "OneCount", [drawn([3, 5], 4), drawn([2, 15], 8)], amount=part(value), scope="row")
    put("SCOPE-08/equal", "an integer equal to the smallest pool is accepted", "SCOPE-08 AMT-11",
        "OfPool", [five, two], [[1, 0, 1, 0, 1], [0, 0]], amount=whole(2), scope="tensor")
    put("SCOPE-08/too-many", "an integer above the smallest pool is refused", "SCOPE-08 AMT-11",
        "OfPool", [five, two], "amount-too-large", amount=whole(3), scope="tensor")
    put("SCOPE-08/too-many-live", "an integer above the live entries of a pool is refused",
        "SCOPE-08 AMT-11", "OfPool", [five, held], "amount-too-large", amount=whole(3),
        scope="tensor")
    put("SCOPE-08/sparsity", "a sparsity is one of all entries of each pool", "SCOPE-08 AMT-13",
        "OfPool", [held, five], [[0, 0, 1, 0], [1, 0, 1, 0, 0]], sparsity=ratio(2, 3),
        scope={"0": "x", "1": "y"})
    put("SCOPE-08/sparsity-below", "a sparsity that one pool has passed is refused",
        "SCOPE-08 AMT-14", "OfPool", [held, array([1, 2, 3, 4, 5, 6])], "sparsity-below-current",
        sparsity=part(0.25), scope="tensor")
    put("SCOPE-08/sparsity-met", "a sparsity that one pool has met prunes the others",
        "SCOPE-08 AMT-14", "OfPool", [held, array([1, 2, 3, 4])], [[0, 1, 1, 0], [0, 0, 1, 1]],
        sparsity=part(0.5), scope="tensor")
    for name, kind, goal in [("bool", "amount-type", {"amount": {"kind": "bool", "value": True}}),
        ("nan", "amount-out-of-range", {"amount": part("NaN")}), ("neither", "amount-type", {}),
        ("whole-sparsity", "amount-type", {"sparsity": whole(1)})]:
        put(f"SCOPE-08/{name}", "amounts of pools are amounts", "SCOPE-08", "OfPool",
            [array(TABLE)], kind, scope="row", **goal)


def _order(area: Area) -> None:
    put = partial(area.prune, profile="scope")
    put("SCOPE-09/ties", "equal entries of a row are pruned from its start", "SCOPE-09 TIE-01",
        "PoolTies", [array([[1, 1, 1], [2, 2, 2]])], [[0, 0, 1, 0, 0, 1]], amount=whole(2),
        scope="row")
    put("SCOPE-09/columns", "equal entries of a column are pruned from its top",
        "SCOPE-09 TIE-01", "PoolTies", [array([[1, 1], [1, 1], [1, 1]])], [[0, 0, 0, 0, 1, 1]],
        amount=whole(2), scope="row", dim=1)
    put("SCOPE-09/names", "a pool orders its tensors by name", "SCOPE-09 TIE-04", "PoolTies",
        [array([1, 1], name="z"), array([1, 1], name="m"), array([1, 1], name="a")],
        [[1, 1], [0, 1], [0, 0]], amount=part(0.5), scope={"[az]": "x", "m": "y"})
    put("SCOPE-09/list", "a pool orders its tensors as the list does", "SCOPE-09 TIE-03",
        "PoolTies", [array([1, 1]), array([1, 1]), array([1, 1])], [[0, 0], [0, 1], [1, 1]],
        amount=part(0.5), scope={"[02]": "x", "1": "y"})
    put("SCOPE-09/nan", "every NaN of a row is its largest entry", "SCOPE-09 NUM-03", "PoolTies",
        [array([[float("nan"), 1, float("inf"), float("nan")], [3, float("nan"), 2, 1]])],
        [[0, 0, 0, 1, 0, 1, 0, 0]], amount=whole(3), scope="row")
    put("SCOPE-09/signed", "signed scores are ranked by value in a row", "SCOPE-09 NUM-14",
        "PoolTies", [array([[-3, 1, 2, -1], [5, -4, 0, -0.0]])], [[0, 1, 1, 0, 1, 0, 0, 1]],
        amount=whole(2), scope="row", signed=True)
    put("SCOPE-09/promoted", "tensors of other pools take part in the promotion",
        "SCOPE-09 TYPE-01 TYPE-04", "PoolDtype", [array([16777217, 16777216, 3], "int32"),
        array([0.5, 0.25])], [[0, 1, 0], [0, 0]], amount=whole(2), scope="tensor")
    put("SCOPE-09/refused", "tensors of other pools refuse a dtype", "SCOPE-09 TYPE-07",
        "PoolDtype", [array([1, 2], "uint16"), array([1, 2], "int8")], "dtype", amount=whole(1),
        scope="tensor")
    put("SCOPE-09/scores", "scores rank in place of the values of a row", "SCOPE-09 SCORE-01",
        "PoolTies", [array([[1, 2], [4, 3]], name="a")], [[1, 0, 0, 1]], amount=whole(1),
        scope="row", scores={"a": array([[9, 8], [-1, 7]])})


def _rounds(area: Area) -> None:
    put = partial(area.prune, profile="scope")
    table = array(TABLE, mask=mask([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]]))
    put("SCOPE-11/rows", "half of what is live in each row is pruned", "SCOPE-11 SCOPE-08",
        "DeadPool", [table], [[1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]], amount=part(0.5), scope="row")
    put("SCOPE-11/dead-row", "an entry of a row without live ones is too much",
        "SCOPE-11 AMT-12", "DeadPool", [table], "amount-too-large", amount=whole(1), scope="row")
    for shape, kind in [([4, 0], "amount-too-large"), ([0, 4], [[]])]:
        put(f"SCOPE-11/rows-of-{shape[0]}", f"one entry of each row of shape {shape}",
            "SCOPE-11 AMT-12", "DeadPool", [{"dtype": "float32", "shape": shape, "data": []}],
            kind, amount=whole(1), scope="row")
    put("SCOPE-11/dead-tensor", "a tensor that is pruned whole is no error", "SCOPE-11 AMT-12",
        "DeadPool", [array([1, 2], mask=mask([0, 0])), array([3, 4])], [[0, 0], [0, 1]],
        amount=part(0.5), scope="tensor")
    put("SCOPE-11/target", "a sparsity counts the pruned entries of each row",
        "SCOPE-11 AMT-13", "DeadPool", [array([[4, 1, 3, 2], [1, 2, 3, 4]],
        mask=mask([[0, 1, 1, 1], [1, 1, 1, 1]]))], [[0, 0, 1, 0, 0, 0, 0, 1]],
        sparsity=part(0.75), scope="row")


def _drawn(area: Area) -> None:
    put = partial(area.prune, profile="scope")
    pools = {"tensor": "tensor", "row": "row", "labels": {"[02]": "x", "1": "y"}}
    for name, scope in pools.items():
        for seed in (1, 2**40):
            put(f"SCOPE-10/{name}-{seed}", f"draws by position in the scope {name}",
                "SCOPE-10 RAND-05", "PoolDraws", [drawn([2, 6], 1), drawn([3, 4], 2),
                drawn([2, 6], 3)], method="random_unstructured", seed=seed, amount=part(0.5),
                scope=scope)
        for place, dtype in enumerate(["float16", "bfloat16", "float8_e4m3fn", "int8", "float64"]):
            tensors = [drawn([4, 6], 7 * place + i, dtype) for i in range(3)]
            tensors[1]["mask"] = drawn_mask([4, 6], place)
            put(f"SCOPE-09/{name}-{dtype}", f"{dtype} entries in the scope {name}",
                "SCOPE-09 SCOPE-08 SCOPE-11", "PoolTies DeadPool", tensors,
                amount=part(0.2 + place / 7), scope=scope)
    mixed = [drawn([5, 8], 3, "float16"), drawn([3, 8], 4, "bfloat16"), drawn([4, 8], 5)]
    for name, scope in pools.items():
        put(f"SCOPE-09/{name}-mixed", f"mixed dtypes in the scope {name}", "SCOPE-09 TYPE-01",
            "PoolDtype", mixed, amount=part(0.55), scope=scope)
