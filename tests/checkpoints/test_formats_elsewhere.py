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
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_format_is_named(name, tmp_path):
    content, kind = FILES[name]
    (tmp_path / name).write_bytes(content + bytes(16))
    with pytest.raises(CheckpointError, match=f"file of {kind}.*To convert it"):
        inspect_checkpoint(tmp_path / name)


FOLDERS = {
    "__0_0.distcp": "DCP",
    "_CHECKPOINT_METADATA": "Orbax",
    "manifest.ocdbt": "Orbax",
    "saved_model.pb": "SavedModel",
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_another_format_is_named(name, tmp_path):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match=f"{FOLDERS[name]}.*To convert it"):
        inspect_checkpoint(tmp_path)


def test_dense_copies_in_the_folder_are_named(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    save_file({"w": np.ones((4, 4), "f4")}, folder / "model.safetensors")
    for name in ("pytorch_model.bin", "tf_model.h5", "optimizer.pt", "training_args.bin", "a.txt"):
        (folder / name).write_bytes(b"0")
    done = prune_checkpoint(folder, tmp_path / "pruned", sparsity=0.5)
    assert done.dense_copies == ["pytorch_model.bin", "tf_model.h5"]
    assert (tmp_path / "pruned" / "pytorch_model.bin").exists()
    one = prune_checkpoint(folder / "model.safetensors", tmp_path / "one.safetensors", sparsity=0.5)
    assert one.dense_copies == []
