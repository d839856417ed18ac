"""What is put around arrays: tied Variables, boxes, collections, the states of optimizers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import multiprune_jax
import numpy as np
import optax
import pytest
from flax import nnx, serialization
from flax.training.train_state import TrainState

from multiprune.errors import DtypeError, MaskError, ParametersError, ParametersTypeError


class Tied(nnx.Module):
    """Two layers with one kernel, and state that is no parameter."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.head, self.lin = nnx.Linear(4, 6, rngs=rngs), nnx.Linear(4, 6, rngs=rngs)
        self.embed = nnx.Embed(6, 4, rngs=rngs)
        self.head.kernel = self.lin.kernel
        self.seen = nnx.BatchStat(jnp.full((8, 8), 1e-3))
        self.cached = nnx.Cache(jnp.zeros((8, 8)))


@pytest.fixture
def module():
    return Tied()


def is_tied(module):
    return module.head.kernel is module.lin.kernel


def test_a_tied_parameter_is_ranked_once_and_comes_back_tied(module):
    pruned = multiprune_jax.global_unstructured(module, amount=0.5)
    assert [t.name for t in pruned.report.tensors] == ["embed/embedding", "head/kernel"]
    assert (pruned.report.size, pruned.report.pruned) == (48, 24)
    assert is_tied(pruned.params)
    assert is_tied(pruned.masks)
    assert not is_tied(jax.tree.map(jnp.abs, module))  # or this would show nothing


def test_masks_of_a_state_prune_every_name_in_the_module(module):
    state = nnx.state(module, nnx.Param)
    masks = multiprune_jax.global_unstructured(state, amount=0.5).masks
    pruned = multiprune_jax.apply_masks(module, masks)
    assert is_tied(pruned)
    assert (pruned.lin.kernel[...] == 0).sum() == (~masks["head"]["kernel"][...]).sum() > 0


def test_masks_of_several_names_are_joined(module):
    eye = np.eye(4, 6, dtype=bool)
    masks = {"head/kernel": ~eye, "lin/kernel": ~eye[:, ::-1]}
    pruned = multiprune_jax.apply_masks(module, masks)
    assert (pruned.head.kernel[...] == 0).sum() == 8
    again = multiprune_jax.global_unstructured(module, amount=0, masks=masks)
    assert (~again.masks.head.kernel[...]).sum() == 8
    assert multiprune_jax.apply_masks(module, {"lin/kernel": ~eye}).head.kernel[0, 0] == 0


def test_patterns_know_every_name(module):
    def chosen(**patterns):
        return list(multiprune_jax.named_leaves(module, **patterns))

    assert chosen(include="lin/*") == ["head/kernel"]
    assert chosen(exclude="lin/*") == ["embed/embedding"]


def test_masks_are_kept_and_loaded_tied(module, tmp_path):
    masks = multiprune_jax.global_unstructured(module, amount=0.5).masks
    multiprune_jax.save_masks(masks, tmp_path / "masks.safetensors")
    assert is_tied(multiprune_jax.load_masks(tmp_path / "masks.safetensors", like=module))


def test_training_holds_a_tied_parameter_at_zero(module):
    pruned = multiprune_jax.global_unstructured(module, amount=0.5)
    model = pruned.params
    transforms = optax.chain(optax.adam(1e-2), multiprune_jax.keep_pruned(pruned.masks))
    optimizer = nnx.Optimizer(model, transforms, wrt=nnx.Param)
    x = jnp.ones((1, 4))
    grads = nnx.grad(lambda m: (m.lin(x) ** 2).sum() + (m.head(x) ** 2).sum())(model)
    optimizer.update(model, grads)
    assert is_tied(model)
    np.testing.assert_array_equal(model.lin.kernel[...] == 0, ~pruned.masks.head.kernel[...])


def test_state_that_is_no_parameter_is_ranked_only_where_it_is_asked_for(module):
    pruned = multiprune_jax.global_unstructured(module, sparsity=1.0).params
    assert (pruned.seen[...] == 1e-3).all()
    asked = multiprune_jax.global_unstructured(
        module, sparsity=1.0, where=lambda name, leaf: name == "seen"
    )
    assert (asked.params.seen[...] == 0).all()


class Attention(nn.Module):
    """Boxed kernels, a cache, and biases of heads."""

    @nn.compact
    def __call__(self, x):
        init = nn.with_partitioning(nn.initializers.lecun_normal(), (None, "model"))
        x = nn.Dense(8, kernel_init=init)(x)
        return nn.MultiHeadDotProductAttention(2, decode=True)(x)


@pytest.fixture
def variables():
    return Attention().init(jax.random.key(0), jnp.ones((1, 5, 4)))


def test_collections_beside_the_parameters_are_left_alone(variables):
    assert variables["cache"]
    pruned = multiprune_jax.global_unstructured(variables, sparsity=1.0)
    assert {t.name.rpartition("/")[2] for t in pruned.report.tensors} == {"kernel"}
    for before, after in zip(
        jax.tree.leaves(variables["cache"]), jax.tree.leaves(pruned.params["cache"]), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_boxed_leaves_have_the_names_of_unboxed_ones(variables):
    boxed = multiprune_jax.global_unstructured(
        variables, amount=0.5, where=lambda path, leaf: path.endswith("kernel")
    )
    assert isinstance(boxed.params["params"]["Dense_0"]["kernel"], nn.Partitioned)
    params = nn.meta.unbox(variables)["params"]
    plain = multiprune_jax.apply_masks(params, boxed.masks)
    kernel = boxed.params["params"]["Dense_0"]["kernel"].value
    np.testing.assert_array_equal(plain["Dense_0"]["kernel"], kernel)
    assert (kernel == 0).any()


def test_biases_and_scales_of_stacked_layers_are_no_weights():
    layers = {"kernel": jnp.ones((3, 4, 5)), "bias": jnp.zeros((3, 5)), "scale": jnp.ones((3, 5))}
    assert list(multiprune_jax.named_leaves({"layers": layers})) == ["layers/kernel"]


def test_states_of_optimizers_are_refused(module):
    params = {"w": jnp.ones((4, 4))}
    transforms = optax.adam(1e-3)
    state = TrainState.create(apply_fn=None, params=params, tx=transforms)
    of_module = nnx.Optimizer(module, transforms, wrt=nnx.Param)
    saved = {"params": params, "opt_state": [jnp.ones((4, 4))]}
    for given in (state, of_module, transforms.init(params), (params, state.opt_state), saved):
        with pytest.raises(ParametersError, match=r"state\.params"):
            multiprune_jax.global_unstructured(given, amount=0.5)


@pytest.mark.parametrize(
    "state",
    [
        optax.adam(0.1),
        optax.chain(optax.clip(1.0), optax.adamw(0.1)),
        optax.sgd(0.1, momentum=0.9),
        optax.lion(0.1),
    ],
)
@pytest.mark.parametrize("key", ["optimizer", "opt", "adam", ""])
def test_an_optimizers_state_of_plain_dicts_is_refused(state, key):
    params = {"a": {"kernel": jnp.ones((3, 4))}}
    plain = serialization.to_state_dict(state.init(params))
    tree = {"model": params, key: plain} if key else plain
    with pytest.raises(ParametersError, match="optimizer's state"):
        multiprune_jax.global_unstructured(tree, amount=0.5)


def test_what_a_pruning_returned_is_not_pruned_as_it_is():
    pruned = multiprune_jax.global_unstructured({"a": jnp.ones((3, 4))}, amount=0.5)
    with pytest.raises(ParametersTypeError, match=r"pruned\.params"):
        multiprune_jax.global_unstructured(pruned, amount=0.5)


def test_offsets_of_stacked_layers_are_left_alone():
    params = {
        "l": {"w": jnp.ones((3, 4, 4))},
        "ln": {n: jnp.ones((3, 4)) for n in ("scale", "offset")},
    }
    assert list(multiprune_jax.named_leaves(params)) == ["l/w"]


def test_names_that_match_nothing_are_told():
    with pytest.raises(ParametersError, match=r"include=\['z\*'\]"):
        multiprune_jax.global_unstructured({"a": jnp.ones((3, 4))}, amount=0.5, include="z*")


@pytest.mark.parametrize(
    "leaf",
    [np.ones((2, 2), ">f4"), np.ones((2, 2), np.longdouble)],
    ids=["another byte order", "long double"],
)
def test_dtypes_that_jax_has_not_name_their_leaf(leaf):
    with pytest.raises(DtypeError, match="layer/kernel has dtype"):
        multiprune_jax.global_unstructured({"layer": {"kernel": leaf}}, amount=0.5)


def test_tensors_of_torch_name_their_leaf():
    torch = pytest.importorskip("torch")
    with pytest.raises(ParametersTypeError, match="layer/kernel is a Tensor of torch"):
        multiprune_jax.global_unstructured({"layer": {"kernel": torch.ones(2, 2)}}, amount=0.5)


@pytest.mark.parametrize("value", [2, 0.5, np.nan, -1])
def test_every_verb_refuses_masks_of_other_values(value, tmp_path):
    params = {"a": jnp.ones((2, 2))}
    masks, good = {"a": np.full((2, 2), value)}, {"a": np.ones((2, 2))}
    state = multiprune_jax.keep_pruned(good).init(params)
    for verb in (
        lambda: multiprune_jax.apply_masks(params, masks),
        lambda: multiprune_jax.keep_pruned(masks),
        lambda: multiprune_jax.replace_masks(state, masks),
        lambda: multiprune_jax.report_of(masks),
        lambda: multiprune_jax.save_masks(masks, tmp_path / "masks.safetensors"),
        lambda: multiprune_jax.global_unstructured(params, amount=0.5, masks=masks),
    ):
        with pytest.raises(MaskError, match="MASK-03"):
            verb()
    assert multiprune_jax.report_of(good).pruned == 0
