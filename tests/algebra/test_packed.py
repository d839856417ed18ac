"""Laws of packed masks: the oracle's bytes and digests, and files that are damaged are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiprune_conformance import oracle
from strategies import SHAPES

from multiprune import mask_file, packed
from multiprune.packed import MaskFileError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@st.composite
def named_masks(draw):
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    return {name: np.asarray(rng.random(draw(SHAPES)) < 0.5) for name in names}


def given_bits(masks):
    return {name: (mask.shape, mask.tobytes()) for name, mask in masks.items()}


@given(size=st.integers(0, 300), seed=st.integers(0, 99))
def test_packing_equals_the_oracle_and_comes_back(size, seed):
    mask = np.random.default_rng(seed).random(size) < 0.4
    bits = packed.pack(memoryview(mask))
    assert bits == oracle.pack(mask)
    assert packed.unpack(bits, size) == mask.tobytes()


def test_packing_across_blocks():
    mask = np.random.default_rng(0).random(200_003) < 0.5
    assert packed.pack(mask.tobytes()) == oracle.pack(mask)
    assert packed.unpack(oracle.pack(mask), mask.size) == mask.tobytes()


@given(masks=named_masks())
def test_digests_equal_the_oracle(masks):
    tensors, metadata = mask_file.encode(given_bits(masks))
    assert metadata["sha256"] == oracle.digest(masks)
    found = mask_file.decode(tensors, metadata)
    assert list(found) == sorted(masks)
    assert found == given_bits(masks)


@given(masks=named_masks(), step=st.integers(1, 9))
def test_a_digest_taken_block_by_block_is_the_same(masks, step):
    packed_bits = {name: (mask.shape, oracle.pack(mask)) for name, mask in masks.items()}
    blocks = {
        name: (shape, iter([bits[i : i + step] for i in range(0, len(bits), step)]))
        for name, (shape, bits) in packed_bits.items()
    }
    assert packed.digest(blocks) == packed.digest(packed_bits) == oracle.digest(masks)


MASKS = {"a": np.array([True, False, True]), "b": np.ones((2, 4), dtype=bool)}


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        (lambda t, m: m.update(format="masks"), "FILE-05"),
        (lambda t, m: m.update(version="2"), "FILE-05"),
        (lambda t, m: m.pop("version"), "FILE-05"),
        (lambda t, m: m.pop("shapes"), "FILE-05"),
        (lambda t, m: m.update(shapes="[1]"), "FILE-05"),
        (lambda t, m: m.update(shapes='{"a": [3.0], "b": [2, 4]}'), "FILE-05"),
        (lambda t, m: m.update(shapes='{"a": [-3], "b": [2, 4]}'), "FILE-05"),
        (lambda t, m: t.pop("a"), "FILE-06"),
        (lambda t, m: t.update(c=b"\1"), "FILE-06"),
        (lambda t, m: t.update(a=b"\5\0"), "FILE-01"),
        (lambda t, m: t.update(a=b"\x85"), "FILE-02"),
        (lambda t, m: t.update(a=b"\4"), "FILE-06"),
        (lambda t, m: m.update(shapes=json.dumps({"a": [3, 1], "b": [2, 4]})), "FILE-06"),
        (lambda t, m: m.update(sha256=m["sha256"].upper()), "FILE-06"),
        (lambda t, m: m.pop("sha256"), "FILE-06"),
    ],
)
def test_a_damaged_file_is_refused(change, clause):
    tensors, metadata = mask_file.encode(given_bits(MASKS))
    change(tensors, metadata)
    with pytest.raises(MaskFileError, match=clause) as caught:
        mask_file.decode(tensors, metadata)
    assert caught.value.kind == "mask-file"
    assert isinstance(caught.value, ValueError)
