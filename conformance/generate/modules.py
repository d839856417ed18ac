"""Vectors of SPEC.md 10 and 11: parameters over successive steps, removal, errors."""

from __future__ import annotations

from typing import Any

from craft import Area, Json, array, bits, mask, part, whole

# Tables of vectors read better when they are packed.
# fmt: off

NOTES = {
    "Stale": ("ranking a copy of the values", "the largest weight goes"),
    "Product": ("a mask applied by multiplying", "NaN survives, negatives become -0"),
    "Lost": ("an error after a change", "training stops reaching the weight"),
    "HalfDone": ("parameters changed one by one", "a model pruned in part"),
    "Overwritten": ("originals replaced by pruned values", "no way back, wrong gradients"),
    "Permanent": ("removal that forgets the mask, or the value", "zeros come back"),
    "Twice": ("one parameter counted twice", "too few entries go"),
    "ByName": ("positions by name where there is a list", "another entry goes"),
    "Tied": ("one storage under two names", "two masks for one weight"),
    "Names": ("names looked up late", "an obscure failure, or data lost"),
    "RoundsOfAll": ("rounds that count the whole", "schedules end elsewhere"),
    "SetUp": ("nothing done for an amount of zero", "checkpoints do not load"),
}
NAN, INF = float("nan"), float("inf")


def build() -> list[Area]:
    """Return the area's files."""
    area = Area("module", NOTES)
    _rounds(area)
    _values(area)
    _errors(area)
    return [area]


def _add(
    area: Area,
    ident: str,
    title: str,
    clauses: str,
    flag: str,
    parameters: list[Json],
    *steps: Json,
) -> None:
    request = {"parameters": parameters, "steps": list(steps)}
    area.add(ident, title, clauses, flag, "module", request, None, "module")


def _prune(names: Any, amount: Any = None, **more: Any) -> Json:
    step = {"do": "prune", "names": names, **more}
    return step if amount is None else step | {"amount": amount}


def _set(name: str, data: Any) -> Json:
    return {"do": "set", "name": name, **array(data)}


def _remove(name: str) -> Json:
    return {"do": "remove", "name": name}


A = array([5, 1, 4, 2, 3], name="a")
B = array([[1.5, 2.5], [3.5, 0.5]], name="b")


def _rounds(area: Area) -> None:
    _add(area, "REP-01/names", "a pruned parameter has an original and a mask", "REP-01",
        "Overwritten", [A, B], _prune(["a"], whole(2)))
    _add(area, "REP-01/global", "parameters are pruned together", "REP-01 RANK-01", "Overwritten",
        [A, B], _prune(["a", "b"], part(0.5)))
    _add(area, "REP-05/rounds", "rounds multiply masks and keep originals", "REP-05 ITER-01",
        "RoundsOfAll Overwritten", [A, B], *[_prune(["a", "b"], part(0.5))] * 3)
    hundred = {"name": "w", "dtype": "float32", "shape": [100], "lcg":
        {"start": 1, "shift": 0, "mask": "3f7fffff"}}
    for goal, name in [(part(0.5), "half"), (whole(30), "thirty"), (part(0.2), "fifth")]:
        steps = [_prune(["w"], goal)] * (3 if name == "thirty" else 4)
        _add(area, f"ITER-01/{name}", "rounds count what is left", "ITER-01 AMT-03",
            "RoundsOfAll", [hundred], *steps)
    _add(area, "ITER-01/thirty-again", "a round asks for more than is left", "ITER-01 AMT-11",
        "RoundsOfAll", [hundred], *[_prune(["w"], whole(30))] * 4)
    targets = [_prune(["w"], sparsity=part(s)) for s in (0.3, 0.5, 0.8, 0.8)]
    _add(area, "ITER-02/targets", "targets do not compound", "ITER-02 AMT-13", "RoundsOfAll",
        [hundred], *targets)
    _add(area, "ITER-02/back", "a lower target is refused", "ITER-02 AMT-14", "RoundsOfAll Lost",
        [hundred], *targets[:3], targets[0])
    _add(area, "REP-08/zero", "an amount of zero sets up a mask of ones", "REP-08 AMT-06",
        "SetUp", [A], _prune(["a"], whole(0)))
    _add(area, "METH-03/module", "identity sets up a mask of ones", "METH-03 REP-08", "SetUp",
        [A], _prune(["a"], method="identity"))
    local = {"scope": "local"}
    _add(area, "METH-04/custom", "a custom mask joins the prior one", "METH-04 REP-05",
        "RoundsOfAll", [A], _prune(["a"], whole(2)), _prune(["a"], method="custom_from_mask",
        mask=mask([0, 1, 1, 1, 1]), **local))
    _add(area, "METH-04/values", "a custom mask of other values is refused",
        "METH-04 MASK-03 DEV-41", "Lost", [A], _prune(["a"], whole(1)), _prune(["a"],
        method="custom_from_mask", mask=mask([0.5, 0, 2, 1, 1]), **local))
    _add(area, "METH-04/shape", "a custom mask of another shape is refused", "METH-04 MASK-04",
        "Lost", [A], _prune(["a"], method="custom_from_mask", mask=mask([0, 1]), **local))
    rows = array([[1, 2], [5, 6], [0.5, 0.25], [3, 3.5]], name="w")
    ln = {"method": "ln_structured", "n": 2, "dim": 0, **local}
    _add(area, "METH-05/then-global", "global pruning goes on after structured",
        "METH-05 ITER-01", "RoundsOfAll", [rows], _prune(["w"], whole(1), **ln),
        _prune(["w"], part(0.5)))
    _add(area, "METH-06/after-global", "structured pruning counts what is left",
        "METH-06 METH-10", "RoundsOfAll", [rows], _prune(["w"], whole(3)),
        _prune(["w"], whole(1), **ln), _prune(["w"], whole(1), **ln))
    draw = {"method": "random_unstructured", "seed": 9}
    area.add("RAND-05/rounds", "a seed goes on where it stopped", "RAND-05 ITER-01",
        "RoundsOfAll", "module", {"parameters": [hundred], "steps": [_prune(["w"], whole(20),
        **draw), _prune(["w"], whole(20), **draw)]}, None, "random")
    scores = {"a": array([1, 2, 3, 4, 5]), "b": array([[0.5, 9], [9, 9]])}
    _add(area, "SCORE-01/module", "scores rank, values are masked", "SCORE-01", "Overwritten",
        [A, B], _prune(["a", "b"], whole(3), scores=scores))


def _values(area: Area) -> None:
    wild = array([1, NAN, -3, INF, -INF, -0.0], name="w")
    _add(area, "REP-03/all", "pruned entries read plus zero, whatever they are",
        "REP-03 DEV-29 DEV-30", "Product", [wild], _prune(["w"], part(1.0)))
    _add(area, "REP-03/some", "kept entries read as they are", "REP-03", "Product", [wild],
        _prune(["w"], whole(3)))
    payload = bits(["ffc00001", "bf800000", "80000000", "00000001"], "float32", name="w")
    _add(area, "REP-03/bits", "no sign or payload comes through a mask", "REP-03 DEV-29 DEV-30",
        "Product", [payload], _prune(["w"], part(1.0)), _remove("w"))
    _add(area, "REP-03/removed", "a pruned NaN is gone after removal", "REP-03 REP-06",
        "Product Permanent", [wild], _prune(["w"], part(1.0)), _remove("w"))
    _add(area, "REP-04/value", "the value follows the original", "REP-04", "Stale", [A],
        _prune(["a"], whole(2)), _set("a", [1, 2, 3, 4, 5]))
    three = array([1, 2, 3], name="w")
    _add(area, "REP-04/rank", "the next round ranks the current original", "REP-04 DEV-01",
        "Stale", [three], _prune(["w"], whole(0)), _set("w", [3, 2, 1]), _prune(["w"], whole(1)))
    _add(area, "REP-04/rank-again", "a later round ranks the current original", "REP-04 DEV-01",
        "Stale", [A], _prune(["a"], whole(1)), _set("a", [1, 9, 2, 8, 7]),
        _prune(["a"], whole(2)))
    _add(area, "REP-06/permanent", "removal leaves a plain parameter", "REP-06", "Permanent",
        [A, B], _prune(["a", "b"], part(0.5)), _remove("a"))
    _add(area, "REP-06/after-change", "removal takes the current original", "REP-06 REP-04",
        "Permanent Stale", [A], _prune(["a"], whole(2)), _set("a", [9, 8, 7, 6, 5]), _remove("a"))
    _add(area, "REP-09/again", "zeros of a removed pruning are live", "REP-09 NUM-17",
        "Permanent", [A], _prune(["a"], part(0.5)), _remove("a"), _prune(["a"], part(0.5)))
    _add(area, "REP-10/pair-twice", "a parameter listed twice is pruned once", "REP-10 DEV-10",
        "Twice", [A, B], _prune(["a", "b", "a"], whole(4)))
    equal = [array([1, 1], name=n) for n in ("a", "b")]
    area.add("REP-10/first-place", "a parameter listed twice has its first place", "REP-10 TIE-03",
        "Twice", "module", {"parameters": equal, "steps": [_prune(["a", "b", "a"], whole(1)),
        _prune(["b", "a", "b"], whole(1))]}, None, "deterministic")
    _add(area, "REP-10/fraction", "a fraction counts distinct entries", "REP-10 DEV-10", "Twice",
        [B], _prune(["b", "b"], part(0.5)))
    _add(area, "REP-10/too-many", "an amount counts distinct entries", "REP-10 AMT-11", "Twice",
        [B], _prune(["b", "b"], whole(5)))
    _add(area, "DEV-11/tied", "a tied weight has one mask", "DEV-11 REP-10", "Tied",
        [A, {"name": "t", "same_as": "a"}], _prune(["a", "t"], whole(2)))
    tied = [A, {"name": "t", "same_as": "a"}]
    _add(area, "DEV-11/tied-set", "a tied weight that is written to is read under both names",
        "DEV-11 REP-04", "Tied Stale", tied, _prune(["a", "t"], whole(2)),
        _set("t", [1, 2, 3, 4, 5]))
    _add(area, "DEV-11/tied-removed", "removal under one name leaves the other its mask",
        "DEV-11 REP-06", "Tied Permanent", tied, _prune(["a", "t"], whole(2)), _remove("a"),
        _set("a", [1, 2, 3, 4, 5]), _remove("t"))
    same = [array([1, 1], name=n) for n in ("a", "b", "c")]
    steps = [_prune(["c", "a", "b"], whole(3)), _prune(["b", "c", "a"], whole(2))]
    area.add("TIE-03/names", "positions follow the list of names", "TIE-03", "ByName", "module",
        {"parameters": same, "steps": steps}, None, "deterministic")
    _add(area, "DEV-11/prior-of-one", "what one name pruned stays pruned under both",
        "DEV-11 MASK-01", "Tied", tied, _prune(["a"], whole(2)), _set("a", [5, 9, 4, 8, 3]),
        _prune(["t", "a"], whole(1)))
    _add(area, "DEV-11/priors-differ", "what either name pruned stays pruned", "DEV-11 MASK-01",
        "Tied", tied, _prune(["a"], whole(1)), _set("a", [1, 9, 4, 8, 3]),
        _prune(["t"], whole(1)), _set("a", [5, 9, 4, 8, 3]), _prune(["a", "t"], part(0.5)))
    _add(area, "DEV-11/not-listed", "a name that is not listed keeps its mask", "DEV-11", "Tied",
        tied, _prune(["a", "t"], whole(1)), _prune(["t"], whole(1)))
    _add(area, "DEV-11/tied-rounds", "a tied weight has one mask in every round", "DEV-11 REP-10",
        "Tied", [A, {"name": "t", "same_as": "a"}, B], _prune(["a", "t", "b"], whole(3)),
        _prune(["t", "b", "a"], whole(2)))


def _errors(area: Area) -> None:
    good = _prune(["a"], whole(1))
    wrong = {"too-many": (_prune(["a"], whole(5)), "AMT-11"), "minus":
        (_prune(["a"], whole(-1)), "AMT-10"), "nan": (_prune(["a"], part("NaN")), "AMT-10"),
        "bool": (_prune(["a"], {"kind": "bool", "value": True}), "AMT-08"), "method":
        (_prune(["a"], part(0.5), method="ln_structured", n=2, dim=0), "METH-02"), "scores-shape":
        (_prune(["a"], whole(1), scores={"a": array([1, 2])}), "SCORE-02"), "scores-key":
        (_prune(["a"], whole(1), scores={}), "SCORE-03"), "scores-type":
        (_prune(["a"], whole(1), scores=[1, 2, 3]), "SCORE-08"), "dim": (_prune(["b"], whole(1),
        method="ln_structured", n=2, dim=7, scope="local"), "METH-08 DEV-39"), "missing":
        (_prune(["a", "x"], whole(1)), "ERR-04 DEV-15"), "text":
        (_prune("a", whole(1)), "ERR-05 DEV-13"), "numbers":
        (_prune([[1, 2]], whole(1)), "ERR-05 DEV-13"), "original":
        (_prune(["a_orig"], whole(1)), "ERR-06 DEV-47")}
    for name, (step, clause) in wrong.items():
        _add(area, f"ERR-01/{name}", "an error leaves an earlier pruning as it is",
            f"ERR-01 DEV-02 {clause}", "Lost Names", [A, B], good, step,
            _set("a", [1, 2, 3, 4, 5]))
        if name not in {"original"}:
            _add(area, f"ERR-01/{name}-first", "an error prunes nothing", f"ERR-01 {clause}",
                "HalfDone", [A, B], step)
    last = _prune(["a", "b", "x"], whole(2))
    _add(area, "ERR-01/last-missing", "an error at the last parameter changes no other",
        "ERR-01 DEV-03 ERR-04", "HalfDone", [A, B], last)
    _add(area, "ERR-01/last-taken", "a taken name at the last parameter changes no other",
        "ERR-01 DEV-03 ERR-06 DEV-46", "HalfDone Names", [A, B, array([7, 8], name="b_orig")],
        _prune(["a", "b"], whole(2)))
    lost = [array([[1, 2, 3], [4, 5, 6]], name="r")]
    again = _set("r", [[6, 5, 4], [3, 2, 1]])
    local = {"scope": "local"}
    refused = {"too-many": (_prune(["r"], whole(9), method="ln_structured", n=2, dim=0, **local),
        "AMT-11 DEV-39"), "dim": (_prune(["r"], whole(1), method="ln_structured", n=2, dim=7,
        **local), "METH-08"), "amount": (_prune(["r"], whole(-1), method="ln_structured", n=2,
        dim=0, **local), "AMT-10"), "mask": (_prune(["r"], method="custom_from_mask",
        mask=mask([0, 1]), **local), "MASK-04")}
    for name, (step, clause) in refused.items():
        _add(area, f"ERR-01/second-{name}", "an error in a second local pruning leaves the first",
            f"ERR-01 DEV-02 {clause}", "Lost", lost, _prune(["r"], whole(1)), step, again,
            _prune(["r"], whole(1)))
    _add(area, "ERR-01/second-none", "a second local pruning joins the first", "DEV-02 DEV-39 "
        "ERR-01 METH-06", "Lost", lost, _prune(["r"], whole(1)), _prune(["r"], whole(1),
        method="ln_structured", n=2, dim=0, **local))
    _add(area, "ERR-01/last-mask-taken", "a taken mask at the last parameter changes no other",
        "ERR-01 DEV-03 ERR-06", "HalfDone Names", [A, B, array([[7, 8], [9, 6]], name="b_mask")],
        _prune(["a", "b"], whole(2)))
    _add(area, "ERR-06/orig-taken", "a parameter with the name of the original is kept",
        "ERR-06 DEV-46", "Names", [A, array([7, 8, 9, 6, 5], name="a_orig")], good)
    _add(area, "ERR-06/alike", "names that only begin alike are free", "ERR-06 DEV-46 DEV-47",
        "Names", [A, array([7, 8], name="a_original"), array([9, 3], name="a_masked")],
        _prune(["a", "a_masked"], whole(3)))
    _add(area, "ERR-01/last-round", "an error in a second round keeps the first", "ERR-01 DEV-03",
        "HalfDone Lost", [A, B], _prune(["a", "b"], whole(2)), last)
    _add(area, "ERR-06/mask-taken", "a parameter with the name of the mask is kept", "ERR-06",
        "Names", [A, array([7, 8], name="a_mask")], good)
    _add(area, "REP-07/never", "removal needs a pruning", "REP-07", "Names", [A], _remove("a"))
    _add(area, "REP-07/twice", "a second removal is refused", "REP-07", "Names", [A], good,
        _remove("a"), _remove("a"))
    _add(area, "REP-07/unknown", "removal of a name that does not exist is refused", "REP-07",
        "Names", [A], _remove("x"))
    _add(area, "ERR-03/no-name", "an empty list is refused", "ERR-03 DEV-09", "Names", [A],
        _prune([], part(0.5)))
