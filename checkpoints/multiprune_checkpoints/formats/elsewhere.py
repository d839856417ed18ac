"""Formats that are not read: what they are called, and the way to one that is.

Known by the name of the file, or by its first bytes. A leaf.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["may_be_weights", "what_it_is"]

_NUMPY = "numpy.savez(path, **arrays) writes its arrays as an .npz"
_DCP = "python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER model.pt"
_SHARDS = (
    "transformers reads it, and save_pretrained(folder, safe_serialization=True) writes safetensors"
)
_FORMATS = {
    "GGUF": (
        r"\.(gguf|ggml)",
        b"GGUF",
        "prune the model that it was made of, then convert that",
    ),
    "ONNX": (r"\.onnx", None, "prune the model before its export"),
    "Keras": (r"\.keras", None, f"keras.saving.load_model reads it, and {_NUMPY}"),
    "HDF5": (r"\.(h5|hdf5)", rb"\x89HDF\r\n\x1a\n", f"h5py reads it, and {_NUMPY}"),
    "msgpack (Flax)": (
        r"\.msgpack",
        None,
        "flax.serialization.msgpack_restore reads it; multiprune_jax prunes the tree",
    ),
    "TensorFlow": (
        r"\.(pb|tflite|index|data-\d+-of-\d+)",
        None,
        f"tf.train.load_checkpoint reads its variables, and {_NUMPY}",
    ),
    "torch.export": (r"\.pt2", None, "prune the model before its export"),
    "torch's distributed checkpoint (DCP)": (r"\.distcp", None, _DCP),
    "torch's shards with an index": (r"\.bin\.index\.json", None, _SHARDS),
    "Rust's tch": (r"\.ot", None, "tch reads it, and VarStore.save writes safetensors"),
    "Paddle": (r"\.pdparams", None, f"paddle.load reads it, and {_NUMPY}"),
    "NeMo": (r"\.nemo", None, "it is a tar archive: prune the model_weights.ckpt in it"),
    "Equinox": (
        r"\.eqx",
        None,
        "equinox.tree_deserialise_leaves reads it; multiprune_jax prunes the tree",
    ),
    "pickle": (
        r"\.(pkl|pickle|joblib)",
        rb"\x80[\2-\5][^\0]",
        "it runs code when it is read: load it where you trust it, and torch.save its state_dict",
    ),
    "NumPy": (r"\.npy", rb"\x93NUMPY", f"it holds one array without a name; {_NUMPY}"),
    "compressed data": (
        r"\.(safetensors|npz|pt|pth|bin|ckpt|gguf)\.(zst|gz|xz|bz2)",
        rb"\x28\xb5\x2f\xfd|\x1f\x8b\x08(?!\0{5})|\xfd7zXZ|BZh[1-9]",
        "unpack it first",
    ),
    "Git LFS, a pointer to the weights": (None, b"version https://git-lfs", "git lfs pull"),
    "HTML or XML, a page that was saved in its place": (
        None,
        rb"(?i)\s*<(!doctype|html|\?xml)",
        "fetch the file again, logged in if need be",
    ),
}
"""By how a name ends, and how the bytes begin. A file of safetensors begins with a length, so there
are zeros soon, and nothing here matches it."""
_FOLDERS = {
    "torch's distributed checkpoint (DCP)": ((".metadata", "*.distcp"), _DCP),
    "Orbax": (
        (
            "_CHECKPOINT_METADATA", "_METADATA", "manifest.ocdbt", "*/_CHECKPOINT_METADATA",
            "*/_METADATA", "*/manifest.ocdbt",
        ),
        "orbax.checkpoint restores the tree; multiprune_jax prunes it",
    ),
    "torch's shards with an index": (("*.bin.index.json",), _SHARDS),
    "TensorFlow's SavedModel": (
        ("saved_model.pb",),
        f"tf.saved_model.load reads its variables, and {_NUMPY}",
    ),
}  # fmt: skip
_NAMES = {
    name: re.compile(f".*{suffix}", re.I) for name, (suffix, *_) in _FORMATS.items() if suffix
}
_WEIGHTS = re.compile(r".*\.(safetensors|npz|pt|pth|bin|ckpt)", re.I)


def may_be_weights(name: str) -> bool:
    """Whether a file may hold the weights of a model, by its name."""
    return not name.endswith(".index.json") and (
        _WEIGHTS.fullmatch(name) is not None
        or any(pattern.fullmatch(name) for pattern in _NAMES.values())
    )


def what_it_is(path: Path) -> str:
    """Return a sentence on a file or folder of another format, or nothing."""
    if path.is_dir():
        for name, (signs, way) in _FOLDERS.items():
            if any(any(path.glob(sign)) for sign in signs):
                return f" It is a folder of {name}, which is not read. To convert it: {way}."
        return ""
    try:
        with path.open("rb") as file:
            first = file.read(32)
    except OSError:
        first = b""
    for name, (_, magic, way) in _FORMATS.items():
        by_name = name in _NAMES and _NAMES[name].fullmatch(path.name)
        if by_name or (magic and re.match(magic, first)):
            return f" It is a file of {name}, which is not read. To convert it: {way}."
    return ""
