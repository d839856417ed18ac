"""What JAX's own transformations do with a pruning: manual axes, replicas, export, donation."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import multiprune_jax as mj
import numpy as np
import pytest
from flax import jax_utils
from jax import export
from jax.experimental import checkify
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from multiprune.errors import DtypeError, ParametersError

WEIGHTS = {"a": jax.random.normal(jax.random.key(0), (8, 4)), "b": jnp.ones((4, 4)).at[0].set(0.1)}
MESH = Mesh(np.array(jax.devices()[:1]), ("d",))
QUESTIONS = [
    {"amount": 9},
    {"sparsity": 0.5},
    {"scope": "tensor", "amount": 3},
    {"scope": "row", "amount": 1},
    {"scope": (2, 4)},
    {"amount": 9, "keep_at_least": 12},
    {"amount": 9, "allocation": "erk"},
    {"amount": 9, "method": mj.RandomUnstructured, "seed": 1},
]


def same(one, other):
    return all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(other)))


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
@pytest.mark.parametrize("spec", [{"a": P("d"), "b": P("d")}, {"a": P("d"), "b": P()}])
def test_leaves_that_vary_over_a_manual_axis(question, spec):
    """Each device ranks what it holds: here there is one, and it holds all."""

    @jax.jit
    @partial(jax.shard_map, mesh=MESH, in_specs=(spec,), out_specs={"a": P("d"), "b": P("d")})
    def masks(params):
        return mj.global_unstructured(params, **question).masks

    assert same(masks(WEIGHTS), mj.global_unstructured(WEIGHTS, **question).masks)


@pytest.mark.parametrize("is_varied", [True, False])
def test_masks_and_amounts_that_vary_over_a_manual_axis(is_varied):
    @jax.jit
    @partial(jax.shard_map, mesh=MESH, in_specs=(P("d"), P("d"), P()), out_specs=P("d"))
    def masks(params, prior, count):
        count = count + jax.lax.axis_index("d") if is_varied else count
        return mj.global_unstructured(params, masks=prior, amount=count).masks

    prior = {name: leaf > -1 for name, leaf in WEIGHTS.items()}
    wanted = mj.global_unstructured(WEIGHTS, masks=prior, amount=5).masks
    assert same(masks(WEIGHTS, prior, jnp.int32(5)), wanted)


def test_replicas_of_pmap_are_refused():
    replicated = jax_utils.replicate(WEIGHTS)
    with pytest.raises(ParametersError, match=r"a has shape.*jax\.pmap.*leaf\[0\]"):
        mj.global_unstructured(replicated, amount=0.5)
    with pytest.raises(ParametersError, match=r"jax\.pmap"):
        mj.local(jax.pmap(lambda leaf: leaf)(replicated), mj.L1Unstructured(0.5))
    one = mj.global_unstructured(jax.tree.map(lambda leaf: leaf[0], replicated), amount=0.5)
    mapped = jax.pmap(lambda p: mj.global_unstructured(p, amount=24).masks)(replicated)
    assert same(one.masks, jax.tree.map(lambda leaf: leaf[0], mapped))


def test_a_leaf_of_one_entry_a_device_is_no_replica():
    stacked = jax.device_put(WEIGHTS, jax.sharding.NamedSharding(MESH, P("d")))
    assert mj.global_unstructured(stacked, amount=0.5).report.pruned == 24


@pytest.mark.parametrize("question", QUESTIONS[:5], ids=str)
def test_symbolic_shapes_are_refused_by_name(question):
    def masks(params):
        return mj.global_unstructured(params, **question).masks

    (b,) = export.symbolic_shape("b")
    shapes = {"a": jax.ShapeDtypeStruct((b, 4), jnp.float32)}
    with pytest.raises(ParametersError, match=r"a has the symbolic shape \(b, 4\)"):
        export.export(jax.jit(masks))(shapes)


def test_symbolic_shapes_of_data_are_no_matter():
    def step(params, x):
        return x @ mj.global_unstructured(params, amount=9).params["a"]

    (b,) = export.symbolic_shape("b")
    params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), WEIGHTS)
    exported = export.export(jax.jit(step))(params, jax.ShapeDtypeStruct((b, 8), jnp.float32))
    x = jnp.ones((3, 8))
    assert np.allclose(exported.call(WEIGHTS, x), step(WEIGHTS, x), atol=1e-6)


def prune(params):
    return mj.global_unstructured(params, amount=0.5).params


def by_masks(params):
    return mj.apply_masks(params, {"a": jnp.ones((8, 4), bool)})


def one_by_one(params):
    return mj.local(params, mj.L1Unstructured(3), include="a").params


@pytest.mark.parametrize("pruning", [prune, by_masks, one_by_one])
def test_donated_parameters_leave_the_callers_alone(pruning):
    params = {**WEIGHTS, "bias": jnp.ones(4), "step": jnp.int32(3), "text": "a name"}
    arrays = {name: jnp.array(leaf) for name, leaf in params.items() if name != "text"}
    pruned = pruning({**arrays, "text": "a name"})
    assert pruned.pop("text") == "a name"
    jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)(pruned)
    assert same(arrays, {name: params[name] for name in arrays})


NANS = {
    "float16": [0x7C01, 0x7E23, 0xFE01, 0xFD55],
    "bfloat16": [0x7F81, 0x7FC5, 0xFF9F, 0xFFC1],
    "float32": [0x7F800001, 0x7FC00123, 0xFFC12345, 0xFF812345],
    "float8_e5m2": [0x7D, 0x7E, 0xFD, 0xFF],
    "float8_e4m3fn": [0x7F, 0xFF, 0x01, 0x80],
}


@pytest.mark.parametrize("dtype", NANS)
@pytest.mark.parametrize("wrap", [jax.jit, lambda f: f, lambda f: jax.jit(jax.vmap(f))])
def test_kept_nans_keep_their_payloads(dtype, wrap):
    word = np.dtype(f"uint{8 * jnp.dtype(dtype).itemsize}")
    bits = np.array(NANS[dtype], word).reshape(2, 1, 2)
    leaf = jnp.asarray(bits.view(jnp.dtype(dtype)))
    for keeps in (
        lambda x: mj.global_unstructured({"a": x}, amount=0).params["a"],
        lambda x: mj.apply_masks({"a": x}, {"a": jnp.ones(x.shape, bool)})["a"],
    ):
        assert np.array_equal(np.asarray(wrap(keeps)(leaf)).view(word), bits)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_gradients_pass_where_the_mask_is(dtype):
    params = {"a": jnp.array([[1.0, -4.0], [3.0, 2.0]], dtype)}

    def energy(params):
        return (mj.global_unstructured(params, amount=2).params["a"] ** 2).sum()

    for gradient in (jax.grad(energy), jax.jit(jax.grad(energy))):
        assert gradient(params)["a"].tolist() == [[0, -8], [6, 0]]


MASKS = {"a": jnp.zeros((8, 4), bool).at[0].set(True), "b": jnp.ones((4, 4), bool)}
TOO_MUCH = [
    ({"amount": 21}, "AMT-11"),
    ({"amount": 1000}, "AMT-11"),
    ({"sparsity": 0.5}, "AMT-14"),
    ({"scope": "tensor", "amount": 5}, "AMT-11"),
    ({"scope": "row", "amount": 2}, "AMT-11"),
    ({"amount": 19, "keep_at_least": 4}, "BOUND-06"),
]


def checked(question, masks):
    @jax.jit
    def pruned(params, masks):
        return mj.global_unstructured(params, masks=masks, **question).masks

    error, out = checkify.checkify(pruned)(WEIGHTS, masks)
    return error.get(), out


@pytest.mark.parametrize(("question", "clause"), TOO_MUCH, ids=str)
def test_the_checked_form_says_what_cannot_be_pruned(question, clause):
    assert clause in checked(question, MASKS)[0]


@pytest.mark.parametrize(
    "question",
    [
        {"amount": 20},
        {"sparsity": 28 / 48},
        {"scope": "tensor", "amount": 4},
        {"amount": 3, "keep_at_least": 1},
    ],
    ids=str,
)
def test_the_checked_form_is_the_same_otherwise(question):
    error, masks = checked(question, MASKS)
    assert error is None
    assert same(masks, mj.global_unstructured(WEIGHTS, masks=MASKS, **question).masks)


def test_a_traced_amount_is_checked():
    pruned = jax.jit(lambda p, n: mj.global_unstructured(p, amount=n).masks)
    for count, fails in ((48, False), (49, True)):
        error, _ = checkify.checkify(pruned)(WEIGHTS, jnp.int32(count))
        assert (error.get() is not None) == fails


def test_a_negative_traced_amount_is_checked():
    pruned = jax.jit(lambda p, n: mj.global_unstructured(p, amount=n).masks)
    error, _ = checkify.checkify(pruned)(WEIGHTS, jnp.int32(-1))
    assert "AMT-10" in error.get()


def test_without_checks_it_is_all_that_is_left():
    masks = jax.jit(lambda m: mj.global_unstructured(WEIGHTS, amount=21, masks=m).masks)(MASKS)
    assert not any(leaf.any() for leaf in jax.tree.leaves(masks))


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_a_dtype_that_is_not_ranked_names_its_leaf(wrap):
    params = {**WEIGHTS, "layer": {"codes": jnp.ones((2, 2), "int4")}}

    def pruned(params):
        return mj.global_unstructured(params, amount=1, where=lambda name, leaf: True).masks

    with pytest.raises(DtypeError, match="int4 for layer/codes"):
        wrap(pruned)(params)


def test_dtypes_that_do_not_go_together_name_their_leaves():
    params = {"a": jnp.ones((2, 2), "uint32"), "b": jnp.ones((2, 2), "int32")}
    with pytest.raises(DtypeError, match=r"Given were .*uint32 for a"):
        mj.global_unstructured(params, amount=1, where=lambda name, leaf: True)
