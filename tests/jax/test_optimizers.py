"""`keep_pruned` with every optimizer, transform and wrapper that the installed optax has."""

from __future__ import annotations

import inspect

import jax
import jax.numpy as jnp
import multiprune_jax as mj
import numpy as np
import optax
import pytest
from jax_nets import X, Y, dict_apply, nested
from multiprune_jax.paths import Tree
from optax import contrib

from multiprune.errors import MaskError

PRUNED = mj.global_unstructured(nested(), amount=0.8)
LABELS = {"a": "a", "b": "b", "out": "b"}


def everything():
    """What optax and optax.contrib have that makes a transform."""
    found = {}
    for module in (optax, contrib):
        for name in dir(module):
            made = getattr(module, name)
            if inspect.isfunction(made) and not name.startswith("_"):
                text = str(inspect.signature(made).return_annotation)
                if "GradientTransformation" in text:
                    found[name] = made
    return found


ALL = everything()
ARGUMENTS = {
    "adaptive_grad_clip": {"clipping": 0.1},
    "add_noise": {"eta": 0.1, "gamma": 0.5, "key": 0},
    "clip": {"max_delta": 0.1},
    "clip_by_block_rms": {"threshold": 0.1},
    "clip_by_global_norm": {"max_norm": 0.1},
    "differentially_private_aggregate": {"l2_norm_clip": 1, "noise_multiplier": 1, "key": 0},
    "dpsgd": {"l2_norm_clip": 1, "noise_multiplier": 1, "seed": 0},
    "ema": {"decay": 0.9},
    "noisy_sgd": {"key": 0},
    "scale": {"step_size": -0.01},
    "scale_by_backtracking_linesearch": {"max_backtracking_steps": 3},
    "scale_by_schedule": {"step_size_fn": lambda step: -0.01},
    "scale_by_zoom_linesearch": {"max_linesearch_steps": 3},
    "snapshot": {"measure_name": "norm", "measure": lambda updates: jnp.float32(0)},
    "stateless": {"f": lambda updates, _: updates},
    "stateless_with_tree_map": {"f": lambda update, _: update},
    "trace": {"decay": 0.9},
}
"""Of transforms that take more than a learning rate, or something else."""
FURTHER = {
    "lbfgs": {"value", "grad", "value_fn"},
    "momo": {"value"},
    "momo_adam": {"value"},
    "polyak_sgd": {"value"},
    "reduce_on_plateau": {"value"},
    "scale_by_backtracking_linesearch": {"value", "grad", "value_fn"},
    "scale_by_polyak": {"value"},
    "scale_by_zoom_linesearch": {"value", "grad", "value_fn"},
    "sophia": {"obj_fn"},
}
"""What `update` takes beside the gradients."""

WRAPPERS = {
    "apply_if_finite": lambda tx: optax.apply_if_finite(tx, 3),
    "chain": optax.chain,
    "conditionally_mask": lambda tx: optax.conditionally_mask(tx, lambda step: step >= 0),
    "conditionally_transform": lambda tx: optax.conditionally_transform(tx, lambda step: step >= 0),
    "flatten": optax.flatten,
    "inject_hyperparams": lambda tx: optax.inject_hyperparams(lambda rate: tx)(rate=0.1),
    "masked": lambda tx: optax.masked(tx, {"a": True, "b": True, "out": True}),
    "mechanize": contrib.mechanize,
    "multi_transform": lambda tx: optax.multi_transform({"a": tx, "b": tx}, LABELS),
    "named_chain": lambda tx: optax.named_chain(("inner", tx)),
    "partition": lambda tx: optax.partition({"a": tx, "b": tx}, LABELS),
    "sam": lambda tx: contrib.sam(tx, optax.sgd(0.01)),
    "schedule_free": lambda tx: contrib.schedule_free(tx, 0.01),
    "selective_transform": lambda tx: optax.selective_transform(
        tx, freeze_mask={"a": False, "b": False, "out": False}
    ),
    "split_real_and_imaginary": contrib.split_real_and_imaginary,
    "with_extra_args_support": optax.with_extra_args_support,
    "MultiSteps": lambda tx: optax.MultiSteps(tx, 2),
}
OTHERS = {
    "freeze": "takes a mask of whole leaves, as selective_transform does",
    "inject_stateful_hyperparams": "the deprecated name of inject_hyperparams",
    "lookahead": "below",
    "measure_with_ema": "its updates are a number",
    "optimistic_adam": "the deprecated name of optimistic_adam_v2",
    "scale_by_muon": "the part of muon that takes matrices alone",
}
SCHEDULE_FREE = {"schedule_free_adamw", "schedule_free_sgd"}
"""Made whole, so that nothing can be put inside: their evaluation takes `apply_masks`."""
ONLY_AFTER = {"flatten", "mechanize", "sam"}
ONLY_INSIDE = {"schedule_free"}
ALONE = sorted(set(ALL) - set(WRAPPERS) - set(OTHERS))


def loss(params):
    return jnp.mean((dict_apply(params, X) - Y) ** 2)


def fit(tx, params, state=None, *, further=(), per_example=False):
    state = tx.init(params) if state is None else state

    def step(params, state):  # not compiled: that takes longer than these few steps
        value, grads = VALUE_AND_GRAD(params)
        every = {"value": value, "grad": grads, "value_fn": loss, "obj_fn": loss}
        given = jax.tree.map(lambda g: jnp.stack([g, g / 2]), grads) if per_example else grads
        updates, state = tx.update(given, state, params, **{n: every[n] for n in further})
        return optax.apply_updates(params, updates), state

    for _ in range(4):
        params, state = step(params, state)
    return params, state


VALUE_AND_GRAD = jax.jit(jax.value_and_grad(loss))


def lost(params, masks):
    """How many pruned entries are not 0."""
    leaves, kept = Tree(params).leaves, Tree(masks).leaves
    return sum(int((np.asarray(leaves[n])[~np.asarray(m)] != 0).sum()) for n, m in kept.items())


def two_rounds(tx, **options):
    """Train, prune more, train: return parameters and state after each round, with its masks."""
    params, state = fit(tx, PRUNED.params, **options)
    more = mj.global_unstructured(params, sparsity=0.9, masks=PRUNED.masks)
    later = fit(tx, more.params, mj.replace_masks(state, more.masks), **options)
    return [(params, state, PRUNED.masks), (*later, more.masks)]


def test_nothing_is_left_out():
    for name in ALONE:
        required = [
            parameter
            for parameter, value in inspect.signature(ALL[name]).parameters.items()
            if value.default is value.empty
            and parameter not in ("learning_rate", *ARGUMENTS.get(name, ()))
        ]
        assert not required, (name, required)
    assert set(OTHERS) | set(ARGUMENTS) | set(FURTHER) | SCHEDULE_FREE <= set(ALL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.seed. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", ALONE)
def test_last_in_the_chain(name):
    arguments = ARGUMENTS.get(name, {})
    if "learning_rate" in inspect.signature(ALL[name]).parameters:
        arguments = {"learning_rate": 0.01} | arguments
    tx = optax.chain(ALL[name](**arguments), mj.keep_pruned(PRUNED.masks))
    per_example = name in ("dpsgd", "differentially_private_aggregate")
    params, state = fit(tx, PRUNED.params, further=FURTHER.get(name, ()), per_example=per_example)
    assert lost(params, PRUNED.masks) == 0
    if name in SCHEDULE_FREE:
        evaluated = contrib.schedule_free_eval_params(state[0], params)
        assert lost(evaluated, PRUNED.masks) > 0
        assert lost(mj.apply_masks(evaluated, PRUNED.masks), PRUNED.masks) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(WRAPPERS) - {"MultiSteps"} - ONLY_INSIDE))
def test_after_a_wrapper(name):
    tx = optax.chain(WRAPPERS[name](optax.adamw(0.01)), mj.keep_pruned(PRUNED.masks))
    for params, _, masks in two_rounds(tx):
        assert lost(params, masks) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(WRAPPERS) - ONLY_AFTER))
def test_inside_a_wrapper(name):
    tx = WRAPPERS[name](optax.chain(optax.adamw(0.01), mj.keep_pruned(PRUNED.masks)))
    for params, state, masks in two_rounds(tx):
        assert lost(params, masks) == 0
        if name == "schedule_free":
            assert lost(contrib.schedule_free_eval_params(state, params), masks) == 0


def test_lookahead_keeps_both_of_its_parameters():
    masks = PRUNED.masks
    tx = optax.lookahead(optax.chain(optax.adamw(0.01), mj.keep_pruned(masks)), 2, 0.5)
    params = optax.LookaheadParams.init_synced(PRUNED.params)
    state = tx.init(params)
    for target in (0.9, 0.95):
        for _ in range(3):
            updates, state = tx.update(jax.grad(loss)(params.fast), state, params)
            params = optax.apply_updates(params, updates)
        assert lost(params.fast, masks) == lost(params.slow, masks) == 0
        masks = mj.global_unstructured(params.slow, sparsity=target, masks=masks).masks
        params = optax.LookaheadParams(*(mj.apply_masks(each, masks) for each in params))
        state = mj.replace_masks(state, masks)


@pytest.mark.parametrize("name", ["mechanize", "sam"])
def test_wrappers_that_move_what_was_kept_inside_are_told(name):
    tx = WRAPPERS[name](optax.chain(optax.sgd(0.1), mj.keep_pruned(PRUNED.masks)))
    with pytest.raises(MaskError, match=f"inside {name}"):
        mj.replace_masks(tx.init(PRUNED.params), PRUNED.masks)


def test_flatten_shows_other_leaves():
    tx = optax.flatten(optax.chain(optax.sgd(0.1), mj.keep_pruned(PRUNED.masks)))
    with pytest.raises(MaskError, match="match no leaf"):
        tx.init(PRUNED.params)


def test_after_schedule_free_is_told():
    tx = optax.chain(contrib.schedule_free(optax.adamw(0.01), 0.01), mj.keep_pruned(PRUNED.masks))
    params, state = fit(tx, PRUNED.params)
    assert lost(contrib.schedule_free_eval_params(state[0], params), PRUNED.masks) > 0
    with pytest.raises(MaskError, match=r"schedule_free\(optax\.chain\(base, keep_pruned"):
        mj.replace_masks(state, PRUNED.masks)


KEEP = mj.keep_pruned(PRUNED.masks)


@pytest.mark.parametrize(
    "tx",
    [
        optax.chain(KEEP, optax.adamw(0.01)),
        optax.chain(optax.adam(0.01), KEEP, optax.add_decayed_weights(0.1)),
        optax.chain(optax.chain(optax.adam(0.01), KEEP), optax.scale(0.5)),
        optax.apply_if_finite(optax.chain(KEEP, optax.sgd(0.1)), 3),
        optax.MultiSteps(optax.chain(KEEP, optax.sgd(0.1)), 2),
    ],
)
def test_not_last_is_told(tx):
    with pytest.raises(MaskError, match="not last in its chain"):
        mj.replace_masks(tx.init(PRUNED.params), PRUNED.masks)


def test_two_optimizers_are_no_chain():
    mine = optax.chain(optax.adamw(0.01), KEEP).init(PRUNED.params)
    other = optax.adamw(0.01).init(PRUNED.params)
    for states in ((mine, other), (other, mine), (mine, PRUNED.params), {"a": mine, "b": other}):
        new = mj.replace_masks(states, jax.tree.map(jnp.logical_not, PRUNED.masks))
        assert jax.tree.structure(new) == jax.tree.structure(states)


@pytest.mark.parametrize("value", [jnp.inf, -jnp.inf, jnp.nan])
def test_a_pruned_entry_that_no_update_brings_to_zero(value):
    dense = nested()
    dense["a"]["kernel"] = dense["a"]["kernel"].at[0, 0].set(value)
    masks = PRUNED.masks | {"a": PRUNED.masks["a"] | {}}
    masks["a"]["kernel"] = masks["a"]["kernel"].at[0, 0].set(False)
    with pytest.raises(MaskError, match=r"1 pruned entries of a/kernel.*apply_masks"):
        mj.keep_pruned(masks).init(dense)
    mj.keep_pruned(masks).init(mj.apply_masks(dense, masks))
    masks["a"]["kernel"] = masks["a"]["kernel"].at[0, 0].set(True)
    mj.keep_pruned(masks).init(dense)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "bfloat16", "float16"])
def test_small_floats_are_looked_at(dtype):
    params = {"w": jnp.array([[1.0, jnp.nan]], dtype)}
    with pytest.raises(MaskError, match="NaN"):
        mj.keep_pruned({"w": jnp.array([[True, False]])}).init(params)
