"""A pruned matrix goes to torch's compressed rows and comes back, its places being the mask."""

from __future__ import annotations

import pytest
import torch
from multiprune_torch import prune
from multiprune_torch.sparse import to_csr
from torch import nn

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.complex64]
SHAPES = [(0, 0), (0, 3), (3, 0), (1, 1), (37, 53), (1, 200), (200, 1)]


def bits(tensor):
    return tensor.contiguous().view(-1).view(torch.uint8).tolist() if tensor.numel() else []


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_what_is_kept_comes_back_to_the_bit(dtype, shape):
    generator = torch.Generator().manual_seed(0)
    values = (torch.randn(shape, generator=generator) * 9).to(dtype)
    mask = torch.rand(shape, generator=generator) < 0.3
    before = bits(values)
    found = to_csr(values, mask.to(torch.float32))
    assert found.layout is torch.sparse_csr
    assert (tuple(found.shape), found.dtype) == (shape, dtype)
    assert bits(found.values()) == bits(values[mask])
    rows = torch.arange(shape[0]).repeat_interleave(found.crow_indices().diff())
    places = torch.zeros(shape, dtype=torch.bool)
    places[rows, found.col_indices()] = True
    assert torch.equal(places, mask)
    assert torch.equal(found.to_dense(), torch.where(mask, values, torch.zeros((), dtype=dtype)))
    assert bits(values) == before


def test_without_a_mask_everything_but_plus_zero_is_stored():
    values = torch.tensor([[0.0, -0.0, torch.nan], [0, 1e-42, -torch.inf], [0, 0, 0]])
    for matrix in (values, values.t().contiguous().t()):
        found = to_csr(matrix)
        assert bits(found.values()) == bits(values[[0, 0, 1, 1], [1, 2, 1, 2]])
        assert found.crow_indices().tolist() == [0, 2, 4, 4]


def test_a_pruned_layer_multiplies_as_it_did():
    layer = nn.Linear(30, 40, bias=False)
    prune.l1_unstructured(layer, "weight", amount=0.8)
    found = to_csr(layer.weight_orig, layer.weight_mask)
    assert found.values().numel() == int(layer.weight_mask.sum()) == 240
    assert not found.requires_grad
    assert torch.equal(found.to_dense(), layer.weight)
    inputs = torch.randn(30)
    torch.testing.assert_close(found @ inputs, layer(inputs))
    assert torch.equal(to_csr(layer.weight).values(), found.values())


def test_what_does_not_fit_is_refused():
    values = torch.ones(3, 4)
    with pytest.raises(IndexError, match="flatten"):
        to_csr(torch.ones(3, 2, 2))
    with pytest.raises(ValueError, match="MASK-04"):
        to_csr(values, torch.ones(4, 3))
    with pytest.raises(ValueError, match="MASK-03"):
        to_csr(values, values / 2)
