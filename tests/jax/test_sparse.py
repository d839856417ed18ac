"""A pruned array goes to BCOO and comes back, its stored places being the mask."""

from __future__ import annotations

import jax.numpy as jnp
import multiprune_jax
import numpy as np
import pytest
from multiprune_jax import to_bcoo

SHAPES = [(0, 3), (3, 0), (1, 1), (37, 53), (200,), (3, 4, 5, 6)]
DTYPES = ["float32", "float16", "bfloat16", "int8"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", DTYPES)
def test_what_is_kept_comes_back_to_the_bit(name, shape):
    rng = np.random.default_rng(0)
    values = jnp.asarray(rng.standard_normal(shape) * 9).astype(name)
    mask = rng.random(shape) < 0.3
    found = to_bcoo(values, jnp.asarray(mask))
    assert (found.shape, found.dtype, found.nse) == (shape, values.dtype, int(mask.sum()))
    assert np.asarray(found.data).tobytes() == np.asarray(values)[mask].tobytes()
    np.testing.assert_array_equal(np.asarray(found.indices), np.argwhere(mask))
    np.testing.assert_array_equal(found.todense(), jnp.where(mask, values, 0))


def test_without_a_mask_everything_but_plus_zero_is_stored():
    values = np.array([[0.0, -0.0, np.nan], [0, 1e-42, -np.inf], [0, 0, 0]], np.float32)
    found = to_bcoo(jnp.asarray(values))
    assert np.asarray(found.data).tobytes() == values[[0, 0, 1, 1], [1, 2, 1, 2]].tobytes()
    assert found.indices.tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]


def test_a_pruned_array_multiplies_as_it_did():
    params = {"w": jnp.asarray(np.random.default_rng(1).integers(-9, 9, (40, 30)), jnp.float32)}
    pruned = multiprune_jax.global_unstructured(params, amount=0.8)
    weight, inputs = pruned.params["w"], jnp.arange(30, dtype=jnp.float32)
    found = to_bcoo(params["w"], pruned.masks["w"])
    assert found.nse == 240
    np.testing.assert_array_equal(found @ inputs, weight @ inputs)


def test_what_does_not_fit_is_refused():
    values = jnp.ones((3, 4))
    with pytest.raises(ValueError, match="MASK-04"):
        to_bcoo(values, jnp.ones((4, 3)))
    with pytest.raises(ValueError, match="MASK-03"):
        to_bcoo(values, values / 2)
