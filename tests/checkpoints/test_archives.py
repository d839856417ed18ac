"""npz and torch files: pruned where they lie, and nothing inside them is ever run."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from checkpoint_files import random_array
from multiprune_checkpoints import CheckpointError, inspect_checkpoint, prune_checkpoint
from multiprune_checkpoints.formats.checkpoint import open_checkpoint
from multiprune_conformance import oracle

ARRAYS = {
    "b/w": random_array((30, 40), "float32", 1, 9),
    "a": random_array((5, 6), "float16", 2),
    "turned": np.asfortranarray(random_array((7, 8), "float32", 3)),
    "ids": np.arange(4),
    "word": np.array("x"),
    "swapped": np.ones((2, 2), ">f4"),
    "none": np.zeros((0, 3), np.float32),
}


def same(a, b):
    return a.dtype == b.dtype and np.array_equal(a.view("u1"), b.view("u1"))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", [["b/w", "a", "ids"], list(ARRAYS)], ids=["plain", "all"])
def test_npz_is_pruned_as_the_oracle_does(save, names, tmp_path):
    given = {name: ARRAYS[name] for name in names}
    source, out = tmp_path / "in.npz", tmp_path / "out.npz"
    save(source, **given)
    done = prune_checkpoint(source, out, amount=0.5)
    ranked = sorted({"a", "b/w", "turned", "none"} & set(names))
    masks = dict(zip(ranked, oracle.global_unstructured([given[n] for n in ranked], amount=0.5),
                     strict=True))  # fmt: skip
    assert done.inputs == {"in.npz": hashlib.sha256(source.read_bytes()).hexdigest()}
    with np.load(out) as found, zipfile.ZipFile(out) as archive, zipfile.ZipFile(source) as before:
        assert archive.testzip() is None
        kinds = [i.compress_type for i in archive.infolist()]
        assert kinds == [i.compress_type for i in before.infolist()]
        assert list(found) == names
        for name, array in given.items():
            want = np.where(masks[name], array, array.dtype.type(0)) if name in masks else array
            np.testing.assert_array_equal(found[name], want)
    facts = {t.name: t.selected for t in inspect_checkpoint(source).tensors}
    assert [n for n in sorted(facts) if facts[n]] == ranked
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npz", "out.npz"]


def npz(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


class _Evil:
    def __reduce__(self):
        return os.system, ("touch pwned",)


GOOD = npy(np.ones((2, 2), np.float32))
HOSTILE_NPZ = {
    "no zip": (b"hello", "cannot be read"),
    "cut": (npz(**{"a.npy": GOOD})[:-10], "cannot be read"),
    "objects": (npz(**{"a.npy": npy(np.array([_Evil()], object))}), "pickled objects"),
    "no array": (npz(**{"a.npy": b"hello"}), "magic"),
    "version": (npz(**{"a.npy": GOOD[:6] + b"\7" + GOOD[7:]}), "cannot be read"),
    "too short": (npz(**{"a.npy": GOOD[:-1]}), "does not hold"),
    "too long": (npz(**{"a.npy": GOOD + b"x"}), "does not hold"),
    "header bomb": (npz(**{"a.npy": GOOD[:8] + b"\xff\xff" + b"(" * 65535}), "cannot be read"),
    "header that calls": (npz(**{"a.npy": GOOD.replace(b"(2, 2)", b"f(2,2)")}), "cannot be read"),
    "negative": (npz(**{"a.npy": GOOD.replace(b"(2, 2), ", b"(2, -2),")}), "shape"),
    "up": (npz(**{"../a.npy": GOOD}), "leads out"),
    "root": (npz(**{"/a.npy": GOOD}), "leads out"),
    "checksum": (npz(**{"a.npy": GOOD}).replace(b"\0\0\x80?", b"\0\0\x80>", 1), "checksum"),
}


@pytest.mark.parametrize("name", HOSTILE_NPZ)
def test_a_hostile_npz_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, message = HOSTILE_NPZ[name]
    path = tmp_path / "in.npz"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(path)
    assert [p.name for p in tmp_path.iterdir()] == ["in.npz"]


def test_members_that_share_a_name_or_bytes_are_refused(tmp_path):
    path = tmp_path / "in.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", GOOD)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", GOOD)
    with pytest.raises(CheckpointError, match="overlaps another, or has its name"):
        open_checkpoint(path)
    data = bytearray(npz(**{"a.npy": GOOD, "b.npy": GOOD}))
    second = data.rindex(b"PK\1\2")
    struct.pack_into("<L", data, second + 42, 0)  # the second points to the first's bytes
    data[second + 46 : second + 47] = b"a"
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        open_checkpoint(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "in.npz"
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f4", "fortran_order": False, "shape": (1 << 28, 2)}
    )
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as out,
    ):
        out.write(head.getvalue())
        out.write(bytes(1 << 20))
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\1\2")
    struct.pack_into("<L", data, entry + 24, 0x7FFF_FFFF)  # it says that it unpacks to 2 GB
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="zip bomb"):
        open_checkpoint(path)


def zipped(text: bytes, **members: bytes) -> bytes:
    return npz(**{"archive/data.pkl": text, "archive/version": b"3\n", **members})


HOSTILE_TORCH = {
    "old format": (pickle.dumps(0x1950A86A20F9469CFC6C), "not an archive"),
    "code": (zipped(pickle.dumps({"a": _Evil()})), "system"),
    "code by name": (zipped(b"cos\nsystem\n(S'touch pwned'\ntR."), "os.system"),
    "eval": (zipped(b"cbuiltins\neval\n(S'1'\ntR."), "builtins.eval"),
    "dotted": (zipped(b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93."), "fromkeys"),
    "module": (zipped(b"ctorch.nn.modules.linear\nLinear\n)\x81."), "Linear"),
    "cut": (zipped(b"\x80\x02}q\0("), "cannot be read"),
    "no pickle": (npz(**{"archive/x": b""}), "data.pkl"),
    "big memo": (zipped(b"\x80\x02}r\xff\xff\xff\x7f."), None),
    "long bytes": (zipped(b"\x80\x04\x8e" + b"\xff" * 7 + b"\0" + b"."), "cannot be read"),
    "big-endian": (zipped(b"\x80\x02}.", **{"archive/byteorder": b"big"}), "big-endian"),
}


@pytest.mark.parametrize("name", HOSTILE_TORCH)
def test_a_hostile_torch_file_is_refused_and_runs_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, message = HOSTILE_TORCH[name]
    path = tmp_path / "in.pt"
    path.write_bytes(data)
    if message is None:
        open_checkpoint(path).__exit__(None, None, None)
    else:
        with pytest.raises(CheckpointError, match=message):
            open_checkpoint(path)
    assert [p.name for p in tmp_path.iterdir()] == ["in.pt"]


def test_a_torch_file_keeps_its_structure(tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    w = torch.randn(6, 7)
    layer = torch.nn.Linear(8, 9)
    model = {
        **layer.state_dict(), "w": w, "again": w, "turned": torch.randn(4, 5).T,
        "half": torch.randn(3, 3).bfloat16(), "param": torch.nn.Parameter(torch.randn(2, 2)),
        "ids": torch.arange(4).reshape(2, 2), "none": torch.empty(0, 3),
        "view": torch.randn(100)[10:90].reshape(8, 10),
    }  # fmt: skip
    saved = {
        "model": model,
        "optimizer": {"state": {0: {"m": torch.randn(3, 3)}}, "groups": [{"lr": 0.1}]},
        "step": 3,
        "shape": torch.Size([1, 2]),
    }
    source, out = tmp_path / "in.pt", tmp_path / "out.pt"
    torch.save(saved, source)
    done = prune_checkpoint(source, out, amount=0.5)
    ranked = [
        "model.again",
        "model.half",
        "model.none",
        "model.param",
        "model.view",
        "model.weight",
    ]
    assert [t.name for t in done.report.tensors] == ranked
    assert done.tied == [["model.w", "model.again"]]
    values = [model[n.removeprefix("model.")].detach().float().numpy() for n in ranked]
    masks = dict(zip(ranked, oracle.global_unstructured(values, amount=0.5), strict=True))
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
    for mmap in (False, True):
        found = torch.load(out, weights_only=True, mmap=mmap)
        assert (found["step"], found["shape"]) == (3, torch.Size([1, 2]))
        assert torch.equal(found["optimizer"]["state"][0]["m"], saved["optimizer"]["state"][0]["m"])
        assert list(found["model"]) == list(model)
        assert found["model"]["w"].data_ptr() == found["model"]["again"].data_ptr()
        for name, tensor in model.items():
            kept = masks.get("model." + ("again" if name == "w" else name))
            want = tensor if kept is None else tensor * torch.from_numpy(kept)
            assert torch.equal(found["model"][name], want), name
    facts = {t.name: t.dtype for t in inspect_checkpoint(source).tensors}
    assert facts["model.turned"] == "float32 (strided)"


def test_views_that_share_some_bytes_are_not_ranked(tmp_path):
    torch = pytest.importorskip("torch")
    base = torch.randn(100)
    torch.save({"a": base[:60].view(6, 10), "b": base[40:].view(6, 10)}, tmp_path / "in.pt")
    facts = [t.dtype for t in inspect_checkpoint(tmp_path / "in.pt").tensors]
    assert facts == ["float32 (shared)"] * 2
