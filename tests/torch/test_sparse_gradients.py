"""Sparse gradients of embeddings and gathers reach the original, masked."""

import pytest
import torch
from multiprune_torch import prune
from torch import nn

IDS = torch.tensor([[0, 2], [2, 5]])


def embedding(kind, **options):
    torch.manual_seed(0)
    return kind(8, 4, sparse=True, **options)


def dense_gradient(module, loss):
    """Return what the same gives with dense gradients."""
    twin = type(module)(8, 4, sparse=False)
    prune.custom_from_mask(twin, "weight", module.weight_mask)
    twin.weight_orig.data.copy_(module.weight_orig)
    loss(twin).backward()
    return twin.weight_orig.grad


@pytest.mark.parametrize("dtype", [None, torch.bool, torch.uint8])
@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_a_sparse_gradient_stays_sparse_and_is_masked(kind, dtype):
    module = prune.l1_unstructured(embedding(kind), "weight", 0.5, mask_dtype=dtype)

    def loss(m):
        return (m(IDS) ** 2).sum()

    loss(module).backward()
    gradient = module.weight_orig.grad
    assert gradient.is_sparse
    assert torch.equal(gradient.to_dense(), dense_gradient(module, loss))
    assert (gradient.to_dense()[module.weight_mask == 0] == 0).all()
    before = module.weight.detach().clone()
    torch.optim.SparseAdam([module.weight_orig], lr=0.1).step()
    assert not torch.equal(module.weight, before)
    assert (module.weight[module.weight_mask == 0] == 0).all()


@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
@pytest.mark.parametrize("optimizer", [torch.optim.SparseAdam, torch.optim.SGD])
def test_frozen_zeros_stay_under_sparse_gradients(kind, optimizer):
    module = prune.l1_unstructured(embedding(kind), "weight", 0.5)
    frozen = prune.freeze(module)
    zeros = module.weight == 0
    opt = optimizer(module.parameters(), lr=0.1)
    for _ in range(3):
        opt.zero_grad()
        (module(IDS) ** 2).sum().backward()
        assert module.weight.grad.is_sparse
        opt.step()
    assert torch.equal(module.weight == 0, zeros)
    frozen.release()


@pytest.mark.parametrize("read", [lambda m: m.weight, lambda m: dict(w=m.weight)["w"]])
def test_a_gather_with_sparse_gradients_trains_any_weight(read):
    module = prune.l1_unstructured(nn.Linear(4, 8), "weight", 0.5)
    index = torch.tensor([[0, 1, 2, 3]])
    torch.gather(read(module), 0, index, sparse_grad=True).pow(2).sum().backward()
    sparse = module.weight_orig.grad.clone()
    module.weight_orig.grad = None
    torch.gather(read(module), 0, index).pow(2).sum().backward()
    assert torch.equal(sparse.to_dense(), module.weight_orig.grad)


class Looked(nn.Module):
    """A module of the user's, whose forward takes sparse gradients."""

    def __init__(self, how):
        super().__init__()
        self.weight, self.how = nn.Parameter(torch.randn(8, 4)), how

    def forward(self, ids):
        if self.how == "lookup":
            return nn.functional.embedding(ids, self.weight, sparse=True).sum()
        index = ids[:, :1].expand(-1, 4)
        return torch.gather(self.weight, 0, index, sparse_grad=True).pow(2).sum()


@pytest.mark.parametrize("how", ["lookup", "gather"])
def test_a_module_of_the_users_trains_under_sparse_gradients(how):
    module = prune.l1_unstructured(Looked(how), "weight", 0.5)
    module(IDS).backward()
    assert module.weight_orig.grad.is_sparse
    gradient = module.weight_orig.grad.to_dense()
    assert (gradient[module.weight_mask == 0] == 0).all()
    assert gradient.any()
