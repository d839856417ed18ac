"""One measurement in a process of its own: a job as JSON in, raw figures as JSON out.

``python -m benchmarks.worker '{"kind": "prune", "side": "torch", ...}'``
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from benchmarks import beside_jax, pools
from benchmarks.memory import Watch

Job = dict[str, Any]
Result = TypeVar("Result")
AMOUNT = 0.8
#: 80 % of standard normal numbers lie closer to zero than this.
_THRESHOLD = 1.2815515655446004
_SEED = 20


class Layer(nn.Module):
    """A module that is nothing but its weight."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)


def main() -> None:
    """Run the job of the command line and print what it measured."""
    job: Job = json.loads(sys.argv[1])
    kinds: dict[str, Callable[[Job], Job]] = {
        "prune": _prune,
        "local": _local,
        "floor": _floor,
        "copy": _copy,
        "forward": _forward,
        "groups": pools.groups,
        "rows": pools.rows,
        "bounds": pools.bounds,
        "jit-groups": pools.jit,
        "jax": beside_jax.prune,
        "jax-compile": beside_jax.compiling,
    }
    figures = kinds[job["kind"]](job)
    print(json.dumps({**figures, "threads": torch.get_num_threads()}))


def _prune(job: Job) -> Job:
    """Time whole rounds of global pruning, each with every weight read once and held."""
    prune = _pruner(job["side"])
    random = job.get("method") == "random"
    method = prune.RandomUnstructured if random else prune.L1Unstructured

    def once(layers: list[Layer], amount: float) -> list[Tensor]:
        pairs = [(layer, "weight") for layer in layers]
        prune.global_unstructured(pairs, pruning_method=method, amount=amount)
        return [layer.weight for layer in layers]

    once(_build({**job, "layers": 2, "rows": 8, "cols": 8}), AMOUNT)
    torch.manual_seed(_SEED)
    layers = _build(job)
    watch = Watch(job["device"])
    base, born = watch.held(), watch.live()
    seconds, peaks, live = [], [], []
    for _ in range(job.get("rounds", 1)):
        watch.reset()
        spent, results = _timed(job, lambda: once(layers, job.get("amount", AMOUNT)))
        seconds.append(spent)
        peaks.append(watch.peak() - base)
        live.append(watch.live() - born)
        del results
    size = sum(layer.weight.numel() * layer.weight.element_size() for layer in layers)
    # So that nobody is praised for speed who did less: both sides have to agree on these.
    masks = [layer.get_buffer("weight_mask") for layer in layers]
    done = {"pruned": sum(int((mask == 0).sum()) for mask in masks), "mask": str(masks[0].dtype)}
    return {"seconds": seconds, "peak": peaks, "live": live, "weights": size, "done": done}


def _local(job: Job) -> Job:
    """Time local pruning of one layer."""
    prune = _pruner(job["side"])

    def once(layer: Layer) -> Tensor:
        prune.l1_unstructured(layer, "weight", amount=AMOUNT)
        return layer.weight

    once(_build({**job, "rows": 8, "cols": 8})[0])
    layer = _build(job)[0]
    return {"seconds": [_timed(job, lambda: once(layer))[0]]}


def _floor(job: Job) -> Job:
    """Time what nobody can save: writing the masks and the pruned copies, threshold known."""

    @torch.no_grad()
    def once(layers: list[Layer]) -> list[Tensor]:
        written = []
        for layer in layers:
            mask = layer.weight.abs().gt_(_THRESHOLD)
            written += [mask, layer.weight * mask]
        return written

    once(_build({**job, "layers": 2, "rows": 8, "cols": 8}))
    layers = _build(job)
    return {"seconds": [_timed(job, lambda: once(layers))[0]]}


@torch.no_grad()
def _copy(job: Job) -> Job:
    """Time one copy of the weights on their device, into memory that is there already."""
    source = [layer.weight for layer in _build(job)]
    target = [torch.zeros_like(weight) for weight in source]

    def once() -> None:
        for into, weight in zip(target, source, strict=True):
            into.copy_(weight)

    once()
    return {"seconds": [_timed(job, once)[0]]}


def _forward(job: Job) -> Job:
    """Time layers in use: forward and backward in training, forward alone in evaluation."""
    torch.manual_seed(_SEED)
    linears = [
        nn.Linear(job["cols"], job["rows"], device=job["device"]) for _ in range(job["layers"])
    ]
    if job["side"] != "dense":
        for linear in linears:
            _pruner(job["side"]).l1_unstructured(linear, "weight", amount=AMOUNT)
    layer = linears[0] if len(linears) == 1 else nn.Sequential(*linears)
    batch = torch.randn(job["batch"], job["cols"], device=job["device"])

    def train() -> None:
        layer.zero_grad()
        torch.autograd.backward(layer(batch).sum())

    @torch.no_grad()
    def evaluate() -> None:
        layer(batch)

    figures = {}
    for name, call in (("train", train), ("eval", evaluate)):
        layer.train(name == "train")
        ours = job["side"] == "multiprune"
        with _pruner("multiprune").cached() if ours else nullcontext():
            for _ in range(5):
                call()
            spent = sorted(_timed(job, call)[0] for _ in range(job["calls"]))
        figures[name] = spent[len(spent) // 2]
    return figures


def _pruner(side: str) -> Any:
    """Return the module under test: the drop-in, or torch's own."""
    name = {"multiprune": "multiprune_torch.prune", "torch": "torch.nn.utils.prune"}[side]
    return importlib.import_module(name)


def _build(job: Job) -> list[Layer]:
    """Return layers of random normal weights, filled in place so that no second copy is made."""
    generator = torch.Generator(job["device"]).manual_seed(_SEED)
    dtype = getattr(torch, job["dtype"])
    layers = []
    for _ in range(job["layers"]):
        weight = torch.empty(job["rows"], job["cols"], dtype=dtype, device=job["device"])
        layers.append(Layer(weight.normal_(generator=generator)))
    return layers


def _timed(job: Job, call: Callable[[], Result]) -> tuple[float, Result]:
    """Return the seconds that a call takes and its result; on CUDA, until the device is done."""
    on_cuda = job["device"] == "cuda"
    if on_cuda:
        torch.cuda.synchronize()
    started = time.perf_counter()
    result = call()
    if on_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started, result


if __name__ == "__main__":
    main()
