"""Laws: on torch tensors and modules the masks are the oracle's, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from multiprune_conformance import oracle
from multiprune_torch import prune
from strategies import AMOUNTS, FLOATS, dtype, problems
from torch import nn
from torch_cases import agree, same_bits, tensor_of, tensors_of

import multiprune

SEEDS = st.integers(0, 2**64 - 1)


def modules_of(tensors, masks):
    """One module for each tensor, with its prior mask, and the pairs that name them."""
    pairs = []
    for tensor, mask in zip(tensors, masks, strict=True):
        module = nn.Module()
        module.w = nn.Parameter(tensor, requires_grad=False)
        if mask is not None:
            gone = mask.numel() - int(mask.sum())
            prune.l1_unstructured(module, "w", gone, importance_scores=mask.to(torch.uint8))
        pairs.append((module, "w"))
    return pairs


def by_module(tensors, masks, method=prune.L1Unstructured, scores=None, **options):
    """Masks through the drop-in, with the dtypes that they were registered in checked."""
    pairs = modules_of(tensors, masks)
    if scores is not None:
        scores = dict(zip(pairs, scores, strict=True))
    prune.global_unstructured(pairs, method, scores, **options)
    for (module, _), tensor in zip(pairs, tensors, strict=True):
        real = tensor.dtype.to_real() if tensor.is_complex() else tensor.dtype
        assert module.w_mask.dtype == real
        expected = torch.where(module.w_mask.to(torch.bool), tensor, 0)
        assert module.w.dtype == tensor.dtype
        assert same_bits(module.w, expected)
    return [module.w_mask for module, _ in pairs]


@given(problem=problems(), amount=AMOUNTS, signed=st.booleans())
def test_masks_of_tensors_equal_the_oracle(problem, amount, signed):
    tensors, masks = tensors_of(problem)
    agree(
        lambda: (
            multiprune.global_unstructured(tensors, amount=amount, masks=masks, signed=signed).masks
        ),
        lambda: oracle.global_unstructured(
            problem[0], amount=amount, masks=problem[1], signed=signed
        ),
    )


@given(problem=problems(), amount=AMOUNTS)
def test_masks_of_modules_equal_the_oracle(problem, amount):
    tensors, masks = tensors_of(problem)
    agree(
        lambda: by_module(tensors, masks, amount=amount),
        lambda: oracle.global_unstructured(problem[0], amount=amount, masks=problem[1]),
    )


@given(problem=problems(), sparsity=st.floats(0, 1), data=st.data())
def test_masks_by_scores_equal_the_oracle(problem, sparsity, data):
    arrays, prior = problem
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    kind = data.draw(st.sampled_from(FLOATS))
    scores = [np.round(rng.standard_normal(a.shape), 1).astype(dtype(kind)) for a in arrays]
    tensors, masks = tensors_of(problem)
    agree(
        lambda: by_module(
            tensors, masks, scores=[tensor_of(np.asarray(s)) for s in scores], sparsity=sparsity
        ),
        lambda: oracle.global_unstructured(scores, sparsity=sparsity, masks=prior),
    )


@given(problem=problems(), amount=AMOUNTS, seed=SEEDS)
def test_seeded_masks_equal_the_oracle(problem, amount, seed):
    tensors, masks = tensors_of(problem)

    def reference():
        return oracle.random_unstructured(
            [a.shape for a in problem[0]], seed=seed, amount=amount, masks=problem[1]
        )

    method = multiprune.RandomUnstructured
    agree(
        lambda: (
            multiprune.global_unstructured(
                tensors, method, amount=amount, masks=masks, seed=seed
            ).masks
        ),
        reference,
    )
    agree(
        lambda: by_module(tensors, masks, prune.RandomUnstructured, amount=amount, seed=seed),
        reference,
    )


@given(problem=problems(mixed=False, max_tensors=1), amount=AMOUNTS, seed=SEEDS, data=st.data())
def test_seeded_channels_equal_the_oracle(problem, amount, seed, data):
    (array,), (prior,) = problem
    dim = data.draw(st.integers(-array.ndim, array.ndim - 1)) if array.ndim > 1 else 0
    tensors, masks = tensors_of(problem)

    def run():
        ((module, _),) = modules_of(tensors, masks)
        return [prune.random_structured(module, "w", amount, dim, seed=seed).w_mask]

    prior = np.ones(array.shape, bool) if prior is None else prior
    agree(run, lambda: [oracle.random_structured(prior, dim, seed=seed, amount=amount)])


@given(data=st.data(), amount=AMOUNTS, seed=st.integers(0, 99))
def test_complex_entries_rank_by_their_modulus(data, amount, seed):
    kind = data.draw(st.sampled_from([torch.complex64, torch.complex128]))
    generator = torch.Generator().manual_seed(seed)
    tensors = [
        torch.view_as_complex(
            torch.randn(*shape, 2, generator=generator).to(kind.to_real()).round()
        )
        for shape in [(3, 4), (7,), ()]
    ]
    prior = [None, np.arange(7) % 2 == 0, None]
    masks = [None if m is None else torch.from_numpy(m) for m in prior]
    moduli = [t.abs().numpy() for t in tensors]
    agree(
        lambda: by_module(tensors, masks, amount=amount),
        lambda: oracle.global_unstructured(moduli, amount=amount, masks=prior),
    )


@pytest.mark.parametrize("rounds", [1, 2])
def test_complex_parameters_take_channels_and_given_masks_without_a_warning(rounds):
    module = nn.Module()
    module.w = nn.Parameter(torch.tensor([[1 + 1j, 3j], [0.5, 0.1j], [9.0, 1.0]]))
    for _ in range(rounds):
        prune.ln_structured(module, "w", 1 / 3, 2, 0)
        prune.random_structured(module, "w", 0, 1)
        prune.custom_from_mask(module, "w", torch.tensor([[1, 0], [1, 1], [1, 1]]))
    assert module.w_mask.dtype == torch.float32
    assert module.w_mask.tolist() == [[2 - rounds, 0], [0, 0], [1, 1]]
