"""Vectors of SPEC.md 8 and 9: methods, random draws."""

from __future__ import annotations

from typing import Any

from craft import Area, Json, array, mask, part, whole

# Tables of vectors read better when they are packed.
# fmt: off

NOTES = {
    "Structured": ("channels and entries mixed up", "half channels go, or other counts"),
    "DeadChannel": ("channels that are gone counted again", "nothing new is pruned"),
    "WrongAxis": ("another dimension", "other channels go"),
    "Revived": ("prior masks replaced", "pruned entries come back"),
    "NotAMask": ("values and shapes taken as they are", "weights are scaled, or other entries go"),
    "Gate": ("any method taken for global ranking", "channels of different sizes compared"),
    "ChannelTies": ("ties among channels left open", "another channel goes"),
    "Norm": ("another norm", "other channels go"),
    "Philox": ("another generator, or another word order", "no other implementation agrees"),
    "SeedHalf": ("half of the seed dropped", "different seeds give one mask"),
    "FarPosition": ("positions cut to 32 bits", "draws repeat in large models"),
    "ByPosition": ("draws numbered by live entries", "the mask depends on the history"),
    "BadSeed": ("seeds wrapped or truncated", "two seeds are one"),
}


def build() -> list[Area]:
    """Return the area's files."""
    areas = [Area(name, NOTES) for name in ("methods", "random")]
    for area, fill in zip(areas, (_methods, _random), strict=True):
        fill(area)
    return areas


def _structured(
    area: Area,
    ident: str,
    title: str,
    clauses: str,
    flag: str,
    expect: list[int] | str | None = None,
    profile: str = "parity",
    **request: Any,
) -> None:
    answer: Json | None = {"error": expect} if isinstance(expect, str) else None
    if isinstance(expect, list):
        answer = {"masks": [{"shape": request["shape"], "data": expect}]}
    area.add(ident, title, clauses, flag, "structured", request, answer, profile)


def _methods(area: Area) -> None:
    five = array([5, 1, 4, 2, 3])
    for method in ("ln_structured", "random_structured", "custom_from_mask"):
        area.prune(f"METH-02/{method}", f"{method} is no method for global ranking",
            "METH-01 METH-02", "Gate", [five], "pruning-type", method=method, amount=part(0.5))
    area.prune("METH-03/identity", "identity keeps everything", "METH-01 METH-03", "Gate", [five],
        [[1] * 5], method="identity")
    area.prune("METH-03/identity-prior", "identity keeps the prior mask", "METH-03 MASK-01",
        "Gate", [dict(five, mask=mask([0, 1, 0, 1, 1]))], [[0, 1, 0, 1, 1]], method="identity")
    area.prune("METH-01/l1", "l1_unstructured is a method for global ranking", "METH-01", "Gate",
        [five], [[1, 0, 1, 0, 1]], method="l1_unstructured", amount=whole(2))
    for name, prior, given, expect in [("fresh", None, [1, 0, 1, 1, 0], [1, 0, 1, 1, 0]),
        ("prior", [0, 1, 1, 1, 0], [1, 0, 1, 1, 1], [0, 0, 1, 1, 0]),
        ("all", [0, 1, 1, 0, 1], [1, 1, 1, 1, 1], [0, 1, 1, 0, 1])]:
        _structured(area, f"METH-04/alone-{name}", "a custom mask is joined to the prior one",
            "METH-04 MASK-01", "Revived", expect, method="custom_from_mask", custom=mask(given),
            **five, **({} if prior is None else {"mask": mask(prior)}))
    for name, given, kind in [("half", [1, 0.5, 1, 1, 1], "mask-values"),
        ("minus", [1, 0, 1, 1, -1], "mask-values"), ("shorter", [1, 0, 1, 1], "mask-shape"),
        ("row", [[1, 0, 1, 1, 1]], "mask-shape")]:
        _structured(area, f"METH-04/alone-{name}", "what is no mask of the tensor is refused",
            "METH-04 MASK-03 MASK-04 DEV-41" if kind == "mask-values" else "METH-04 MASK-04",
            "NotAMask", kind, method="custom_from_mask", custom=mask(given), **five)
    rows = array([[1, 2, 3], [4, -5, 0], [3, 3, 3], [0, 1, 0]])

    def ln(
        ident: str,
        title: str,
        clauses: str,
        flag: str,
        expect: Any = None,
        values: Json = rows,
        n: Any = 2,
        dim: int = 0,
        amount: Any = None,
        **more: Any,
    ) -> None:
        amount = whole(1) if amount is None else amount
        _structured(area, ident, title, clauses, flag, expect, method="ln_structured", n=n,
            dim=dim, amount=amount, **values, **more)

    keep = [1] * 3
    ln("METH-05/row", "the weakest row goes whole", "METH-05 METH-10", "Structured", keep + keep +
        keep + [0] * 3)
    ln("METH-05/column", "the weakest column goes whole", "METH-05", "WrongAxis", [1, 1, 0] * 4,
        dim=1)
    ln("METH-08/last", "dimension -1 is the last", "METH-08", "WrongAxis", [1, 1, 0] * 4, dim=-1)
    ln("METH-08/first", "dimension -2 of two is the first", "METH-08", "WrongAxis", keep * 3 + [0]
        * 3, dim=-2)
    ln("METH-05/half", "half of four rows are two rows", "METH-05 AMT-02", "Structured", [0] * 3 +
        keep + keep + [0] * 3, amount=part(0.5))
    for name, dim in {"above": 2, "below": -3}.items():
        ln(f"METH-08/{name}", f"dimension {dim} of two is refused", "METH-08 DEV-43", "WrongAxis",
            "dim", dim=dim)
    ln("METH-09/vector", "a vector has no channels", "METH-09", "Structured", "not-structured",
        values=five)
    scalar: Json = {"dtype": "float32", "shape": [], "data": [1]}
    ln("METH-09/scalar", "a scalar has no channels", "METH-09", "Structured", "not-structured",
        values=scalar)
    ln("DEV-62/ln", "a vector has no channels in later rounds either", "DEV-62 METH-09",
        "Structured", "not-structured", values=dict(five, mask=mask([1, 1, 1, 0, 1])))
    ln("DEV-62/row", "a matrix of one row has channels", "DEV-62 METH-05", "Structured",
        [1, 0, 1, 0, 1], dim=1, values=array([[5, 1, 4, 2, 3]]), mask=mask([[1, 1, 1, 0, 1]]))
    dead = mask([[0] * 3, [1] * 3, [1] * 3, [1] * 3])
    ln("METH-06/dead", "a dead channel is not counted", "METH-06", "DeadChannel", [0] * 3 + keep +
        [0] * 3 + [0] * 3, amount=part(0.5), mask=dead,
        values=array([[9, 9, 9], [4, -5, 0], [3, 3, 3], [0, 1, 0]]))
    ln("METH-06/too-many", "dead channels cannot go again", "METH-06 AMT-11 DEV-39",
        "DeadChannel", "amount-too-large", amount=whole(4), mask=dead)
    ln("METH-06/partly", "a channel that is partly left counts", "METH-06 METH-10", "DeadChannel",
        [0, 0, 0] + keep * 3, mask=mask([[0, 0, 1], [1] * 3, [1] * 3, [1] * 3]),
        values=array([[9, 9, 0.5], [4, -5, 0], [3, 3, 3], [0, 1, 0]]))
    ln("METH-06/bool", "a boolean is no amount of channels", "AMT-08 METH-06", "Structured",
        "amount-type", amount={"kind": "bool", "value": True})
    ln("AMT-06/no-channel", "no channel goes", "AMT-06 METH-05", "Structured", keep * 4,
        amount=whole(0))
    ln("AMT-06/every-channel", "every channel goes", "AMT-06 METH-05", "Structured", [0] * 12,
        amount=part(1.0))
    ln("METH-07/ties", "equal channels go from the front", "METH-07", "ChannelTies", [0] * 2 + [0]
        * 2 + [1] * 2 + [1] * 2, amount=whole(2), profile="deterministic",
        values=array([[1, 1]] * 4))
    norms = array([[3, 0, 0, 0], [2, 2, 2, 0], [1, 1, 1, 1], [2.5, 0.25, 0.25, 0.25]])
    for n in (1, 2, 3, 0, 0.5, "fro", "Infinity", "-Infinity"):
        for k in (1, 2):
            tied = n == "-Infinity"  # two of the rows have the minimum 0
            ln(f"METH-10/{n}-{k}", f"channels rank by the {n} norm", "METH-10", "Norm",
                values=norms, n=n, amount=whole(k), profile="deterministic" if tied and k == 1
                else "parity")
    for n in (2, 3, "fro"):  # of which the third row tells apart
        ln(f"METH-10/{n}-3", f"channels rank by the {n} norm", "METH-10", "Norm", values=norms, n=n,
            amount=whole(3))
    cube = array([[[3, 0], [0, 0]], [[2, 0], [0, 2]], [[1, 1], [1, 1]], [[0, 5], [0, 0]]])
    ln("METH-10/nuc", "the nuclear norm takes two dimensions", "METH-10 DEV-42", "Norm", [1] * 4 +
        [1] * 4 + [0] * 4 + [1] * 4, values=cube, n="nuc")
    ln("METH-11/nuc", "the nuclear norm of a row is refused", "METH-11 DEV-42", "Norm", "norm",
        n="nuc")
    for n in ("three", "inf norm", "NaN"):
        ln(f"METH-11/{n}", f"{n} is no norm", "METH-11", "Norm", "norm", n=n)


def _random(area: Area) -> None:
    def draws(
        ident: str,
        title: str,
        clauses: str,
        flag: str,
        seed: Any,
        positions: list[int],
        expect: Any = None,
    ) -> None:
        request = {"seed": seed, "positions": [f"{position:x}" for position in positions]}
        area.add(ident, title, clauses, flag, "draws", request, expect, "random")

    zero = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    draws("RAND-01/known-zero", "seed 0 begins with the published answer", "RAND-01 RAND-03",
        "Philox", "0", [0, 1, 2, 3], {"draws": zero})
    for seed in (0, 1, 7, 42, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1, 0x299F31D0A4093822):
        clause = "RAND-02" if seed >= 2**32 else "RAND-01"
        draws(f"{clause}/seed-{seed:x}", f"the first draws of seed {seed:x}", f"{clause} RAND-03",
            "Philox SeedHalf", f"{seed:x}", list(range(8)))
    for place in (2**16, 2**32 - 1, 2**32, 2**34 - 1, 2**34, 2**34 + 5, 2**40, 2**62, 2**64 - 1):
        draws(f"RAND-03/position-{place:x}", f"the draw of position {place:x}", "RAND-03",
            "FarPosition", "5", [place])
    for name, seed in {"negative": -1, "wide": 2**64, "float": 0.5, "text": None, "bool":
        True}.items():
        shown = f"{seed:x}" if name == "wide" else seed
        draws(f"RAND-02/{name}", f"the seed {seed} is refused", "RAND-02", "BadSeed", shown, [0],
            {"error": "seed"})
    ten: Any = array(list(range(10)))
    two = [array([[1, 2, 3], [4, 5, 6]]), array([7, 8, 9, 10])]
    for seed in (0, 1, 2, 3):
        for goal in (whole(1), whole(4), part(0.5), part(0.75)):
            name = f"{seed}-{goal['kind']}-{goal['value']}"
            area.prune(f"RAND-04/list-{name}", "the lowest draws go", "RAND-04", "Philox", [ten],
                method="random_unstructured", seed=seed, amount=goal, profile="random")
            area.prune(f"RAND-05/split-{name}", "tensors share one row of positions",
                "RAND-05 RAND-04", "ByPosition", two, method="random_unstructured", seed=seed,
                amount=goal, profile="random")
    held = dict(ten, mask=mask([0, 1, 1, 0, 1, 1, 0, 1, 1, 1]))
    for seed in range(6):
        for k in (1, 3, 5):
            area.prune(f"RAND-05/held-{seed}-{k}", "prior masks shift no draw",
                "RAND-05 RAND-04 MASK-01", "ByPosition", [held], method="random_unstructured",
                seed=seed, amount=whole(k), profile="random")
    for dtype in ("bfloat16", "int8", "uint8", "float64", "complex64"):
        data: Any = [[1, 0]] * 10 if dtype == "complex64" else [1] * 10
        item = {"dtype": dtype, "shape": [10], "data": data}
        area.prune(f"RAND-05/{dtype}", f"draws of {dtype} entries are the same",
            "RAND-05 DEV-05 DEV-21", "ByPosition", [item], method="random_unstructured", seed=3,
            amount=whole(4), profile="random")
    for target in (0.5, 0.7):
        area.prune(f"RAND-04/sparsity-{target}", "random pruning has targets too",
            "RAND-04 AMT-13", "ByPosition", [held], method="random_unstructured", seed=4,
            sparsity=part(target), profile="random")
    area.prune("RAND-04/too-many", "random amounts are amounts", "RAND-04 AMT-11", "ByPosition",
        [held], "amount-too-large", method="random_unstructured", seed=1, amount=whole(8),
        profile="random")
    named = [array([1] * 3, name="b"), array([1] * 3, name="a")]
    area.prune("RAND-05/named", "names order the positions of draws", "RAND-05 TIE-04",
        "ByPosition", named, method="random_unstructured", seed=11, amount=whole(2),
        profile="random")
    table: Json = {"shape": [6, 2], "method": "random_structured"}
    for seed in range(6):
        _structured(area, f"RAND-06/rows-{seed}", "channels draw by their index",
            "RAND-06 DEV-38", "Structured", None, "random", **table, dim=0, seed=seed,
            amount=whole(2))
    gone = mask([[0, 0], [1, 1], [0, 1], [1, 1], [0, 0], [1, 1]])
    for seed in range(3):
        _structured(area, f"RAND-06/held-{seed}", "dead channels shift no draw",
            "RAND-06 METH-06", "DeadChannel", None, "random", **table, dim=0, seed=seed,
            amount=part(0.5), mask=gone)
