"""Vectors of SPEC.md 16: n of each m consecutive entries."""

from __future__ import annotations

from functools import partial
from typing import Any

from craft import Area, array, drawn, drawn_mask, mask, part, whole

# Tables of vectors read better when they are packed.
# fmt: off

NAN, INF = float("nan"), float("inf")
NOTES = {
    "WrongGroups": ("groups along another dimension, or across rows", "no device runs it faster"),
    "Reversed": ("n of m read as n pruned", "a quarter is pruned instead of three"),
    "ShortGroup": ("a shorter last group", "the end of each row has another density"),
    "NoPair": ("pairs taken as they come", "everything is kept, or nothing"),
    "TwoRequests": ("an amount beside the pair", "one of two requests is dropped"),
    "GroupTies": ("thresholds, or ties in another order", "too many or too few in a group"),
    "DeadGroup": ("pruned entries not counted as pruned", "a second round prunes once more"),
    "GroupDraws": ("draws that begin anew in each group", "every group loses the same places"),
}
LAYER = [[4, 1, 3, 2, 8, 7, 5, 6], [1, 2, 3, 4, 8, 6, 7, 5]]


def build() -> list[Area]:
    """Return the area's file."""
    area = Area("groups", NOTES)
    for fill in (_which, _how_many, _refused, _ties, _rounds, _drawn):
        fill(area)
    return [area]


def _which(area: Area) -> None:
    put = partial(area.prune, profile="groups")
    layer = array(LAYER)
    put("GROUP-01/two-of-four", "two of each four along the inputs are kept",
        "GROUP-01 GROUP-02 GROUP-03 GROUP-06", "WrongGroups Reversed", [layer],
        [[1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0]], scope=[2, 4])
    put("GROUP-01/along-1", "dimension 1 is the one that is meant", "GROUP-01", "WrongGroups",
        [layer], [[1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0]], scope=[2, 4], dim=1)
    put("GROUP-01/along-0", "groups run along dimension 0 where it is named", "GROUP-01",
        "WrongGroups", [layer], [[1, 0, 0, 0, 0, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 0]], scope=[1, 2],
        dim=0)
    put("GROUP-01/negative", "a negative dimension counts from the last", "GROUP-01",
        "WrongGroups", [layer], scope=[1, 2], dim=-2)
    for dim in (0, 1, 2, 3, -1, -3):
        put(f"GROUP-01/kernels{dim}", f"groups of a convolution along dimension {dim}",
            "GROUP-01", "WrongGroups", [drawn([4, 2, 4, 6], 11)], scope=[1, 2], dim=dim)
    put("GROUP-01/default", "groups of a convolution run along its input channels", "GROUP-01",
        "WrongGroups", [drawn([2, 4, 3, 3], 12)], scope=[2, 4])
    for name, tensor in {"vector": array([1, 2, 3, 4]), "scalar": array(2.0)}.items():
        put(f"SCOPE-07/group-{name}", f"a {name} has no groups", "SCOPE-07", "WrongGroups",
            [layer, tensor], "not-structured", scope=[2, 4])
    for dim in (2, -3):
        put(f"SCOPE-06/group{dim}", f"dimension {dim} of two is refused", "SCOPE-06",
            "WrongGroups", [layer], "dim", scope=[2, 4], dim=dim)


def _how_many(area: Area) -> None:
    put = partial(area.prune, profile="groups")
    for n, m in [(1, 2), (1, 4), (3, 4), (4, 8), (2, 8), (7, 8), (1, 16), (8, 16), (5, 16)]:
        put(f"GROUP-02/{n}-of-{m}", f"{n} of each {m} are kept", "GROUP-02 GROUP-03 GROUP-06",
            "Reversed", [drawn([3, 16], n + m), drawn([2, 32], 3 * n)], scope=[n, m])
    for n, m in [(1, 1), (4, 4)]:
        put(f"GROUP-06/{n}-of-{m}", f"{n} of {m} prune nothing", "GROUP-02 GROUP-06", "NoPair",
            [array(LAYER)], [[1] * 16], scope=[n, m])
    held = array(LAYER, mask=mask([[1, 0, 1, 1, 0, 0, 1, 1], [0] * 8]))
    for n, dim in [(1, 0), (1, 1), (2, 0), (8, 1)]:
        put(f"GROUP-06/{n}-of-{n}-along-{dim}", f"{n} of {n} along {dim} leave what is live",
            "GROUP-06 GROUP-05", "NoPair DeadGroup", [held],
            [[1, 0, 1, 1, 0, 0, 1, 1] + [0] * 8], scope=[n, n], dim=dim)
    area.add("GROUP-02/counts", "half of each tensor is pruned", "GROUP-02", "Reversed", "counts",
        {"tensors": [drawn([4, 12], 1), drawn([2, 8], 2)], "scope": [2, 4]}, {"counts": [24, 8]},
        profile="groups")


def _refused(area: Area) -> None:
    put = partial(area.prune, profile="groups")
    layer, six = array(LAYER), array([[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]])
    put("GROUP-03/six", "six entries are no groups of four", "GROUP-03", "ShortGroup", [six],
        "scope", scope=[2, 4])
    put("GROUP-03/second", "a size that does not fit is refused in any tensor", "GROUP-03",
        "ShortGroup", [layer, six], "scope", scope=[2, 4])
    put("GROUP-03/other-dimension", "two rows are no groups of four", "GROUP-03", "ShortGroup",
        [layer], "scope", scope=[2, 4], dim=0)
    put("GROUP-03/threes", "six entries are two groups of three", "GROUP-03", "ShortGroup", [six],
        [[0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0]], scope=[1, 3])
    for shape in ([3, 0], [0, 4], [0, 0, 2]):
        put(f"GROUP-03/empty-{len(shape)}-{shape[0]}", f"a tensor of shape {shape} has no groups",
            "GROUP-03", "ShortGroup", [{"dtype": "float32", "shape": shape, "data": []}], [[]],
            scope=[2, 4])
    odd: dict[str, list[Any]] = {"none": [0, 4], "above": [5, 4], "negative": [-1, 4], "zero":
        [0, 0], "one": [2], "three": [1, 2, 4], "empty": [], "bool": [True, 2], "text": ["2", "4"],
        "fraction": [0.5, 4], "fractional": [2, 4.5]}
    for name, pair in odd.items():
        put(f"GROUP-06/{name}", f"{pair} is no pair", "GROUP-06 SCOPE-01", "NoPair", [layer],
            "scope", scope=pair)
    for name, goal in {"half": {"amount": part(0.5)}, "count": {"amount": whole(8)},
        "nothing": {"amount": whole(0)}, "sparsity": {"sparsity": part(0.5)}}.items():
        put(f"GROUP-02/{name}", "a pair and an amount are refused", "GROUP-02", "TwoRequests",
            [layer], "amount-type", scope=[2, 4], **goal)


def _ties(area: Area) -> None:
    put = partial(area.prune, profile="groups")
    for name, row, expect in [("equal", [1, 1, 1, 1], [0, 0, 1, 1]),
        ("zeros", [0, 0, 0, 0], [0, 0, 1, 1]), ("signs", [0.0, -0.0, 1, -1], [0, 0, 1, 1]),
        ("at-the-cut", [2, 1, 2, 2], [0, 0, 1, 1]), ("above", [2, 2, 1, 2], [0, 1, 0, 1]),
        ("below", [3, 1, 1, 1], [1, 0, 0, 1]), ("opposite", [-2, 2, 1, -2], [0, 1, 0, 1]),
        ("nan", [NAN, 1, NAN, NAN], [0, 0, 1, 1]), ("nan-one", [NAN, INF, 1, 2], [1, 1, 0, 0]),
        ("all-nan", [NAN] * 4, [0, 0, 1, 1]), ("infinities", [INF, -INF, INF, 5], [0, 1, 1, 0])]:
        put(f"GROUP-04/{name}", f"two of {row} are kept", "GROUP-04", "GroupTies",
            [array([row, [4, 3, 2, 1]])], [[*expect, 1, 1, 0, 0]], scope=[2, 4])
    put("GROUP-04/one", "the last of equals is the one that is kept", "GROUP-04", "GroupTies",
        [array([[7] * 8], "bfloat16")], [[0, 0, 0, 1, 0, 0, 0, 1]], scope=[1, 4])
    put("GROUP-04/columns", "down a column, too", "GROUP-04 GROUP-01", "GroupTies",
        [array([[1, 1], [1, 1], [1, 2], [1, 1]])], [[0, 0, 0, 0, 1, 1, 1, 1]], scope=[2, 4], dim=0)
    put("GROUP-04/signed", "signed scores are ranked by value", "GROUP-04 NUM-14", "GroupTies",
        [array([[-3, 1, 2, -1]])], [[0, 1, 1, 0]], scope=[2, 4], signed=True)
    put("GROUP-04/scores", "scores rank in place of the values", "GROUP-04 SCORE-01", "GroupTies",
        [array([[1, 2, 3, 4]], name="a")], [[1, 1, 0, 0]], scope=[2, 4],
        scores={"a": array([[4, 3, 2, 1]])})
    put("GROUP-04/promoted", "tensors are promoted together", "GROUP-04 TYPE-04", "GroupTies",
        [array([[16777217, 16777216]], "int32"), array([[0.5, 0.25]])], [[0, 1], [1, 0]],
        scope=[1, 2])


def _rounds(area: Area) -> None:
    put = partial(area.prune, profile="groups")
    for name, prior, expect in [("one-gone", [0, 1, 1, 1], [0, 0, 1, 1]),
        ("two-gone", [1, 0, 0, 1], [1, 0, 0, 1]), ("three-gone", [0, 1, 0, 0], [0, 1, 0, 0]),
        ("all-gone", [0, 0, 0, 0], [0, 0, 0, 0]), ("largest-gone", [1, 1, 1, 0], [0, 1, 1, 0])]:
        put(f"GROUP-05/{name}", f"of a group that is {prior} two are left at most",
            "GROUP-05 GROUP-02", "DeadGroup", [array([[1, 2, 3, 4], [4, 3, 2, 1]],
            mask=mask([prior, [1, 1, 1, 1]]))], [[*expect, 1, 1, 0, 0]], scope=[2, 4])
    for place, dtype in enumerate(["float32", "float16", "int8"]):
        put(f"GROUP-05/{dtype}", "what was pruned earlier is counted", "GROUP-05", "DeadGroup",
            [drawn([4, 16], place, dtype, mask=drawn_mask([4, 16], 5 + place))], scope=[3, 8])


def _drawn(area: Area) -> None:
    put = partial(area.prune, profile="groups")
    for place, dtype in enumerate(["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int8",
        "uint8", "float64"]):
        for n, m in ((2, 4), (3, 8)):
            tensors = [drawn([4, 16], place, dtype), drawn([2, 8, 3], 9 + place, dtype)]
            put(f"GROUP-04/{dtype}-{n}-{m}", f"{n} of {m} in {dtype}", "GROUP-04 GROUP-01",
                "GroupTies", tensors, scope=[n, m])
    for seed in (1, 2**40):
        put(f"SCOPE-10/groups-{seed}", "draws by position in groups", "SCOPE-10 RAND-05",
            "GroupDraws", [drawn([3, 8], 1), drawn([2, 4], 2)], method="random_unstructured",
            seed=seed, scope=[2, 4])
