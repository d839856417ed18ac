"""The same network in torch and JAX: equal masks in every round, and the same accuracy."""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp
import multiprune_jax as mj
import numpy as np
import optax
import pytest
import torch
from multiprune_torch import prune
from torch import nn

import multiprune

datasets = pytest.importorskip("sklearn.datasets")

SIZES = (64, 128, 64, 10)
NAMES = [f"{i}/kernel" for i in range(3)]


def digits():
    data = datasets.load_digits()
    x, y = (data.data / 16).astype(np.float32), data.target.astype(np.int32)
    return (x[:1400], y[:1400]), (x[1400:], y[1400:])


def trained_jax(params, masks, data, epochs):
    x, y = map(jnp.asarray, data)
    tx = optax.chain(optax.adam(3e-3), mj.keep_pruned(masks))

    def loss(params, x, y):
        logits = optax.softmax_cross_entropy_with_integer_labels(forward(params, x), y)
        return logits.mean()

    @jax.jit
    def epoch(params, state):
        def step(carry, batch):
            params, state = carry
            updates, state = tx.update(jax.grad(loss)(params, *batch), state, params)
            return (optax.apply_updates(params, updates), state), None

        batches = x.reshape(14, 100, -1), y.reshape(14, 100)
        return jax.lax.scan(step, (params, state), batches)[0]

    state = tx.init(params)
    for _ in range(epochs):
        params, state = epoch(params, state)
    return params


def forward(params, x):
    for i in range(3):
        x = x @ params[str(i)]["kernel"] + params[str(i)]["bias"]
        x = jax.nn.relu(x) if i < 2 else x
    return x


def torch_net(params):
    """The same weights, in torch's layout."""
    layers = [nn.Linear(a, b) for a, b in pairwise(SIZES)]
    with torch.no_grad():
        for i, layer in enumerate(layers):
            layer.weight.copy_(torch.from_numpy(np.array(params[str(i)]["kernel"]).T))
            layer.bias.copy_(torch.from_numpy(np.array(params[str(i)]["bias"])))
    return layers


def trained_torch(layers, data, epochs):
    x, y = torch.from_numpy(data[0]), torch.from_numpy(data[1]).long()
    net = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(epochs):
        for i in range(14):
            optimizer.zero_grad()
            part = slice(100 * i, 100 * i + 100)
            torch.autograd.backward(nn.functional.cross_entropy(net(x[part]), y[part]))
            optimizer.step()
    return net


def masks_of_both(kernels, prior, sparsity):
    """Rank the same [in, out] kernels in JAX and as torch tensors; the masks must be equal."""
    mine = mj.global_unstructured(
        {n: jnp.asarray(k) for n, k in kernels.items()}, sparsity=sparsity, masks=prior
    ).masks
    theirs = multiprune.global_unstructured(
        {n: torch.from_numpy(np.array(k)) for n, k in kernels.items()},
        sparsity=sparsity,
        masks=None
        if prior is None
        else {n: torch.from_numpy(np.array(m)) for n, m in prior.items()},
    ).masks
    for name in kernels:
        assert np.array_equal(mine[name], theirs[name].numpy())
    return mine


def test_three_rounds_in_both():
    train, test = digits()
    rng = np.random.default_rng(0)
    params = {
        str(i): {
            "kernel": jnp.asarray(rng.uniform(-1, 1, s) / np.sqrt(s[0]), dtype=jnp.float32),
            "bias": jnp.zeros(s[1]),
        }
        for i, s in enumerate(pairwise(SIZES))
    }
    layers, masks, accuracy = torch_net(params), None, {}
    for round_, sparsity in enumerate((0.5, 0.75, 0.9)):
        kernels = {n: np.array(params[n[0]]["kernel"]) for n in NAMES}
        others = {
            n: getattr(layer, "weight_orig", layer.weight).detach().numpy().T
            for n, layer in zip(NAMES, layers, strict=True)
        }
        if round_ == 0:
            assert all(np.array_equal(kernels[n], others[n]) for n in NAMES)
        # Each framework's weights make the same masks in the other.
        theirs = (
            None
            if masks is None
            else {
                n: layer.weight_mask.numpy().T == 1 for n, layer in zip(NAMES, layers, strict=True)
            }
        )
        masks = masks_of_both(kernels, masks, sparsity)
        expected = masks_of_both(others, theirs, sparsity)
        pruned = mj.apply_masks(params, masks)
        params = trained_jax(pruned, masks, train, 6)
        pairs = [(layer, "weight") for layer in layers]
        scores = {
            pair: torch.from_numpy(np.array(others[n])).T
            for pair, n in zip(pairs, NAMES, strict=True)
        }
        prune.global_unstructured(
            pairs, pruning_method=prune.L1Unstructured, importance_scores=scores, sparsity=sparsity
        )
        net = trained_torch(layers, train, 6)
        for name, layer in zip(NAMES, layers, strict=True):
            # torch ranks [out, in], so ties alone could differ; there are none here.
            assert np.array_equal(layer.weight_mask.numpy().T == 1, expected[name])
            assert not np.asarray(params[name[0]]["kernel"])[~np.asarray(masks[name])].any()
        guesses = {
            "jax": np.asarray(forward(params, test[0])).argmax(1),
            "torch": net(torch.from_numpy(test[0])).detach().numpy().argmax(1),
        }
        accuracy[sparsity] = {n: float((g == test[1]).mean()) for n, g in guesses.items()}
    for found in accuracy.values():
        assert min(found.values()) > 0.8, accuracy
        assert abs(found["jax"] - found["torch"]) < 0.04, accuracy
