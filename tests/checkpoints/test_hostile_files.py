"""Every lie that a file can tell is an error with a message, before memory is spent on it."""

from __future__ import annotations

import json
import os
import struct

import numpy as np
import pytest
from checkpoint_files import encode, random_array, raw_file, write, write_shards
from multiprune_checkpoints import (
    CheckpointError,
    inspect_checkpoint,
    open_checkpoint,
    prune_checkpoint,
)


def tensor(code="F32", shape=(2, 2), offsets=(0, 16), **more):
    return {"dtype": code, "shape": list(shape), "data_offsets": list(offsets), **more}


D = bytes(16)
BOMB = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
HOSTILE = {
    "empty": (b"", "truncated"),
    "five bytes": (b"\x05\0\0\0\0", "truncated"),
    "length zero": (raw_file(b"{}", length=0), "truncated"),
    "length past the end": (raw_file(b"{}", length=3), "truncated"),
    "length huge": (raw_file(b"{}", length=2**63), "truncated"),
    "length negative": (struct.pack("<q", -5) + b"{}", "truncated"),
    "no JSON": (raw_file(b"hello, there"), "begins with"),
    "an array": (raw_file(b"[1, 2, 3]"), "begins with"),
    "JSON cut": (raw_file(b'{"a": {"dtype": "F32", '), "cannot be read"),
    "no UTF-8": (raw_file(b'{"\xff\xfe": {}}'), "cannot be read"),
    "half a surrogate": (raw_file(rb'{"\ud800": {}}'), "cannot be read"),
    "JSON bomb": (raw_file(BOMB), "nests as the format says"),
    "many lists": (raw_file(b'{"a":{"x":[' + b"[]," * 100_000 + b"[]]}}"), "nests as the format"),
    "long shape": (raw_file({"a": tensor(shape=[1] * 100_000)}, D), "takes"),
    "long number": (raw_file(b'{"a":' + b"9" * 10_000 + b"}"), "cannot be read"),
    "NaN": (raw_file(b'{"a": NaN}'), "NaN is not JSON"),
    "twice": (raw_file(b'{"a": %s, "a": %s}' % ((json.dumps(tensor()).encode(),) * 2), D), "twice"),
    "key twice": (raw_file(b'{"a": {"dtype":"F32","dtype":"F32"}}', D), "repeated"),
    "data behind JSON": (raw_file(b"{} {}"), "follows the end"),
    "not an object": (raw_file({"a": 5}, D), "data_offsets"),
    "a field missing": (raw_file({"a": {"dtype": "F32", "shape": [4]}}, D), "data_offsets"),
    "a field more": (raw_file({"a": tensor(more=1)}, D), "data_offsets"),
    "dtype a number": (raw_file({"a": tensor(code=4)}, D), "data_offsets"),
    "shape negative": (raw_file({"a": tensor(shape=(-2, -2))}, D), "not negative"),
    "shape of floats": (raw_file({"a": tensor(shape=(2.0, 2))}, D), "not negative"),
    "shape of truths": (raw_file({"a": tensor(shape=(True, 4))}, D), "not negative"),
    "shape overflows": (raw_file({"a": tensor(shape=(2**33, 2**33))}, D), "it takes"),
    "shape huge": (raw_file({"a": tensor(shape=(2**62, 4))}, D), "not negative"),
    "three offsets": (raw_file({"a": tensor(offsets=(0, 8, 16))}, D), "data_offsets"),
    "offsets swapped": (raw_file({"a": tensor(offsets=(16, 0))}, D), "lie inside"),
    "offsets outside": (raw_file({"a": tensor(offsets=(16, 32))}, D), "lie inside"),
    "wrong for dtype": (raw_file({"a": tensor("F64")}, D), "it takes 32"),
    "wrong for shape": (raw_file({"a": tensor(shape=(3,))}, D), "it takes 12"),
    "half bytes": (raw_file({"a": tensor("F4", (3,), (0, 1))}, b"x"), "takes"),
    "overlap": (raw_file({"a": tensor(), "b": tensor()}, D), "overlaps"),
    "partial overlap": (
        raw_file({"a": tensor(), "b": tensor(offsets=(8, 24))}, bytes(24)),
        "overlaps",
    ),
    "hole": (raw_file({"a": tensor(offsets=(8, 24))}, bytes(24)), "hole"),
    "tail": (raw_file({"a": tensor()}, bytes(24)), "fill it"),
    "metadata a list": (raw_file({"__metadata__": [], "a": tensor()}, D), "should be"),
    "metadata of numbers": (raw_file({"__metadata__": {"a": 1}, "b": tensor()}, D), "not text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_lies_is_refused_with_its_reason(name, tmp_path):
    data, message = HOSTILE[name]
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert path.read_bytes() == data


def test_a_header_that_claims_more_than_the_format_allows(tmp_path):
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write((100_000_001).to_bytes(8, "little"))
        file.truncate(200_000_000)  # sparse
    with pytest.raises(CheckpointError, match="at most 100,000,000"):
        open_checkpoint(path)


def test_dtypes_that_cannot_be_ranked_are_named_and_kept(tmp_path):
    header = {
        "q": tensor("F4", (4, 4), (0, 8)),
        "s": tensor("F8_E8M0", (4,), (8, 12)),
        "n": tensor("NEW_TYPE", (2, 7), (12, 20)),
        "c": tensor("C64", (1, 1), (20, 28)),
        "w": tensor("F16", (2, 3), (28, 40)),
    }
    data = bytes(range(28)) + np.arange(1, 7, dtype="f2").tobytes()
    path = tmp_path / "in.safetensors"
    path.write_bytes(raw_file(header, data))
    facts = {t.name: t.dtype for t in inspect_checkpoint(path).tensors}
    assert facts == {"q": "F4", "s": "float8_e8m0fnu", "n": "NEW_TYPE", "c": "complex64",
                     "w": "float16"}  # fmt: skip
    for name in "qsnc":
        with pytest.raises(TypeError, match=facts[name]):
            prune_checkpoint(path, dry_run=True, amount=1, include=[name], min_ndim=0)
    prune_checkpoint(path, tmp_path / "out.safetensors", amount=3)
    assert (tmp_path / "out.safetensors").read_bytes()[-40:-12] == data[:28]


def index_of(folder, places):
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return path


@pytest.mark.parametrize("shard", ["../secret.safetensors", "/secret.safetensors", "..", ".", "",
                                   "sub/x.safetensors", "..\\x.safetensors", "a\0b"])  # fmt: skip
def test_an_index_that_leads_elsewhere_is_refused(shard, tmp_path):
    write(tmp_path / "secret.safetensors", {"a": random_array((2, 2))})
    (tmp_path / "model" / "sub").mkdir(parents=True)
    write(tmp_path / "model" / "sub" / "x.safetensors", {"a": random_array((2, 2))})
    with pytest.raises(CheckpointError, match="plain file name"):
        open_checkpoint(index_of(tmp_path / "model", {"a": shard}))


def test_a_shard_that_is_a_link_out_of_the_folder_is_refused_but_the_hubs_cache_is_read(tmp_path):
    blobs, folder = tmp_path / "blobs", tmp_path / "snapshots" / "0123"
    blobs.mkdir()
    folder.mkdir(parents=True)
    secret = write(tmp_path / "secret.safetensors", {"a": random_array((2, 2))})
    (folder / "s.safetensors").symlink_to(secret)
    index = index_of(folder, {"a": "s.safetensors"})
    with pytest.raises(CheckpointError, match="is a link"):
        open_checkpoint(index)
    (folder / "s.safetensors").unlink()
    os.rename(secret, blobs / "abc")
    (folder / "s.safetensors").symlink_to("../../blobs/abc")
    with open_checkpoint(index) as checkpoint:
        assert list(checkpoint.tensors) == ["a"]


def test_shards_and_index_say_the_same(tmp_path):
    index = write_shards(tmp_path, [{"a": random_array((2, 2))}, {"b": random_array((2, 2))}])
    good = json.loads(index.read_text())["weight_map"]
    first, second = good["a"], good["b"]
    for places, message in (
        ({"a": second, "b": first}, "differ"),
        ({"a": first}, None),
        ({**good, "c": first}, "lacks"),
        ({**good, "c": "model-00003-of-00003.safetensors"}, "missing"),
        ({"a": first, "b": 5}, "not text"),
    ):
        index_of(tmp_path, places)
        if message is None:
            open_checkpoint(tmp_path / index.name).__exit__(None, None, None)
            continue
        with pytest.raises(CheckpointError, match=message):
            open_checkpoint(index)
    write(tmp_path / first, {"a": random_array((2, 2)), "more": random_array((2, 2))})
    with pytest.raises(CheckpointError, match="more"):
        open_checkpoint(index_of(tmp_path, good))
    for text in ("{}", "[]", "", '{"weight_map": {"a": "x", "a": "y"}}', '{"weight_map": [1]}'):
        index.write_text(text)
        with pytest.raises(CheckpointError):
            open_checkpoint(index)


def test_a_folder_without_or_with_too_many_checkpoints(tmp_path):
    with pytest.raises(CheckpointError, match="holds no"):
        open_checkpoint(tmp_path)
    write(tmp_path / "a.safetensors", {"a": random_array((2, 2))})
    open_checkpoint(tmp_path).__exit__(None, None, None)
    write(tmp_path / "b.safetensors", {"a": random_array((2, 2))})
    with pytest.raises(CheckpointError, match="Name the file"):
        open_checkpoint(tmp_path)
    (tmp_path / "a.weights").write_bytes(b"")
    with pytest.raises(CheckpointError, match="by its name"):
        open_checkpoint(tmp_path / "a.weights")


def test_masks_that_are_damaged_or_of_another_model_are_refused(tmp_path):
    from multiprune_conformance.oracle_file import write_file

    source = write(tmp_path / "in.safetensors", {"a": random_array((3, 3))})
    masks = tmp_path / "m.safetensors"
    good = np.ones((3, 3), bool)

    def attempt(data):
        masks.write_bytes(data)
        return prune_checkpoint(source, dry_run=True, amount=1, masks=masks)

    assert attempt(write_file({"a": good})).report.pruned == 1
    bits_set = bytearray(write_file({"a": good}))
    bits_set[-1] |= 0x80
    for data, message in (
        (write_file({"a": good}, version="2"), "FILE-06"),
        (write_file({"a": good}, format="x"), "FILE-06"),
        (write_file({"a": good}, sha256="0" * 64), "digest"),
        (write_file({"a": good}, shapes='{"b":[3,3]}'), "the same names"),
        (write_file({"a": good}, shapes='{"a":[3,-3]}'), "dimensions"),
        (write_file({"a": good}, shapes='{"a":[30,30]}'), "one bit"),
        (write_file({"a": good}, shapes='{"a":[9]}'), "digest"),
        (write_file({"a": good.reshape(9)}), "MASK-04"),
        (write_file({"a": good}, shapes="[]"), "JSON object"),
        (write_file({"a": good}, shapes='{"a":[3,3],"a":[3,3]}'), "JSON object"),
        (write_file({"a": good}, shapes="[" * 100_000), "JSON object"),
        (bytes(bits_set), "bits set"),
        (write_file({"b": good}), "none of that name"),
        (encode({"a": random_array((3, 3))}), "FILE-06"),
    ):
        with pytest.raises(ValueError, match=message):
            attempt(data)


def test_scores_that_do_not_fit_are_refused(tmp_path):
    source = write(tmp_path / "in.safetensors", {"a": random_array((3, 3)), "b": np.ones(2)})
    for scores, message in (
        ({"a": random_array((9, 1))}, "SCORE-02"),
        ({"b": random_array((3, 3))}, "SCORE-03"),
        ({"a": random_array((3, 3)), "b": np.ones(2)}, "SCORE-03"),
    ):
        path = write(tmp_path / "scores.safetensors", scores)
        with pytest.raises(ValueError, match=message):
            prune_checkpoint(source, dry_run=True, amount=1, importance_scores=path)
