"""One small network in every container, with the same weights under the same names."""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

_RNG = np.random.default_rng(5)
WEIGHTS = {
    f"{layer}/{name}": _RNG.standard_normal(shape).astype(np.float32)
    for layer, inner, outer in (("a", 6, 10), ("b", 10, 10), ("out", 10, 1))
    for name, shape in (("kernel", (inner, outer)), ("bias", (outer,)))
}
KERNELS = ["a/kernel", "b/kernel", "out/kernel"]
X = jnp.asarray(_RNG.standard_normal((32, 6)), dtype=jnp.float32)
Y = jnp.sin(X.sum(axis=1, keepdims=True))


def nested():
    tree = {}
    for path, value in WEIGHTS.items():
        layer, name = path.split("/")
        tree.setdefault(layer, {})[name] = jnp.asarray(value)
    return tree


def dense(layer, x):
    return x @ layer["kernel"] + layer["bias"]


def dict_apply(params, x):
    return dense(params["out"], jnp.tanh(dense(params["b"], jnp.tanh(dense(params["a"], x)))))


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = jnp.tanh(nn.Dense(10, name="a")(x))
        return nn.Dense(1, name="out")(jnp.tanh(nn.Dense(10, name="b")(x)))


class Nnx(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.a = nnx.Linear(6, 10, rngs=rngs)
        self.b = nnx.Linear(10, 10, rngs=rngs)
        self.out = nnx.Linear(10, 1, rngs=rngs)
        self.drop = nnx.Dropout(0.0, rngs=rngs)
        for path, value in WEIGHTS.items():
            layer, name = path.split("/")
            getattr(getattr(self, layer), name)[...] = jnp.asarray(value)

    def __call__(self, x):
        return self.out(self.drop(jnp.tanh(self.b(jnp.tanh(self.a(x))))))


class Layer(eqx.Module):
    kernel: jax.Array
    bias: jax.Array

    def __call__(self, x):
        return x @ self.kernel + self.bias


class Equinox(eqx.Module):
    out: Layer
    a: Layer
    b: Layer
    activation: object = jnp.tanh
    name: str = eqx.field(static=True, default="net")

    def __call__(self, x):
        return self.out(self.activation(self.b(self.activation(self.a(x)))))


def equinox():
    return Equinox(**{layer: Layer(**values) for layer, values in nested().items()})


@jax.tree_util.register_dataclass
@dataclass
class Record:
    out: dict
    b: dict
    a: dict


CONTAINERS = {
    "dict": nested,
    "linen": lambda: {"params": nested(), "batch_stats": {"mean": jnp.zeros(3)}},
    "nnx": Nnx,
    "nnx state": lambda: nnx.state(Nnx()),
    "nnx params": lambda: nnx.state(Nnx(), nnx.Param),
    "equinox": equinox,
    "dataclass": lambda: Record(**nested()),
}
