"""A pruned matrix goes to SciPy and comes back, its stored places being the mask."""

from __future__ import annotations

import numpy as np
import pytest
from multiprune_numpy import to_csr

import multiprune

sparse = pytest.importorskip("scipy.sparse")

DTYPES = ["float32", "float64", "int8", "uint16", "complex64", "bool"]
SHAPES = [(0, 0), (0, 3), (3, 0), (1, 1), (37, 53), (1, 200), (200, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", DTYPES)
def test_what_is_kept_comes_back_to_the_bit(name, shape):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (*shape, np.dtype(name).itemsize), dtype="u1") >> (name == "bool")
    values = (values > 60).view(name) if name == "bool" else values.view(name)
    values = values.reshape(shape)
    mask = rng.random(shape) < 0.3
    before = values.tobytes()
    found = to_csr(values, mask)
    assert isinstance(found, sparse.csr_array)
    assert (found.shape, found.dtype, found.nnz) == (shape, values.dtype, int(mask.sum()))
    assert found.data.tobytes() == values[mask].tobytes()
    places = np.zeros(shape, bool)
    places[found.tocoo().coords] = True
    np.testing.assert_array_equal(places, mask)
    np.testing.assert_array_equal(found.toarray(), np.where(mask, values, 0))
    assert values.tobytes() == before


def test_without_a_mask_everything_but_plus_zero_is_stored():
    values = np.array([[0.0, -0.0, np.nan], [0, 1e-42, -np.inf], [0, 0, 0]], np.float32)
    for matrix in (values, np.asfortranarray(values), np.repeat(values, 2, axis=0)[::2]):
        found = to_csr(matrix)
        assert found.nnz == 4
        assert found.data.tobytes() == values[[0, 0, 1, 1], [1, 2, 1, 2]].tobytes()
        np.testing.assert_array_equal(found.toarray(), values)


def test_a_pruned_matrix_multiplies_as_it_did():
    rng = np.random.default_rng(1)
    weight, vector = rng.integers(-9, 9, (40, 30)).astype("f8"), rng.integers(-9, 9, 30)
    (mask,) = multiprune.global_unstructured([weight], amount=0.8).masks
    np.testing.assert_array_equal(to_csr(weight, mask) @ vector, np.where(mask, weight, 0) @ vector)


def test_what_does_not_fit_is_refused():
    values = np.ones((3, 4))
    with pytest.raises(IndexError, match="Reshape"):
        to_csr(values.reshape(3, 2, 2))
    with pytest.raises(ValueError, match="MASK-04"):
        to_csr(values, np.ones((4, 3)))
    with pytest.raises(ValueError, match="MASK-03"):
        to_csr(values, values / 2)
    for name in ("float16", "bfloat16"):
        ml_dtypes = pytest.importorskip("ml_dtypes")
        with pytest.raises(TypeError, match=name):
            to_csr(values.astype(getattr(ml_dtypes, name, name)))
