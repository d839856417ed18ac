"""Vectors of SPEC.md 2 and 3: keys of every dtype, and promotion."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from craft import Area, Json, array, bits, part, whole

# Tables of vectors read better when they are packed.
# fmt: off

NOTES = {
    "SignedOrder": ("ranking without the absolute value", "large negative weights go first"),
    "NaNPlace": ("NaN compared as false, or by its payload", "diverged entries go at random"),
    "NegativeZero": ("raw bits as order", "zeros of one sign go first"),
    "Subnormal": ("units that flush subnormals", "small weights tie with zero"),
    "Infinity": ("infinities out of order", "diverged weights go first"),
    "Fnuz": ("masking the sign of 0x80", "NaN becomes zero and goes first"),
    "IntegerMinimum": ("abs that overflows", "the largest magnitude goes first"),
    "WideUnsigned": ("unsigned read as signed", "large values turn negative"),
    "Modulus": ("ranking the real part", "rotated weights go first"),
    "NoOrder": ("ranking what has no order", "a mask without meaning"),
    "ZeroIsLive": ("treating zeros as pruned", "another count"),
    "Promotion": ("keys of different formats compared", "one tensor loses everything"),
    "IntToFloat": ("exact integers against rounded floats", "ties decided by a lost digit"),
    "FlushedConversion": ("conversions that flush", "subnormals tie with zero"),
    "Float8": ("no float8, or its bits read as another format", "no answer, or a wrong one"),
}
SPECIAL = {"float16": ("7e00 fe01 7c00 fc00 7bff 8001 0001 0000 8000 03ff 0400 3c00 7c01", 16),
    "bfloat16": ("7fc0 ff81 7f80 ff80 7f7f 8001 0001 0000 8000 007f 0080 3f80 7f81", 16),
    "float32":
    ("7fc00000 ff800001 7f800000 ff800000 7f7fffff 80000001 00000001 00000000 80000000 "
    "007fffff 00800000 3f800000 7fffffff", 32), "float64":
    ("7ff8000000000000 fff0000000000001 7ff0000000000000 fff0000000000000 7fefffffffffffff "
    "8000000000000001 0000000000000001 0000000000000000 8000000000000000 000fffffffffffff "
    "0010000000000000 3ff0000000000000 7fffffffffffffff", 64), "float8_e5m2":
    ("7e fd 7c fc 7b 81 01 00 80 03 04 3c 7f", 8), "float8_e4m3fn":
    ("7f ff 7e fe 78 81 01 00 80 07 08 38 77", 8), "float8_e5m2fnuz":
    ("80 7f ff 7e 81 01 00 02 03 04 40 c0 fe", 8), "float8_e4m3fnuz":
    ("80 7f ff 7e 81 01 00 02 07 08 40 c0 fe", 8)}
TYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "bfloat16", "float32", "float64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2",
    "float8_e4m3fnuz", "float8_e5m2fnuz"]


def build() -> list[Area]:
    """Return the area's files."""
    keys, types = Area("keys", NOTES), Area("promotion", NOTES)
    _special(keys)
    _cuts(keys)
    _plain(keys)
    _refused(keys)
    for left, right in combinations(TYPES, 2):
        _pair(types, [left, right])
    for more in (["float16", "bfloat16", "float8_e5m2"], ["uint8", "int8", "float16"],
        ["float8_e5m2", "float8_e4m3fn", "float16"], ["int64", "float16", "bfloat16"],
        ["float64", "complex64", "int8"], ["uint8", "int8", "int32"]):
        _pair(types, more)
    _converted(types)
    return [keys, types]


def _special(area: Area) -> None:
    clauses = {"float8_e5m2fnuz": "NUM-08 NUM-03", "float8_e4m3fnuz": "NUM-08 NUM-03",
        "float8_e4m3fn": "NUM-02 NUM-03 NUM-04 DEV-25"}
    for dtype, (text, _) in SPECIAL.items():
        words = text.split()
        for k in (1, 2, 3, 5, 7, 8, 10, 11):
            flag = "NaNPlace NegativeZero Subnormal Infinity"
            if "fnuz" in dtype:
                flag = "Fnuz NaNPlace"
            given = clauses.get(dtype, "NUM-02 NUM-03 NUM-05 NUM-06 NUM-07")
            area.prune(f"NUM-02/{dtype}-special-{k}",
                f"the {k} smallest of special {dtype} values", given, flag, [bits(words, dtype)],
                amount=whole(k))
            area.prune(f"NUM-14/{dtype}-signed-{k}", f"the {k} lowest of special {dtype} scores",
                "NUM-14 NUM-04", flag, [bits(words, dtype)], amount=whole(k), signed=True,
                profile="deterministic")


def _cuts(area: Area) -> None:
    for dtype, (text, _) in SPECIAL.items():
        for k in (8, 11, 13):
            request = {"tensors": [bits(text.split(), dtype)], "amount": whole(k)}
            area.add(f"NUM-04/{dtype}-cut-{k}", f"the cut among special {dtype} values",
                "NUM-02 NUM-04 RANK-06" + (" NUM-08" if "fnuz" in dtype else ""), "NaNPlace",
                "cut", request, profile="deterministic")


def _plain(area: Area) -> None:
    mixed = [3, -1, 2, -4, -0.5, 0.25]
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        area.prune(f"NUM-01/{dtype}", f"{dtype} ranks by magnitude", "NUM-01 RANK-02",
            "SignedOrder", [array(mixed, dtype)], [[1, 0, 1, 1, 0, 0]], amount=whole(3))
    area.prune("NUM-05/zeros", "zeros of both signs are one score", "NUM-05", "NegativeZero",
        [array([0.0, -0.0, 1, 0.0, -0.0])], amount=whole(3))
    area.prune("NUM-06/float32", "subnormals keep their order", "NUM-06", "Subnormal",
        [bits(["000116c2", "0000540a", "0002d0f0", "00008000", "80000001", "00000000"],
        "float32")], [[1, 0, 1, 0, 0, 0]], amount=whole(4))
    area.prune("NUM-03/kept", "NaN is kept before infinity", "NUM-03 NUM-07", "NaNPlace Infinity",
        [array([float("nan"), 1, float("-inf"), 2])], [[1, 0, 0, 0]], amount=whole(3))
    area.prune("NUM-07/inf", "an infinity is kept before a finite number", "NUM-07", "Infinity",
        [array([float("-inf"), 65504, float("inf"), -3])], [[1, 0, 1, 0]], amount=part(0.5))
    nans = ["7fc00000", "ffc00001", "7f800001", "3f800000", "ffffffff"]
    nan = float("nan")
    area.prune("NUM-03/at-the-cut", "a cut at NaN takes the counted number", "NUM-03 AMT-04",
        "NaNPlace", [array([1, nan, nan, 4, nan, nan])], [[0, 0, 1, 0, 1, 1]], amount=part(0.5))
    area.prune("NUM-03/payloads", "NaN of every payload is one score", "NUM-03 NUM-04",
        "NaNPlace", [bits(nans, "float32")], [[0, 0, 1, 0, 1]], amount=whole(3),
        profile="deterministic")
    lowest = {8: -128, 16: -(2**15), 32: -(2**31)}
    for width, low in lowest.items():
        area.prune(f"NUM-09/int{width}-minimum", "the smallest integer has the largest magnitude",
            "NUM-09 DEV-22", "IntegerMinimum", [array([low, 5, -low - 1, -3], f"int{width}")],
            [[1, 0, 1, 0]], amount=whole(2))
    words = ["8000000000000000", "7fffffffffffffff", "0000000000000005", "fffffffffffffffd"]
    area.prune("NUM-09/int64-minimum", "the smallest integer has the largest magnitude", "NUM-09",
        "IntegerMinimum", [bits(words, "int64")], [[1, 0, 0, 0]], amount=whole(3))
    area.prune("NUM-09/int64-neighbours", "large integers are not rounded", "NUM-09",
        "IntToFloat", [bits(["0020000000000001", "0020000000000000"], "int64")], [[1, 0]],
        amount=whole(1))
    for width in (8, 16, 32, 64):
        top, low = "f" * (width // 4), "1".zfill(width // 4)
        area.prune(f"NUM-10/uint{width}", "large unsigned integers are large", "NUM-10",
            "WideUnsigned", [bits([top, low, "8" + top[1:]], f"uint{width}")], [[1, 0, 0]],
            amount=whole(2))
        area.prune(f"NUM-15/uint{width}", "unsigned scores rank by value", "NUM-15",
            "WideUnsigned", [bits([top, low, "8" + top[1:]], f"uint{width}")], [[1, 0, 0]],
            amount=whole(2), signed=True, profile="deterministic")
        area.prune(f"NUM-15/int{width}", "signed scores rank by value", "NUM-15", "SignedOrder",
            [array([-100, 5, 100, -3, 0], f"int{width}")], [[0, 1, 1, 0, 1]], amount=whole(2),
            signed=True, profile="deterministic")
    for dtype in ("complex64", "complex128"):
        values = [[3, 4], [0, -6], [-1, 1], [2, 0], [0, 0]]
        item = {"dtype": dtype, "shape": [5], "data": values}
        area.prune(f"NUM-11/{dtype}", "complex numbers rank by modulus", "NUM-11", "Modulus",
            [item], [[1, 1, 0, 0, 0]], amount=whole(3), profile="deterministic")
        area.prune(f"NUM-16/{dtype}", "complex scores have no signed order", "NUM-16", "NoOrder",
            [item], "dtype", amount=whole(3), signed=True, profile="deterministic")
    zeros = array([0, 0, 5, 0, 1, 0, 2, 0, 3, 4])
    area.prune("NUM-17/zeros-count", "zeros that are not masked count", "NUM-17", "ZeroIsLive",
        [zeros], [[0, 0, 1, 0, 1, 0, 1, 0, 1, 1]], amount=part(0.5))
    area.prune("NUM-17/zeros-first", "zeros that are not masked go first", "NUM-17", "ZeroIsLive",
        [array([0, 2, 0, 1])], [[0, 1, 0, 1]], amount=whole(2))
    area.prune("NUM-14/signed", "signed scores rank by value", "NUM-14 SCORE-05", "SignedOrder",
        [array([-10, 0.5, -1, 3])], [[0, 1, 0, 1]], amount=whole(2), signed=True,
        profile="deterministic")


def _refused(area: Area) -> None:
    plain = array([1, 2])
    for dtype in ("bool", "float8_e8m0fnu", "int4", "uint4", "float4_e2m1fn", "float128", "str"):
        clause = "NUM-12 DEV-23 DEV-37" if dtype == "bool" else "NUM-13"
        item: Json = {"dtype": dtype, "shape": [2], "data": [0, 1]}
        area.prune(f"{clause[:6]}/{dtype}", f"{dtype} is refused", clause, "NoOrder", [item],
            "dtype", amount=whole(1))
        area.prune(f"{clause[:6]}/{dtype}-beside", f"{dtype} is refused beside others", clause,
            "NoOrder", [plain, item], "dtype", amount=whole(1))


def _pair(area: Area, names: list[str]) -> None:
    wide = {"uint16", "uint32", "uint64"} & set(names)
    eight = [name for name in names if name.startswith("float8")]
    kinds = {name.rstrip("0123456789") for name in names}
    if wide or (eight and kinds & {"int", "uint"}):
        clause = "TYPE-07"
    elif eight:
        clause = "TYPE-06 DEV-25"
    elif "complex" in kinds:
        clause = "TYPE-08"
    elif kinds <= {"int", "uint"}:
        clause = "TYPE-02"
    else:
        clause = "TYPE-04" if kinds & {"int", "uint"} else "TYPE-03"
    same = clause in {"TYPE-02", "TYPE-03", "TYPE-04"}
    for order in (names, names[::-1]):
        area.add(f"{clause[:7]}/{'+'.join(order)}", "the common dtype of " + ", ".join(order),
            f"{clause} TYPE-02" if same and clause != "TYPE-02" else clause, "Promotion",
            "promote", {"dtypes": order}, profile="parity" if same else "deterministic")


def _converted(area: Area) -> None:
    def both(
        ident: str,
        title: str,
        clauses: str,
        flag: str,
        tensors: list[Json],
        k: int,
        expect: Any = None,
        **more: Any,
    ) -> None:
        area.prune(ident, title, clauses, flag, tensors, expect, amount=whole(k), **more)

    both("TYPE-01/float32-float16", "a large float32 is kept before a float16", "TYPE-01 TYPE-03",
        "Promotion", [array([70000, 1]), array([60000, 2], "float16")], 3, [[1, 0], [0, 0]])
    both("TYPE-01/float16-bfloat16", "halves of both kinds meet in float32", "TYPE-01 TYPE-03",
        "Promotion", [array([1, 0.125], "float16"), array([0.5, 256], "bfloat16")], 2,
        [[1, 0], [0, 1]])
    both("TYPE-01/float64", "a float32 is widened beside a float64", "TYPE-01 TYPE-03",
        "Promotion", [array([1.5, 3]), array([2, 1], "float64")], 2, [[0, 1], [1, 0]])
    both("TYPE-02/bytes", "bytes above 127 stay positive beside int8", "TYPE-02", "Promotion",
        [array([200, 1], "uint8"), array([-100, 100], "int8")], 2)
    both("TYPE-02/minimum", "int8 -128 widens to the magnitude 128", "TYPE-02 NUM-09",
        "IntegerMinimum", [array([-128, 3], "int8"), array([127, 4], "int16")], 3,
        [[1, 0], [0, 0]])
    both("TYPE-04/float16-ties", "integers round to even in float16", "TYPE-04", "IntToFloat",
        [array([2049, 2051, 2047], "int16"), array([2048, 2052], "float16")], 3)
    both("TYPE-04/float16-overflow", "an integer beyond float16 is infinite", "TYPE-04",
        "IntToFloat", [array([70000, 65519], "int32"), array([1], "float16")], 2, [[1, 0], [0]])
    both("TYPE-04/float32-ties", "integers round to even in float32", "TYPE-04", "IntToFloat",
        [array([16777217, 16777219], "int32"), array([16777216, 16777220])], 3)
    twice = ["0000000101000001", "0000000101000000"]
    both("TYPE-04/bfloat16-twice", "integers reach bfloat16 by way of float32", "TYPE-04",
        "IntToFloat", [bits(twice, "int64"), bits(["4f80"], "bfloat16")], 2)
    both("TYPE-04/uint64-float32", "wide unsigned integers meet floats", "TYPE-04 TYPE-07",
        "WideUnsigned", [bits(["ffffffffffffffff", "0000000000000003"], "uint64"), array([7])], 2,
        [[1, 0], [0]])
    both("TYPE-05/float16-subnormal", "float16 subnormals are exact in float32", "TYPE-05",
        "FlushedConversion", [bits(["0001", "0003", "8002"], "float16"), array([1])], 2,
        [[0, 1, 0], [1]], profile="deterministic")
    both("TYPE-05/bfloat16-subnormal", "bfloat16 subnormals are exact in float32", "TYPE-05",
        "FlushedConversion", [bits(["0003", "0001", "8002"], "bfloat16"), array([1])], 2,
        [[1, 0, 0], [1]], profile="deterministic")
    both("TYPE-05/float32-subnormal", "float32 subnormals are exact in float64", "TYPE-05",
        "FlushedConversion", [bits(["00000003", "00000001", "80000002"], "float32"),
        array([1], "float64")], 2, [[1, 0, 0], [1]], profile="deterministic")
    for name in ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"):
        for other in ("float16", "bfloat16", "float32", "float64"):
            both(f"TYPE-06/{name}-{other}", f"{name} widens to {other}", "TYPE-06 TYPE-05",
                "Float8", [bits(["03", "01", "82", "30"], name), array([0.125], other)], 2,
                profile="deterministic")
    both("TYPE-06/two-float8", "two float8 dtypes meet in float32", "TYPE-06", "Float8",
        [bits(["38", "01", "7e"], "float8_e4m3fn"), bits(["3c", "01", "7b"], "float8_e5m2")], 3,
        profile="deterministic")
    for name, other in [("uint16", "int32"), ("float8_e4m3fn", "int8"), ("uint32", "uint8")]:
        words = {"uint16": "0001", "float8_e4m3fn": "01", "uint32": "00000001"}
        both(f"TYPE-07/{name}-{other}-refused", f"{name} beside {other} is refused", "TYPE-07",
            "Promotion", [bits([words[name]], name), array([1], other)], 1, "dtype")
    item = {"dtype": "complex64", "shape": [2], "data": [[3, 4], [1, 0]]}
    both("TYPE-08/complex-real", "a real tensor joins a complex one", "TYPE-08", "Modulus",
        [item, array([-4, 2])], 2, [[1, 0], [1, 0]], profile="deterministic")
    empty: Json = {"dtype": "float16", "shape": [0], "data": []}
    both("TYPE-09/empty", "an empty tensor counts for the common dtype", "TYPE-09", "IntToFloat",
        [array([2049, 2048], "int16"), empty], 1)
