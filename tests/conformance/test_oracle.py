"""The oracle against an independent reading of the values: Fractions, tuples and sorted()."""

import random
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import torch
from multiprune_conformance import oracle
from multiprune_conformance.oracle_dtypes import decode
from torch.nn.utils import prune

FLOATS = {
    "float16": (5, 10), "bfloat16": (8, 7), "float32": (8, 23), "float64": (11, 52),
    "float8_e5m2": (5, 2), "float8_e4m3fn": (4, 3), "float8_e5m2fnuz": (5, 2),
    "float8_e4m3fnuz": (4, 3),
}  # fmt: skip


def value(name, word):
    """Return a float's exact value, or None for NaN, from the definition of its format."""
    exponent_bits, fraction_bits = FLOATS[name]
    fnuz = name.endswith("fnuz")
    sign = -1 if word >> (exponent_bits + fraction_bits) else 1
    exponent = word >> fraction_bits & (1 << exponent_bits) - 1
    fraction = word & (1 << fraction_bits) - 1
    top = exponent == (1 << exponent_bits) - 1
    if fnuz and sign < 0 and exponent == fraction == 0:
        return None
    if name == "float8_e4m3fn" and top and fraction == 7:
        return None
    if not fnuz and name != "float8_e4m3fn" and top:
        return None if fraction else sign * Fraction(2) ** 2000
    bias = (1 << (exponent_bits - 1)) - (0 if fnuz else 1)
    significand = Fraction(fraction, 1 << fraction_bits) + (1 if exponent else 0)
    return sign * significand * Fraction(2) ** (max(exponent, 1) - bias)


def brute(words, live, k, signed):
    """Return what is kept when (score, position) pairs are sorted."""

    def score(v):
        return (1, Fraction(0)) if v is None else (0, v if signed else abs(v))

    ranked = sorted((score(v), p) for p, v in enumerate(words) if live[p])
    gone = {position for _, position in ranked[:k]}
    return [bool(live[p]) and p not in gone for p in range(len(words))]


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("signed", [False, True])
def test_masks_equal_brute_force(name, signed):
    draw = random.Random(f"{name}{signed}")
    width = 1 + sum(FLOATS[name])
    for _ in range(60):
        pool = [draw.getrandbits(width) for _ in range(6)] + [0, 1, 1 << (width - 1)]
        words = [draw.choice(pool) for _ in range(draw.randrange(1, 24))]
        live = [draw.random() < 0.8 for _ in words]
        k = draw.randrange(sum(live) + 1)
        split = draw.randrange(len(words) + 1)
        bits = np.array(words, dtype=f"uint{width}")
        kept = oracle.global_unstructured(
            [(name, bits[:split]), (name, bits[split:])], amount=k,
            masks=[np.array(live[:split]), np.array(live[split:])], signed=signed,
        )  # fmt: skip
        expected = brute([value(name, word) for word in words], live, k, signed)
        assert np.concatenate(kept).tolist() == expected


@pytest.mark.parametrize("name", [name for name in FLOATS if name != "float64"])
def test_values_are_those_of_the_format(name):
    width = 1 + sum(FLOATS[name])
    draw = random.Random(name)
    words = range(1 << width) if width < 17 else [draw.getrandbits(32) for _ in range(5000)]
    found = decode(name, np.array(words, dtype=f"uint{width}"))
    for word, got in zip(words, found.tolist(), strict=True):
        exact = value(name, word)
        if exact is None:
            assert got != got
        elif abs(exact) < Fraction(2) ** 2000:
            assert Fraction(got) == exact
        else:
            assert abs(got) == float("inf")


def test_every_pair_promotes_as_torch_does():
    names = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
             "bfloat16", "float32", "float64", "complex64", "complex128"]  # fmt: skip
    for left in names:
        for right in names:
            tensors = [torch.zeros(1, dtype=getattr(torch, name)) for name in (left, right)]
            try:
                expected = str(torch.cat(tensors).dtype).removeprefix("torch.")
            except RuntimeError:
                with pytest.raises(oracle.Refused, match="dtype"):
                    oracle.promote([left, right])
            else:
                assert oracle.promote([left, right]) == expected


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_integers_become_floats_as_in_torch(name):
    source = np.random.default_rng(3)
    integers = source.integers(-(2**62), 2**62, 5000) >> source.integers(0, 60, 5000)
    found = decode(name, oracle.convert(integers, name).data)
    expected = torch.from_numpy(integers).to(getattr(torch, name)).double().numpy()
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("seed", range(20))
def test_masks_equal_torch_without_ties(seed):
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.Linear(5, 3))
    pairs = [(net[0], "weight"), (net[1], "weight")]
    masks = None
    for amount in (0.3, 4, 0.5):
        values = [layer.weight.detach().numpy().copy() for layer, _ in pairs]
        masks = oracle.global_unstructured(values, amount=amount, masks=masks)
        prune.global_unstructured(pairs, prune.L1Unstructured, amount=amount)
        for (layer, _), mask in zip(pairs, masks, strict=True):
            assert np.array_equal(layer.weight_mask.numpy() == 1, mask)


def test_philox_gives_the_published_answers():
    known = {
        ((0,) * 4, (0, 0)): "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2): "408f276d 41c83b0e a20bc7c6 6d5451fd",
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)):
            "d16cfe09 94fdcceb 5001e420 24126ea1",
    }  # fmt: skip
    for (counter, key), words in known.items():
        assert " ".join(f"{int(w):08x}" for w in oracle.philox_block(counter, key)) == words


def test_ml_dtypes_arrays_and_pairs_are_one():
    bits = np.arange(256, dtype=np.uint8)
    held = bits.view(ml_dtypes.float8_e4m3fn)
    assert np.array_equal(oracle.keys(held), oracle.keys(("float8_e4m3fn", bits)))
