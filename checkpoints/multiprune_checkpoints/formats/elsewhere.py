"""Formats that are not read: what they are called, and the way to one that is.

Known by the name of the file, or by its first bytes. A leaf.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["WEIGHTS", "what_it_is"]

_NUMPY = "numpy.savez(path, **arrays) writes its arrays as an .npz"
_FORMATS = {
    "GGUF": ((".gguf", ".ggml"), b"GGUF", "prune the model that it was made of, then convert that"),
    "ONNX": ((".onnx",), None, "prune the model before its export"),
    "Keras": ((".keras",), None, f"keras.saving.load_model reads it, and {_NUMPY}"),
    "HDF5": ((".h5", ".hdf5"), b"\x89HDF\r\n\x1a\n", f"h5py reads it, and {_NUMPY}"),
    "msgpack (Flax)": (
        (".msgpack",),
        None,
        "flax.serialization.msgpack_restore reads it; multiprune_jax prunes the tree",
    ),
    "TensorFlow": (
        (".pb", ".tflite", ".index", ".data-00000-of-00001"),
        None,
        f"tf.train.load_checkpoint reads its variables, and {_NUMPY}",
    ),
    "pickle": (
        (".pkl", ".pickle", ".joblib"),
        b"\x80",
        "it runs code when it is read: load it where you trust it, and torch.save its state_dict",
    ),
    "NumPy": ((".npy",), b"\x93NUMPY", f"it holds one array without a name; {_NUMPY}"),
}
_FOLDERS = {
    "torch's distributed checkpoint (DCP)": (
        (".metadata", "*.distcp"),
        "python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER model.pt",
    ),
    "Orbax": (
        ("_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt"),
        "orbax.checkpoint restores the tree; multiprune_jax prunes it",
    ),
    "TensorFlow's SavedModel": (
        ("saved_model.pb",),
        f"tf.saved_model.load reads its variables, and {_NUMPY}",
    ),
}
WEIGHTS = (
    ".safetensors", ".npz", ".pt", ".pth", ".bin", ".ckpt",
    *(suffix for suffixes, _, _ in list(_FORMATS.values())[:6] for suffix in suffixes),
)  # fmt: skip
"""How names of files end that may hold the weights of a model."""


def what_it_is(path: Path) -> str:
    """Return a sentence on a file or folder of another format, or nothing."""
    if path.is_dir():
        for name, (signs, way) in _FOLDERS.items():
            if any(any(path.glob(sign)) for sign in signs):
                return f" It is a folder of {name}, which is not read. To convert it: {way}."
        return ""
    try:
        with path.open("rb") as file:
            first = file.read(8)
    except OSError:
        first = b""
    for name, (suffixes, magic, way) in _FORMATS.items():
        if path.name.endswith(suffixes) or (magic and first.startswith(magic)):
            return f" It is a file of {name}, which is not read. To convert it: {way}."
    return ""
