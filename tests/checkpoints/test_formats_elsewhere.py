"""Formats that are not read are named, with the way to convert them; dense copies are named."""

import numpy as np
import pytest
from multiprune_checkpoints import CheckpointError, inspect_checkpoint, prune_checkpoint
from safetensors.numpy import save_file

FILES = {
    "model.gguf": (b"GGUF\3\0\0\0", "GGUF"),
    "ggml.bin": (b"GGUF\3\0\0\0", "GGUF"),
    "model.onnx": (b"\x08\x07", "ONNX"),
    "model.keras": (b"PK\3\4", "Keras"),
    "model.h5": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "weights.pth": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "flax_model.msgpack": (b"\x81", "msgpack"),
    "saved.pb": (b"\x08", "TensorFlow"),
    "model.pkl": (b"\x80\4", "pickle"),
    "one.npy": (b"\x93NUMPY", "NumPy"),
    "__0_0.distcp": (b"PK\3\4", "torch's distributed checkpoint"),
    "model.ckpt.data-00000-of-00002": (b"", "TensorFlow"),
    "program.pt2": (b"PK\3\4", "torch.export"),
    "model.pdparams": (b"\x80\2", "Paddle"),
    "model.nemo": (b"", "NeMo"),
    "model.eqx": (b"", "Equinox"),
    "model.safetensors.zst": (b"", "compressed data"),
    "pytorch_model.bin.index.json": (b"{}", "torch's shards"),
    "rust_model.ot": (b"PK\3\4", "Rust's tch"),
    "h.safetensors": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "g.safetensors": (b"GGUF\3\0\0\0", "GGUF"),
    "g.npz": (b"GGUF\3\0\0\0", "GGUF"),
    "lfs.safetensors": (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
    "lfs.pt": (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
    "page.safetensors": (b"<!DOCTYPE html><html>", "HTML"),
    "page.npz": (b"\n<html>", "HTML"),
    "packed.safetensors": (b"\x28\xb5\x2f\xfd", "compressed data"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_format_is_named(name, tmp_path):
    content, kind = FILES[name]
    (tmp_path / name).write_bytes(content + bytes(16))
    with pytest.raises(CheckpointError, match=f"file of {kind}.*To convert it"):
        inspect_checkpoint(tmp_path / name)


@pytest.mark.parametrize("start", [b"\x80\2", b"\x1f\x8b\x08", b"<!"])
def test_a_damaged_header_is_not_taken_for_another_format(start, tmp_path):
    (tmp_path / "in.safetensors").write_bytes(start.ljust(8, b"\0") + bytes(1 << 20))
    with pytest.raises(CheckpointError, match="the header of"):
        inspect_checkpoint(tmp_path / "in.safetensors")


FOLDERS = {
    "__0_0.distcp": "DCP",
    "_CHECKPOINT_METADATA": "Orbax",
    "manifest.ocdbt": "Orbax",
    "0/_CHECKPOINT_METADATA": "Orbax",
    "default/_METADATA": "Orbax",
    "pytorch_model.bin.index.json": "shards",
    "saved_model.pb": "SavedModel",
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_another_format_is_named(name, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match=f"{FOLDERS[name]}.*To convert it"):
        inspect_checkpoint(tmp_path)


DENSE = [
    "pytorch_model.bin", "tf_model.h5", "optimized_model.onnx", "schedulenet.bin",
    "onnx/model.onnx", "model.pkl", "original/consolidated.00.pth", "2_Dense/pytorch_model.bin",
    "weights.npy", "w.pt2", "rust_model.ot", "COPY.SAFETENSORS", "model.ckpt.data-00000-of-00002",
]  # fmt: skip
OTHERS = [
    "optimizer.pt", "optimizer_0.bin", "scheduler.pt", "training_args.bin", "rng_state_0.pth",
    "a.txt", "b/a.json", "zero_pp_rank_0_mp_rank_00_optim_states.pt", ".git/lfs/x.bin",
    "pytorch_model.bin.index.json", "a.json.gz",
]  # fmt: skip


def test_dense_copies_in_the_folder_and_below_are_named(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    save_file({"w": np.ones((4, 4), "f4")}, folder / "model.safetensors")
    for name in DENSE + OTHERS:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(b"0")
    done = prune_checkpoint(folder, tmp_path / "pruned", sparsity=0.5)
    assert done.dense_copies == sorted(DENSE)
    assert (tmp_path / "pruned" / "onnx" / "model.onnx").exists()
    one = prune_checkpoint(folder / "model.safetensors", tmp_path / "one.safetensors", sparsity=0.5)
    assert one.dense_copies == []
