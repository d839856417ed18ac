"""What is compressed comes back byte by byte; what is damaged is refused, and takes no memory."""

from __future__ import annotations

import hashlib
import json
import random
import struct

import numpy as np
import pytest
from checkpoints import FLOAT8, FLOATS, random_array, raw_file, write, write_shards
from multiprune_numpy import (
    CheckpointError,
    OutputError,
    compress_checkpoint,
    prune_checkpoint,
    shuffled,
    unpack_checkpoint,
)

try:
    shuffled.zstd()
except CheckpointError:
    pytest.skip("needs Zstandard", allow_module_level=True)


def there_and_back(source, tmp_path):
    small, back = tmp_path / f"{source.name}.mpz", tmp_path / f"back{source.suffix}"
    before, after = compress_checkpoint(source, small)
    assert (before, after) == (source.stat().st_size, small.stat().st_size)
    unpack_checkpoint(small, back)
    assert back.read_bytes() == source.read_bytes()
    return before, after


@pytest.mark.parametrize("name", [*FLOATS, *FLOAT8, "int64", "bool", "complex64"])
def test_every_dtype_comes_back(name, tmp_path):
    values = random_array((130, 70), "uint8", 1) % 2 == 0 if name == "bool" else None
    values = random_array((130, 70), name, 1) if values is None else values
    sparse = values.copy()
    sparse[np.random.default_rng(0).random(values.shape) < 0.8] = 0
    tensors = {"w": sparse, "dense": values, "zero": np.zeros_like(values),
               "none": values[:0], "odd": values[0, :13]}  # fmt: skip
    before, after = there_and_back(write(tmp_path / "m.safetensors", tensors, k="v"), tmp_path)
    assert after < before


def test_minus_zero_and_payloads_of_nan_come_back(tmp_path):
    values = np.array([0x80000000, 0, 0x7FC00001, 1, 0xFFFFFFFF], np.uint32).view("f4")
    there_and_back(write(tmp_path / "m.safetensors", {"w": values}), tmp_path)


@pytest.mark.parametrize("block", [8, 64, 1 << 20])
def test_blocks_do_not_show(block, tmp_path, monkeypatch):
    monkeypatch.setattr("multiprune_numpy.compressing.BLOCK", block)
    tensors = {"a": random_array((37, 11), "float16"), "b": random_array((5, 5), "float64")}
    there_and_back(write(tmp_path / "m.safetensors", tensors), tmp_path)


def test_every_format_comes_back(tmp_path):
    arrays = {"a": random_array((30, 20)), "f": np.asfortranarray(random_array((8, 9)))}
    for name, save in (("a.npz", np.savez), ("b.npz", np.savez_compressed)):
        save(tmp_path / name, **arrays)
        there_and_back(tmp_path / name, tmp_path)
    header = {"q": {"dtype": "F4", "shape": [4, 4], "data_offsets": [0, 8]}}
    path = tmp_path / "q.safetensors"
    path.write_bytes(raw_file(header, bytes(range(8))))
    there_and_back(path, tmp_path)
    torch = pytest.importorskip("torch")
    weight = torch.randn(20, 20)
    torch.save({"a": weight, "tied": weight, "part": weight[3:7], "t": weight.t()},
               tmp_path / "m.pt")  # fmt: skip
    there_and_back(tmp_path / "m.pt", tmp_path)


def test_pruned_weights_take_what_the_entropy_of_mask_and_values_asks(tmp_path):
    values = np.random.default_rng(0).standard_normal((1000, 2000), np.float32)
    source = write(tmp_path / "m.safetensors", {"w": values})
    for amount, share in ((0.8, 0.19), (0.9, 0.105), (0.99, 0.016)):
        out = tmp_path / "out.safetensors"
        prune_checkpoint(source, out, amount=amount)
        before, after = there_and_back(out, tmp_path)
        assert after < share * before


def test_a_folder_of_shards_comes_back_with_all_that_lies_in_it(tmp_path):
    shards = [{f"w{i}": random_array((40, 50), "bfloat16", i, 9)} for i in range(3)]
    index = write_shards(tmp_path / "model", shards)
    (tmp_path / "model" / "sub").mkdir()
    (tmp_path / "model" / "sub" / "vocab.txt").write_text("words")
    for _ in range(2):  # the second time over an older output
        compress_checkpoint(index, tmp_path / "small")
        unpack_checkpoint(tmp_path / "small", tmp_path / "back")
    names = sorted(p.relative_to(tmp_path / "model") for p in (tmp_path / "model").rglob("*"))
    assert names == sorted(p.relative_to(tmp_path / "back") for p in (tmp_path / "back").rglob("*"))
    for name in names:
        if (tmp_path / "model" / name).is_file():
            there, here = (tmp_path / folder / name for folder in ("model", "back"))
            assert there.read_bytes() == here.read_bytes()
    assert len(list((tmp_path / "small").glob("*.safetensors.mpz"))) == 3
    assert not list((tmp_path / "small").glob("*.safetensors"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["back", "model", "small"]


def start(size, data=b"", sha=None):
    digest = bytes(32) if sha is None else sha
    return struct.pack("<8sQ32s", b"mprzstd1", size, digest) + data


def frame(part, length=None):
    data = shuffled.zstd().compress(part)
    return struct.pack("<I", len(data) if length is None else length) + data


def head(count, width):
    return struct.pack("<IB", count, width)


HOSTILE = {
    "empty": lambda: b"",
    "other magic": lambda: b"PK\3\4" + bytes(60),
    "no blocks": lambda: start(5),
    "a bomb by its size": lambda: start(1 << 60, head(8, 0) + frame(bytes(8))),
    "a bomb in a frame": lambda: start(8, head(8, 0) + frame(bytes(1 << 24))),
    "a window of gigabytes": lambda: start(8, head(8, 0) + window()),
    "entries without end": lambda: start(8, head(2**32 - 1, 8)),
    "no entries": lambda: start(8, head(0, 4) * 1000),
    "a width of three": lambda: start(9, head(3, 3)),
    "a frame too long": lambda: start(8, head(8, 0) + frame(bytes(8), 1 << 30)),
    "a frame cut": lambda: start(8, head(8, 0) + frame(bytes(8))[:-3]),
    "a frame that holds less": lambda: start(8, head(8, 0) + frame(bytes(7))),
    "two frames for one": lambda: start(
        8, head(8, 0) + struct.pack("<I", 2 * len(frame(bytes(8))[4:])) + frame(bytes(8))[4:] * 2
    ),
    "noise": lambda: start(8, head(8, 0) + struct.pack("<I", 20) + bytes(range(20))),
    "bits behind a mask": lambda: start(3, head(3, 1) + frame(b"\xff") + frame(b"123")),
    "more kept than there is": lambda: start(8, head(8, 1) + frame(b"\xff") + frame(bytes(9))),
    "fewer kept": lambda: start(8, head(8, 1) + frame(b"\x01") + frame(b"")),
    "more than it says": lambda: start(4, head(8, 0) + frame(bytes(8))),
    "another digest": lambda: start(8, head(8, 0) + frame(bytes(8))),
    "a tail": lambda: start(
        8, head(8, 0) + frame(bytes(8)) + b"x", hashlib.sha256(bytes(8)).digest()
    ),
}


def window():
    """A frame whose header asks for a window of 2 GiB."""
    data = b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([21 << 3]) + b"\x41\x00\x00" + bytes(8)
    return struct.pack("<I", len(data)) + data


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_lies_is_refused_and_nothing_is_left(name, tmp_path):
    path = tmp_path / "m.safetensors.mpz"
    path.write_bytes(HOSTILE[name]())
    with pytest.raises(CheckpointError, match=r"m\.safetensors\.mpz cannot be unpacked"):
        unpack_checkpoint(path, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a bomb by its size", "would become"),
        ("a bomb in a frame", "other than the 8 bytes"),
        ("a window of gigabytes", "cannot be decompressed"),
        ("bits behind a mask", "behind its last entry"),
        ("entries without end", "4,294,967,295 entries"),
        ("a frame too long", "takes 1,073,741,824 bytes for 8"),
    ],
)
def test_what_is_wrong_is_seen_at_once(name, message, tmp_path):
    path = tmp_path / "m.safetensors.mpz"
    path.write_bytes(HOSTILE[name]())
    with pytest.raises(CheckpointError, match=message):
        unpack_checkpoint(path, tmp_path / "out")


def test_damage_is_refused_or_does_no_harm(tmp_path):
    """A frame has a few bits that mean nothing."""
    tensors = {"a": random_array((30, 9), few=5), "b": np.zeros((9, 9), np.float16)}
    small = tmp_path / "m.safetensors.mpz"
    source, out = write(tmp_path / "m.safetensors", tensors), tmp_path / "out"
    compress_checkpoint(source, small)
    good, rng, refused = small.read_bytes(), random.Random(0), 0
    for _ in range(1500):
        data = bytearray(good)
        at = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + rng.choice([1, 5, 100])]
            case 2:
                data[at:at] = data[: rng.choice([1, 5, 48])]
            case _:
                data[at : at + 4] = struct.pack("<I", rng.choice([0, 1, 2**31, 2**32 - 1]))
        small.write_bytes(data)
        try:
            unpack_checkpoint(small, out)
        except CheckpointError:
            refused += 1
        else:
            assert out.read_bytes() == source.read_bytes()
            out.unlink()
    assert refused > 1400
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors", "m.safetensors.mpz"]


def test_names_and_places(tmp_path):
    source = write(tmp_path / "m.safetensors", {"a": random_array((3, 3))})
    with pytest.raises(OutputError, match=r"\.mpz behind"):
        compress_checkpoint(source, tmp_path / "m.zst")
    small = tmp_path / "m.safetensors.mpz"
    compress_checkpoint(source, small)
    with pytest.raises(OutputError, match="is the input"):
        unpack_checkpoint(small, small)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="holds no"):
        unpack_checkpoint(tmp_path / "empty", tmp_path / "out")
    index = write_shards(tmp_path / "model", [{"w": random_array((4, 4))}])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="thesis"):
        compress_checkpoint(index, tmp_path / "full")


def test_the_documented_layout_is_all_there_is(tmp_path):
    """A reader of twenty lines, by the documentation."""
    zstd = shuffled.zstd()
    tensors = {"a": random_array((300, 40), few=3), "h": random_array((5, 3), "bfloat16")}
    source = write(tmp_path / "m.safetensors", tensors)
    compress_checkpoint(source, tmp_path / "m.safetensors.mpz")
    data = (tmp_path / "m.safetensors.mpz").read_bytes()
    magic, size, digest = struct.unpack_from("<8sQ32s", data)
    at, found = 48, b""

    def thaw():
        nonlocal at
        (length,) = struct.unpack_from("<I", data, at)
        at += 4 + length
        return zstd.decompress(data[at - length : at])

    while len(found) < size:
        count, width = struct.unpack_from("<IB", data, at)
        at += 5
        if width == 0:
            found += thaw()
            continue
        kept = np.unpackbits(np.frombuffer(thaw(), "u1"), bitorder="little")[:count]
        values = iter(zip(*(thaw() for _ in range(width)), strict=True))
        found += b"".join(bytes(next(values)) if bit else bytes(width) for bit in kept)
    assert magic == b"mprzstd1"
    assert found == source.read_bytes()
    assert hashlib.sha256(found).digest() == digest
    assert json.loads(found[8 : 8 + int.from_bytes(found[:8], "little")])
