"""Three pretrained networks: one digest on every backend, kept as a figure.

``python tests/jax/test_real_models.py`` prints the figures, as the NumPy backend finds them.
"""

from __future__ import annotations

import json
from pathlib import Path

import array_api_strict
import jax
import jax.numpy as jnp
import multiprune_jax as mj
import numpy as np
import pytest
from real_models import MODELS, as_torch, weights

import multiprune
from multiprune.packed import digest, pack

FIGURES = Path(__file__).with_name("real_models.json")
KINDS, AMOUNTS = ("float32", "bfloat16"), (0.5, 0.8, 0.9)
CASES = [(name, kind, amount) for name in MODELS for kind in KINDS for amount in AMOUNTS]


def digest_of(masks):
    arrays = {name: np.asarray(mask) for name, mask in masks.items()}
    return digest({n: (a.shape, pack(a.tobytes())) for n, a in arrays.items()})


def figures(masks, report):
    return {
        "pruned": report.pruned,
        "threshold": float(report.threshold).hex(),
        "ties": report.ties,
        "tied_pruned": report.tied_pruned,
        "masks": digest_of(masks),
    }


@jax.jit
def traced(leaves, count):
    return mj.global_unstructured(leaves, amount=count).masks


@pytest.mark.parametrize(("name", "kind", "amount"), CASES)
def test_every_backend_has_the_digest(name, kind, amount):
    given = weights(name, kind)
    expected = json.loads(FIGURES.read_text())[name][kind][str(amount)]
    leaves = {n: jnp.array(array) for n, array in given.items()}
    tensors = {n: as_torch(array) for n, array in given.items()}
    pruned = {
        "numpy": multiprune.global_unstructured(given, amount=amount),
        "torch": multiprune.global_unstructured(tensors, amount=amount),
        "jax": mj.global_unstructured(leaves, amount=amount)[1:],
    }
    found = {backend: figures(*outcome) for backend, outcome in pruned.items()}
    assert found == dict.fromkeys(found, expected)
    assert digest_of(traced(leaves, expected["pruned"])) == expected["masks"]


def test_the_array_api_alone_has_the_digest():
    given = weights("silero-vad", "float32")
    arrays = {n: array_api_strict.asarray(array) for n, array in given.items()}
    expected = json.loads(FIGURES.read_text())["silero-vad"]["float32"]
    for amount in AMOUNTS:
        found = multiprune.global_unstructured(arrays, amount=amount)
        assert figures(*found) == expected[str(amount)]


def measured():
    """Every figure, in the form in which it is kept."""
    table = {name: {kind: {} for kind in KINDS} for name in MODELS}
    for name, kind, amount in CASES:
        found = multiprune.global_unstructured(weights(name, kind), amount=amount)
        table[name][kind][str(amount)] = figures(*found)
    return table


if __name__ == "__main__":
    print(json.dumps(measured(), indent=1))
