"""Pools beside what their users write today: the jobs of these rows, in the worker's process.

Groups of four beside ``torch.topk`` per group and torch.ao's sparsifier, and under ``jit`` beside
``jax.lax.top_k``; rows beside a stable sort of each; bounds beside no bounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Job = dict[str, Any]
_SEED = 20
_CHUNK = 1 << 24


def groups(job: Job) -> Job:
    """Time 2:4 masks of one weight: "multiprune", "topk" or "ao"."""
    weight = _weight(job)
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "multiprune": _ours(scope=(2, 4)),
        "topk": _topk_in_groups,
        "ao": _sparsifier,
    }
    way = ways[job["side"]]
    way(weight[:8])
    seconds, mask = _timed(lambda: way(weight))
    return {"seconds": [seconds], "done": {"kept": int(mask.count_nonzero())}}


def rows(job: Job) -> Job:
    """Time masks that keep half of each row: "multiprune" or "sort"."""
    weight = _weight(job)
    half = _ours(scope="row", amount=0.5)
    way = half if job["side"] == "multiprune" else _sorted_rows
    way(weight[:8])
    seconds, mask = _timed(lambda: way(weight))
    return {"seconds": [seconds], "done": {"mask": int(mask.sum())}}


def bounds(job: Job) -> Job:
    """Time a global pruning, "multiprune" with bounds, "free" without."""
    from multiprune_torch import prune

    torch.manual_seed(_SEED)
    layers = []
    for i in range(job["layers"]):
        # Of different scales, so that bounds hold some of them.
        weight = torch.randn(job["rows"], job["cols"]).mul_(0.2 + i / job["layers"])
        layers.append(_layer(weight))
    options: Any = {"keep_at_least": 0.05} if job["side"] == "multiprune" else {}
    pairs = [(layer, "weight") for layer in layers]

    def once() -> Any:
        return prune.global_unstructured(pairs, prune.L1Unstructured, sparsity=0.8, **options)

    return {"seconds": [_timed(once)[0]]}


def jit(job: Job) -> Job:
    """Time 2:4 masks under ``jit``: "multiprune" or "top_k"; compiling lies outside the clock."""
    import jax
    import jax.numpy as jnp
    import multiprune_jax as mj

    def ours(weight: jax.Array) -> Any:
        return mj.global_unstructured({"w": weight}, scope=(2, 4), dim=-1).masks["w"]

    def peer(weight: jax.Array) -> Any:
        grouped = jnp.abs(weight).reshape(-1, 4)
        best = jax.lax.top_k(grouped, 2)[1]
        place = jnp.arange(grouped.shape[0])[:, None]
        return jnp.zeros(grouped.shape, bool).at[place, best].set(True).reshape(weight.shape)

    ready: Any = jax.block_until_ready
    weight = jax.random.normal(jax.random.key(_SEED), (job["rows"], job["cols"]))
    way = jax.jit(ours if job["side"] == "multiprune" else peer).lower(weight).compile()
    ready(way(weight))
    seconds, mask = _timed(lambda: ready(way(weight)))
    return {"seconds": [seconds], "done": {"kept": int(mask.sum())}}


def _ours(**options: Any) -> Callable[[Tensor], Tensor]:
    from multiprune_torch import prune

    def way(weight: Tensor) -> Tensor:
        layer = _layer(weight)
        prune.global_unstructured([(layer, "weight")], prune.L1Unstructured, **options)
        return layer.get_buffer("weight_mask")

    return way


@torch.no_grad()
def _topk_in_groups(weight: Tensor) -> Tensor:
    mask = torch.ones_like(weight)
    # In parts: whole, the places of 100 M entries alone take 400 MB.
    for some, part in zip(weight.view(-1).split(_CHUNK), mask.view(-1).split(_CHUNK), strict=True):
        places = some.abs().view(-1, 4).topk(2, dim=1, largest=False).indices
        part.view(-1, 4).scatter_(1, places, 0)
    return mask


def _sparsifier(weight: Tensor) -> Tensor:
    from torch.ao import pruning

    model = nn.Sequential(nn.Linear(1, 1, bias=False))
    model[0].weight = nn.Parameter(weight)
    sparsifier: Any = pruning.WeightNormSparsifier(  # type: ignore[attr-defined]
        sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2
    )
    sparsifier.prepare(model, [{"tensor_fqn": "0.weight"}])
    sparsifier.step()
    parametrized: Any = model[0]
    mask: Tensor = parametrized.parametrizations.weight[0].mask
    return mask


@torch.no_grad()
def _sorted_rows(weight: Tensor) -> Tensor:
    order = weight.abs().sort(dim=1, stable=True).indices
    return torch.ones_like(weight).scatter_(1, order[:, : weight.shape[1] // 2], 0)


def _weight(job: Job) -> Tensor:
    torch.manual_seed(_SEED)
    return torch.randn(job["rows"], job["cols"])


def _layer(weight: Tensor) -> nn.Module:
    layer = nn.Module()
    layer.weight = nn.Parameter(weight)
    return layer


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result
