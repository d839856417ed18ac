"""Vectors of SPEC.md 4 to 7: ranking, ties, prior masks, rounds, scores."""

from __future__ import annotations

from typing import Any

from craft import Area, Json, array, bits, mask, part, whole

# Tables of vectors read better when they are packed.
# fmt: off

NOTES = {
    "PerTensor": ("the amount applied to each tensor", "local pruning under a global name"),
    "LargestGo": ("the order turned round", "the important entries go"),
    "Normalised": ("scores divided by a norm", "a fifth of the mask differs, zeros become NaN"),
    "Scaled": ("a layer of another scale", "one layer alone loses everything, or should"),
    "ScalarAndEmpty": ("tensors without dimensions or entries", "a failure, or a shifted mask"),
    "ColumnMajor": ("positions in another memory order", "ties go elsewhere"),
    "Cut": ("a threshold compared with >= or >", "too few or too many go"),
    "AllTied": ("ties removed together, or not at all", "nothing or everything is pruned"),
    "LastFirst": ("ties taken from the end", "another mask on every machine"),
    "Reordered": ("tensors sorted, or taken as they come", "the mask depends on the loader"),
    "CodePoints": ("names ordered by UTF-16 units or by numbers", "another order than others"),
    "PositionOfLive": ("positions that skip pruned entries", "ties move when masks change"),
    "HalfTies": ("ties of half precision", "0.2 % of the model differs"),
    "Revived": ("prior masks dropped", "pruned entries come back"),
    "PriorRanked": ("pruned entries ranked as zeros", "nothing new is pruned"),
    "NotAMask": ("values other than 0 and 1", "weights are scaled"),
    "Misaligned": ("shapes compared by size only", "other entries are pruned"),
    "Rounds": ("rounds that count the whole", "schedules end elsewhere"),
    "ScoresIgnored": ("scores dropped or in part", "the values rank instead"),
    "ScoresSigned": ("signed and absolute order mixed up", "harmful entries stay"),
    "Large": ("anything that small cases hide", "see the clause"),
}
NAN = float("nan")


def build() -> list[Area]:
    """Return the area's files."""
    areas = [Area(name, NOTES) for name in ("ranking", "ties", "masks", "scores", "large")]
    for area, fill in zip(areas, (_ranking, _ties, _masks, _scores, _large), strict=True):
        fill(area)
    return areas


def _ranking(area: Area) -> None:
    small, big = array([[1, 2], [3, 4]]), array([100, 200, 300, 400])
    area.prune("RANK-01/scaled-layer", "a layer a hundred times larger keeps everything",
        "RANK-01 RANK-03", "PerTensor Normalised Scaled", [small, big], [[0] * 4, [1] * 4],
        amount=part(0.5))
    area.prune("RANK-01/mixed-layers", "layers lose what their entries deserve", "RANK-01",
        "PerTensor", [array([1, 10, 3]), array([2, 20, 30])], [[0, 1, 0], [0, 1, 1]],
        amount=part(0.5))
    area.prune("RANK-02/smallest", "the smallest go", "RANK-02", "LargestGo", [array([3, 1, 2])],
        [[1, 0, 1]], amount=whole(1))
    area.prune("RANK-03/zero-layer", "a layer of zeros goes first and disturbs nobody",
        "RANK-03 NUM-17", "Normalised", [array([0, 0]), array([1, 3, 2, 4])],
        [[0, 0], [0, 1, 1, 1]], amount=part(0.5))
    area.prune("RANK-03/sizes", "the size of a tensor plays no role", "RANK-03", "Normalised",
        [array([1.0] * 3 + [9] * 6), array([2, 8])], [[0] * 3 + [1] * 6, [0, 1]], amount=whole(4))
    scalar: Json = {"dtype": "float32", "shape": [], "data": [2]}
    empty: Json = {"dtype": "float32", "shape": [0, 3], "data": []}
    area.prune("RANK-04/scalar", "a tensor without dimensions takes part", "RANK-04",
        "ScalarAndEmpty", [array([3, 1]), scalar, array([4])], [[1, 0], [0], [1]],
        amount=whole(2))
    area.prune("RANK-04/empty", "a tensor without entries takes part", "RANK-04",
        "ScalarAndEmpty", [array([3, 1]), empty, array([4])], [[1, 0], [], [1]], amount=whole(1))
    area.prune("RANK-04/only-empty", "only empty tensors give empty masks", "RANK-04 AMT-12",
        "ScalarAndEmpty", [empty], [[]], amount=part(0.5))
    area.prune("RANK-04/only-empty-one", "an entry of empty tensors is too much",
        "RANK-04 AMT-12", "ScalarAndEmpty", [empty], "amount-too-large", amount=whole(1))
    deep = array([[[4, 1], [3, 8]], [[2, 7], [6, 5]]])
    area.prune("RANK-04/three-dimensions", "masks have the shapes of their tensors", "RANK-04",
        "ColumnMajor", [deep], [[1, 0, 0, 1, 0, 1, 1, 1]], amount=whole(3))
    area.prune("ERR-03/no-tensor", "a call without tensors is refused", "ERR-03 DEV-09",
        "ScalarAndEmpty", [], "parameters-empty", amount=part(0.5))
    for name, goal in [("three", whole(3)), ("half", part(0.5)), ("none", whole(0)),
        ("all", part(1.0)), ("five", whole(5)), ("one", whole(1))]:
        for kind, values in [("tied", [1, 1, 2, 1, 1]), ("plain", [5, 1, 4, 2, 3])]:
            request = {"tensors": [array(values), array([1, 0.5])], "amount": goal}
            clause = "RANK-07" if name in {"none", "all", "five"} else "RANK-06 RANK-07"
            area.add(f"RANK-06/{kind}-{name}", f"the cut of {name} of {kind} entries",
                f"{clause} RANK-06", "Cut", "cut", request, profile="deterministic")
    held = array([1, 1, 2, 1, 1], mask=mask([1, 0, 1, 1, 1]))
    for k in (1, 2, 3):
        area.add(f"RANK-06/held-{k}", "the cut counts live entries at positions of all",
            "RANK-06 RANK-07 TIE-02", "PositionOfLive", "cut",
            {"tensors": [held], "amount": whole(k)}, profile="deterministic")


def _ties(area: Area) -> None:
    ones: Any = array([1] * 10)
    for goal in (whole(1), whole(5), whole(9), part(0.25), part(0.5), part(0.95)):
        area.prune(f"TIE-01/all-tied-{goal['kind']}-{goal['value']}",
            "equal entries go from the front, as many as asked", "TIE-01 AMT-04",
            "AllTied LastFirst", [ones], amount=goal)
    layers = [array([[1, 1], [1, 1]]) for _ in range(4)]
    for k in (1, 4, 6, 8, 15):
        area.prune(f"TIE-03/equal-layers-{k}", "equal layers go in the order of the list",
            "TIE-03 TIE-01 AMT-04", "AllTied LastFirst", layers, amount=whole(k))
    area.prune("TIE-01/at-the-cut", "only ties at the cut are open", "TIE-01 AMT-04 RANK-02",
        "Cut", [array([2, 1, 2, 3, 2, 0])], [[0, 0, 0, 1, 1, 0]], amount=whole(4))
    area.prune("TIE-01/both-signs", "equal magnitudes tie whatever their sign", "TIE-01 NUM-01",
        "LastFirst", [array([-1, 1, -1, 1, 2])], [[0, 0, 1, 1, 1]], amount=whole(2))
    area.prune("TIE-01/nan", "NaN ties with NaN", "TIE-01 NUM-03", "LastFirst",
        [array([NAN, 1, NAN, NAN])], [[0, 0, 1, 1]], amount=whole(2))
    area.prune("TIE-01/zeros", "zeros tie whatever their sign", "TIE-01 NUM-05", "LastFirst",
        [array([0.0, -0.0, -0.0, 0.0])], [[0, 0, 1, 1]], amount=whole(2))
    area.prune("TIE-02/row-major", "positions run along the rows", "TIE-02", "ColumnMajor",
        [array([[1, 1, 1], [1, 1, 1]])], [[0, 0, 1, 1, 1, 1]], amount=whole(2))
    area.prune("TIE-02/across", "positions run through the tensors", "TIE-02 TIE-03",
        "ColumnMajor", [array([[5, 1], [5, 1]]), array([[1, 5], [1, 5]])],
        [[1, 0, 1, 0], [0, 1, 1, 1]], amount=whole(3))
    area.prune("TIE-02/after-prior", "a prior mask moves no position", "TIE-02 MASK-02",
        "PositionOfLive", [array([1] * 4, mask=mask([0, 1, 0, 1])), array([1, 1])],
        [[0, 0, 0, 0], [0, 1]], amount=whole(3))
    many: list[Json] = [{"dtype": "uint8", "shape": [size], "lcg":
        {"start": size, "shift": 28, "mask": "1"}} for size in (300, 37, 700)]
    held = [dict(each, mask={"shape": each["shape"], "lcg": {"start": 2, "shift": 29,
        "mask": "1"}}) for each in many]
    for name, tensors, counts in [("many", many, (1, 129, 256, 257, 500, 529, 700)),
        ("many-held", held, (1, 100, 200, 256, 270, 400))]:
        for k in counts:
            area.prune(f"TIE-02/{name}-{k}", "hundreds of equal entries go by their positions",
                "TIE-02 TIE-01 AMT-04", "PositionOfLive AllTied", tensors, amount=whole(k),
                profile="deterministic")
    order = [array([2, 1]), array([1, 1]), array([1, 3])]
    area.prune("TIE-03/list", "a list keeps its order", "TIE-03", "Reordered", order[::-1],
        [[0, 1], [0, 1], [1, 1]], amount=whole(2))
    named = {"numbers": ["layers.2", "layers.10", "layers.1"], "case": ["b", "a", "B", "A"],
        "utf-16": ["\U0001d400", "\uff5a", "z", "\u00e9"], "prefix":
        ["a.b", "a", "a-b", "a/b", ""], "accents": ["e\u0301", "\u00e9", "e", "f"], "digits":
        ["w9", "w10", "w09", "w"]}
    for name, names in named.items():
        for k in (1, 2, len(names), len(names) + 1, 2 * len(names) - 1):
            tensors = [array([1, 1], name=each) for each in names]
            area.prune(f"TIE-04/{name}-{k}", "names stand in the order of their code points",
                "TIE-04", "Reordered CodePoints", tensors, amount=whole(k))
    pattern = {"dtype": "bfloat16", "shape": [16, 16], "lcg":
        {"start": 3, "shift": 16, "mask": "80ff"}}
    for fraction in (0.1, 0.5, 0.8):
        area.prune(f"TIE-01/bfloat16-{fraction}", "bfloat16 entries tie at the cut",
            "TIE-01 AMT-04", "HalfTies", [pattern], amount=part(fraction))


def _masks(area: Area) -> None:
    values = array([5, 1, 4, 2, 3])
    prior = mask([1, 0, 1, 0, 1])
    area.prune("MASK-01/stays", "what was pruned stays pruned", "MASK-01", "Revived",
        [array([5, 9, 4, 8, 3], mask=prior)], [[1, 0, 1, 0, 0]], amount=whole(1))
    area.prune("MASK-01/nothing-asked", "nothing asked keeps the prior mask", "MASK-01 AMT-06",
        "Revived", [dict(values, mask=prior)], [[1, 0, 1, 0, 1]], amount=whole(0))
    area.prune("MASK-02/not-ranked", "pruned entries use up nothing", "MASK-02", "PriorRanked",
        [dict(values, mask=prior)], [[0, 0, 0, 0, 0]], amount=whole(3))
    area.prune("MASK-02/zeros", "pruned zeros are not pruned again", "MASK-02", "PriorRanked",
        [array([5, 0, 4, 0, 3], mask=prior)], [[1, 0, 1, 0, 0]], amount=whole(1))
    area.prune("MASK-02/nan", "a pruned NaN ranks nothing", "MASK-02", "PriorRanked",
        [array([5, NAN, 4, NAN, 3], mask=prior)], [[1, 0, 0, 0, 0]], amount=whole(2))
    area.prune("MASK-02/two-tensors", "live entries of all tensors are ranked", "MASK-02 MASK-05",
        "PriorRanked", [dict(values, mask=prior), array([1, 6])], [[1, 0, 1, 0, 0], [0, 1]],
        amount=whole(2))
    for name, wrong in {"half": 0.5, "two": 2, "minus": -1, "nan": "NaN"}.items():
        held = dict(values, mask={"shape": [5], "data": [1, 0, wrong, 1, 1]})
        area.prune(f"MASK-03/{name}", f"a mask with {wrong} is refused", "MASK-03 ERR-02",
            "NotAMask", [held], "mask-values", amount=whole(1))
    for name, shape in {"longer": [6], "shorter": [4], "flat": [1, 5], "column": [5, 1]}.items():
        size = shape[0] * (shape[1] if len(shape) > 1 else 1)
        held = dict(values, mask={"shape": shape, "data": [1] * size})
        area.prune(f"MASK-04/{name}", f"a mask of shape {shape} is refused", "MASK-04",
            "Misaligned", [held], "mask-shape", amount=whole(1))
    turned = array([[1, 2, 3], [4, 5, 6]], mask=mask([[1, 1], [1, 1], [0, 1]]))
    area.prune("MASK-04/transposed", "a transposed mask is refused", "MASK-04", "Misaligned",
        [turned], "mask-shape", amount=whole(1))
    area.prune("MASK-05/some", "tensors without a mask are live", "MASK-05", "PriorRanked",
        [array([2, 3]), dict(values, mask=prior)], [[0, 1], [1, 0, 1, 0, 1]], amount=whole(1))
    for seed in range(12):
        held = {"shape": [5, 7], "lcg": {"start": seed, "shift": 20, "mask": "1"}}
        data = {"dtype": "float16", "shape": [5, 7], "lcg":
            {"start": 99 + seed, "shift": 16, "mask": "bfff"}}
        more = {"dtype": "float32", "shape": [9], "lcg":
            {"start": 7 * seed, "shift": 0, "mask": "bf7fffff"}}
        area.prune(f"ITER-01/drawn-{seed}", "a later round ranks what is left",
            "ITER-01 MASK-01 MASK-02", "Revived PriorRanked", [dict(data, mask=held), more],
            amount=part(0.1 + seed / 20))


def _scores(area: Area) -> None:
    first, second = array([1, 2, 3], name="a"), array([4, 5, 6], name="b")
    scores = {"a": array([9, 8, 7]), "b": array([1, 2, 10])}
    area.prune("SCORE-01/replace", "scores rank in place of the values", "SCORE-01",
        "ScoresIgnored", [first, second], [[1, 1, 0], [0, 0, 1]], amount=whole(3), scores=scores)
    area.prune("SCORE-04/magnitude", "negative scores rank by magnitude", "SCORE-04",
        "ScoresSigned", [first], [[1, 0, 1]], amount=whole(1),
        scores={"a": array([-10, 0.5, -1])})
    area.prune("SCORE-05/signed", "signed scores rank as they are", "SCORE-05 DEV-35",
        "ScoresSigned", [first], [[0, 1, 1]], amount=whole(1), signed=True,
        scores={"a": array([-10, 0.5, -1])}, profile="deterministic")
    area.prune("SCORE-05/zeros", "zeros of both signs tie in signed order",
        "SCORE-05 NUM-14 TIE-01", "ScoresSigned", [array([1] * 4, name="a")], [[0, 0, 1, 0]],
        amount=whole(3), signed=True, scores={"a": array([0.0, -0.0, 0.0, -3])},
        profile="deterministic")
    for name, more in {"missing": {"a": array([1, 2, 3])}, "unknown": dict(scores, c=array([1])),
        "none": {}, "renamed": {"a": scores["a"], "B": scores["b"]}}.items():
        also = "DEV-32" if name in {"unknown", "renamed"} else "DEV-31"
        area.prune(f"SCORE-03/{name}", "scores fit the tensors one to one", f"SCORE-03 {also}",
            "ScoresIgnored", [first, second], "scores-keys", amount=whole(1), scores=more)
    table = array([[1, 2, 3], [4, 5, 6]], name="a")
    for name, data in {"transposed": [[1, 2], [3, 4], [5, 6]], "flat": [1, 2, 3, 4, 5, 6],
        "short": [1, 2, 3], "long": [[1, 2, 3, 4], [4, 5, 6, 7]]}.items():
        area.prune(f"SCORE-02/{name}", "scores have their tensor's shape", "SCORE-02 DEV-33",
            "Misaligned", [table], "scores-shape", amount=whole(2), scores={"a": array(data)})
    swapped = {"a": array([4, 5, 6, 7]), "b": array([1, 2])}
    area.prune("SCORE-02/same-total", "equal totals are not equal shapes", "SCORE-02 DEV-33",
        "Misaligned", [array([1, 2], name="a"), array([1, 2, 3, 4], name="b")], "scores-shape",
        amount=whole(2), scores=swapped)
    held = array([1, 2, 3], name="a", mask=mask([0, 1, 1]))
    area.prune("SCORE-06/pruned", "scores of pruned entries play no role", "SCORE-06",
        "PriorRanked", [held], [[0, 1, 0]], amount=whole(1), scores={"a": array([0, 3, 2])})
    area.prune("SCORE-07/dtype", "only the dtypes of the scores count", "SCORE-07 TYPE-04",
        "ScoresIgnored", [array([1, 2], "float16", name="a"), array([1, 2], name="b")],
        [[1, 0], [1, 1]], amount=whole(1), scores={"a": array([16777217, 16777216], "int32"), "b":
        array([16777218, 16777219], "int32")})
    area.prune("SCORE-07/bool-values", "values that scores replace may be of any dtype",
        "SCORE-07 SCORE-01", "ScoresIgnored",
        [{"dtype": "bool", "shape": [2], "data": [1, 0], "name": "a"}], [[1, 0]], amount=whole(1),
        scores={"a": array([2, 1])})
    refused: Json = {"dtype": "bool", "shape": [3], "data": [1, 0, 1]}
    area.prune("NUM-12/bool-scores", "boolean scores are refused", "NUM-12 DEV-37", "NotAMask",
        [first], "dtype", amount=whole(1), scores={"a": refused})
    area.prune("SCORE-03/nan", "a NaN score is the largest", "SCORE-01 NUM-03", "ScoresSigned",
        [first], [[1, 0, 0]], amount=whole(2), scores={"a": array([NAN, 7, 9])})
    for k in (1, 3, 5):
        words = ["c0000000", "bf800000", "80000000", "00000000", "3f800000", "7fc00000"]
        item = bits(words, "float32")
        area.prune(f"SCORE-05/ladder-{k}", "signed order runs from minus to plus",
            "SCORE-05 NUM-14", "ScoresSigned", [array([1] * 6, name="a")], amount=whole(k),
            signed=True, scores={"a": item}, profile="deterministic")


def _large(area: Area) -> None:
    masks = {"float16": "ffff", "bfloat16": "ffff", "int8": "ff", "uint8": "ff", "int16": "ffff",
        "float8_e4m3fn": "ff", "float8_e5m2": "ff"}
    for place, (dtype, keep) in enumerate(masks.items()):
        tensors = [{"dtype": dtype, "shape": [40, 50], "lcg":
            {"start": 11 * place + part_, "shift": 8, "mask": keep}} for part_ in range(3)]
        for fraction in (0.03, 0.5, 0.97):
            area.prune(f"TIE-01/large-{dtype}-{fraction}", f"{fraction} of 6000 {dtype} entries",
                "TIE-01 AMT-04 RANK-01", "Large HalfTies", tensors, amount=part(fraction))
    for fraction in (0.2, 0.8):
        tensors = [{"dtype": "float32", "shape": [70, 60], "lcg":
            {"start": 5, "shift": 0, "mask": "ff7fffff"}}, {"dtype": "bfloat16", "shape": [3000],
            "lcg": {"start": 6, "shift": 16, "mask": "ff7f"}}]
        area.prune(f"TYPE-01/large-mixed-{fraction}", "mixed dtypes at scale",
            "TYPE-01 TYPE-03 RANK-01", "Large", tensors, amount=part(fraction))
