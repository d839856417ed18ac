"""Laws: the masks are the oracle's, with values, under jit with static and traced counts, and vmap.

A program is compiled for each tree of shapes, so the traced laws run on few shapes and many values.
"""

from __future__ import annotations

from functools import cache, partial

import jax
import jax.numpy as jnp
import multiprune_jax as mj
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multiprune_conformance import oracle
from strategies import ALL, AMOUNTS, FLOATS, arrays, problems

import multiprune
from multiprune.errors import AmountError, MultipruneError

SHAPES = ((5, 3), (0, 2), (), (17,))
KINDS = ["L1Unstructured", "RandomUnstructured"]


def everything(path, leaf):
    return True


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def reference(tensors, masks, *, seed=None, signed=False, **amount):
    if seed is not None:
        shapes = [t.shape for t in tensors]
        return oracle.random_unstructured(shapes, seed=seed, masks=masks, **amount)
    return oracle.global_unstructured(tensors, masks=masks, signed=signed, **amount)


def both(run, expect):
    try:
        expected = expect()
    except oracle.Refused as refused:
        kind = refused.kind
    else:
        return run(), expected
    with pytest.raises(MultipruneError) as caught:
        run()
    assert caught.value.kind == kind
    return None, None


def equal(masks, expected):
    return all(map(np.array_equal, map(np.asarray, masks), expected))


@given(problem=problems(), amount=AMOUNTS, signed=st.booleans())
def test_eager_masks_equal_the_oracle(problem, amount, signed):
    tensors, masks = problem
    leaves = list(map(jnp.array, tensors))
    got, expected = both(
        lambda: mj.global_unstructured(
            leaves, amount=amount, masks=masks, signed=signed, where=everything
        ),
        lambda: reference(tensors, masks, amount=amount, signed=signed),
    )
    if got is not None:
        assert equal(got.masks, expected)
        for pruned, mask, tensor in zip(got.params, expected, tensors, strict=True):
            bits = f"u{tensor.dtype.itemsize}"
            zeroed = np.where(
                mask, np.ascontiguousarray(tensor).reshape(tensor.shape).view(bits), 0
            )
            assert np.array_equal(np.asarray(pruned).view(bits), zeroed)
        assert got.report.pruned == sum(int((~mask).sum()) for mask in expected)


@given(problem=problems(), amount=AMOUNTS, seed=st.integers(0, 2**64 - 1))
def test_the_algebra_takes_jax_arrays(problem, amount, seed):
    tensors, masks = problem
    leaves = list(map(jnp.array, tensors))
    got, expected = both(
        lambda: multiprune.global_unstructured(
            leaves, multiprune.RandomUnstructured, amount=amount, masks=masks, seed=seed
        ),
        lambda: reference(tensors, masks, amount=amount, seed=seed),
    )
    if got is not None:
        assert all(isinstance(mask, jax.Array) for mask in got.masks)
        assert equal(got.masks, expected)


@cache
def compiled(names, has_mask, how, seed, signed):
    """One program for each set of dtypes and masks; the count is an argument of it."""
    options = {"seed": seed, "method": mj.RandomUnstructured} if seed is not None else {}

    def prune(leaves, masks, amount):
        return mj.global_unstructured(
            leaves, amount=amount, masks=masks, where=everything, signed=signed, **options
        ).masks

    if how == "static":
        return jax.jit(prune, static_argnums=2)
    if how == "vmap":
        return jax.jit(jax.vmap(prune, in_axes=(0, 0, 0)))
    return jax.jit(prune)


@cache
def to_reach(sparsity):
    prune = partial(mj.global_unstructured, sparsity=sparsity, where=everything)
    return jax.jit(lambda leaves, masks: prune(leaves, masks=masks).masks)


def some_arrays(names, data, masked):
    tensors = [
        np.array(data.draw(arrays([name], st.just(shape)))).reshape(shape)
        for name, shape in zip(names, SHAPES, strict=True)
    ]
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    masks = [
        np.asarray(rng.random(t.shape) < 0.6) if has_mask else None
        for t, has_mask in zip(tensors, masked, strict=True)
    ]
    return tensors, masks, sum(int(mask.sum()) for mask in whole(tensors, masks))


def whole(tensors, masks):
    """Masks of True stand for those that are None."""
    pairs = zip(tensors, masks, strict=True)
    return [np.ones(t.shape, dtype=bool) if m is None else m for t, m in pairs]


# One dtype by itself, and mixtures that are promoted.
MIXED = [
    ("float16", "bfloat16", "float32", "float16"),
    ("bfloat16", "float64", "float16", "float32"),
    ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"),
    ("float8_e5m2fnuz", "float16", "float8_e4m3fnuz", "float8_e4m3fn"),
    ("float8_e4m3fn", "bfloat16", "bfloat16", "float8_e5m2"),
    ("int32", "float16", "int64", "uint8"),
    ("int64", "bfloat16", "bfloat16", "int8"),
    ("uint64", "float32", "float16", "float32"),
    ("uint8", "int8", "int8", "uint8"),
]


CASES = [((name,) * 4, signed) for name in ALL for signed in (False, True)]
CASES += [(names, i % 2 == 1) for i, names in enumerate(MIXED)]


@pytest.mark.parametrize(("names", "signed"), CASES, ids=str)
@settings(max_examples=20)
@given(data=st.data())
def test_traced_counts_equal_the_oracle(names, signed, data):
    masked = (1, 0, 1, 1)
    tensors, masks, live = some_arrays(names, data, masked)
    amount = data.draw(st.integers(0, live))
    expected = reference(tensors, masks, amount=amount, signed=signed)
    program = compiled(names, masked, "traced", None, signed)
    assert equal(program(list(map(jnp.array, tensors)), masks, amount), expected)


@settings(max_examples=25)
@given(data=st.data(), name=st.sampled_from(["float32", "bfloat16"]))
def test_traced_random_draws_equal_the_oracle(data, name):
    seed = data.draw(st.sampled_from([0, 1, 2**63 + 12345]))
    tensors, masks, live = some_arrays((name,) * 4, data, (0, 0, 0, 1))
    amount = data.draw(st.integers(0, live))
    program = compiled((name,) * 4, 1, "traced", seed, None)
    expected = reference(tensors, masks, amount=amount, seed=seed)
    assert equal(program(list(map(jnp.array, tensors)), masks, amount), expected)


@settings(max_examples=20)
@given(data=st.data(), amount=st.sampled_from([0, 1, 0.0, 0.3, 0.8, 1.0, 7]))
def test_static_amounts_equal_the_oracle(data, amount):
    tensors, masks, _ = some_arrays(("float32",) * 4, data, (0, 0, 0, 0))
    program = compiled(("float32",) * 4, 0, "static", None, None)
    expected = reference(tensors, masks, amount=amount)
    assert equal(program(list(map(jnp.array, tensors)), masks, amount), expected)


@settings(max_examples=20)
@given(data=st.data(), name=st.sampled_from(FLOATS))
def test_vmap_gives_each_member_its_own_cut(data, name):
    members = [some_arrays((name,) * 4, data, (1, 0, 0, 1)) for _ in range(3)]
    amounts = [data.draw(st.integers(0, live)) for _, _, live in members]
    tensors, masks = (zip(*(m[i] for m in members), strict=True) for i in (0, 1))
    stack = [jnp.stack(list(map(jnp.array, parts))) for parts in tensors]
    prior = [None if parts[0] is None else np.stack(parts) for parts in masks]
    program = compiled((name,) * 4, 2, "vmap", None, None)
    masks = program(stack, prior, jnp.array(amounts))
    for i, ((tensors, given_masks, _), amount) in enumerate(zip(members, amounts, strict=True)):
        expected = reference(tensors, given_masks, amount=amount)
        assert equal([mask[i] for mask in masks], expected)


@settings(max_examples=20)
@given(data=st.data(), sparsity=st.sampled_from([0.0, 0.45, 0.7, 1.0]))
def test_sparsity_with_traced_masks_equals_the_oracle(data, sparsity):
    tensors, masks, _ = some_arrays(("float32",) * 4, data, (1, 0, 0, 1))
    try:
        expected = reference(tensors, masks, sparsity=sparsity)
    except oracle.Refused:
        expected = whole(tensors, masks)
    assert equal(to_reach(sparsity)(list(map(jnp.array, tensors)), masks), expected)


def test_a_traced_count_above_what_is_left_takes_all():
    program = compiled(("float32",) * 4, 0, "traced", None, None)
    leaves = [jnp.ones(shape) for shape in SHAPES]
    masks = program([leaf.astype(jnp.float32) for leaf in leaves], [None] * 4, 10**6)
    assert not any(np.asarray(mask).any() for mask in masks)
    with pytest.raises(AmountError):
        mj.global_unstructured(leaves, amount=10**6, where=everything)
