"""Times and memory of pruning on a device, beside a copy of the weights and torch's own ways."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock

import multiprune
from benchmarks.worker import Layer
from multiprune.plan import plan
from multiprune.question import Question

AMOUNT = 0.8
_THRESHOLD = 1.2815515655446004  # 80 % of standard normal numbers are closer to zero
Call = Callable[..., Any]


@dataclass
class Reading:
    """One row.

    Attributes
    ----------
    work : str
    entries : int
    dtype : str
    seconds : float, optional
        The median.
    copies : float, optional
        The same, in copies of the weights on their device.
    beyond : int, optional
        The most bytes allocated during a call, less those before it, and less what it returns.
    note : str
    """

    work: str
    entries: int = 0
    dtype: str = ""
    seconds: float | None = None
    copies: float | None = None
    beyond: int | None = None
    note: str = ""


def readings(device: torch.device, *, quick: bool) -> Iterator[Reading]:
    """Measure all sizes."""
    small, large = (1 << 14, 1 << 16) if quick else (100_000_000, 1_000_000_000)
    for entries, kind in (
        (small, torch.float32),
        (small, torch.bfloat16),
        (large, torch.float32),
        (large, torch.bfloat16),
    ):
        yield from _size(entries, kind, device, peers=entries == small or kind == torch.float32)
    for layers, side in ((8, 64), (20, 16)) if quick else ((64, 1280), (2000, 64)):
        yield from _many(layers, side, device)
    yield from _values(small, device)


def name_of(tensor: torch.Tensor) -> str:
    """Return a dtype's name."""
    return str(tensor.dtype).removeprefix("torch.")


def say(error: Exception) -> str:
    """Return a failure in a few words."""
    return f"failed: {type(error).__name__}: {error}".split("\n")[0][:160]


def measure(
    work: str,
    like: list[torch.Tensor],
    call: Call,
    copy: float | None = None,
    runs: int = 7,
    ready: Call | None = None,
) -> Reading:
    """Time a call and take its memory; it returns what it made, of what `ready` makes for it."""
    row = Reading(work, sum(t.numel() for t in like), name_of(like[0]))
    on_cuda = like[0].is_cuda
    spent: list[float] = []

    def wait() -> None:
        if on_cuda:
            torch.cuda.synchronize()

    try:
        given = [] if ready is None else [ready()]
        started = time.perf_counter()
        made = call(*given)
        wait()
        runs = 1 if time.perf_counter() - started > 1 else runs
        for _ in range(runs):
            del made, given
            gc.collect()  # pruned modules are circles
            given = [] if ready is None else [ready()]
            if on_cuda:
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
            wait()
            started = time.perf_counter()
            made = call(*given)
            wait()
            spent.append(time.perf_counter() - started)
            if on_cuda:
                # What lives on after the call is what it returns.
                after = torch.cuda.memory_allocated()
                row.beyond = torch.cuda.max_memory_allocated() - max(after, before)
        del made, given
    except Exception as error:
        row.note = say(error)
    if spent:
        row.seconds = statistics.median(spent)
        row.copies = row.seconds / copy if copy else None
    gc.collect()
    if on_cuda:
        torch.cuda.empty_cache()
    return row


def _size(
    entries: int, kind: torch.dtype, device: torch.device, *, peers: bool
) -> Iterator[Reading]:
    """Measure one weight of two dimensions."""
    weight = _normal((entries // 1000 // 8 * 8, 1000), kind, device)
    target, like = torch.empty_like(weight), [weight]
    row = measure("a copy of the weights", like, partial(target.copy_, weight))
    del target
    yield row
    copy = row.seconds
    run = partial(measure, like=like, copy=copy)
    l1 = multiprune.L1Unstructured(amount=AMOUNT)
    layer: nn.Module = Layer(weight)

    def select(question: Question, masks: list[Any] | None = None) -> Any:
        return plan(like, question, l1, masks)

    def masks() -> torch.Tensor:
        mask: torch.Tensor = select(Question(l1.target)).keep(0, weight)[0]
        return mask

    def drop_in(**options: Any) -> nn.Module:
        pruned = Layer(weight)
        asked = options or {"amount": AMOUNT}
        prune.global_unstructured([(pruned, "weight")], prune.L1Unstructured, **asked)
        return pruned

    def floor() -> list[torch.Tensor]:
        mask = weight.abs().gt_(_THRESHOLD)
        return [mask, weight * mask]

    def read() -> Any:
        pruned = drop_in()
        return pruned, pruned.weight

    yield run("known threshold: mask and product", call=floor)
    yield run("multiprune: the cut alone", call=lambda: select(Question(l1.target)))
    yield run("multiprune: masks as booleans", call=masks)
    yield run("multiprune: drop-in", call=drop_in)
    yield run("multiprune: drop-in, and the weight is read", call=read)
    again = partial(select, Question(l1.target), [masks()])
    yield run("multiprune: the cut alone, prior mask", call=again)
    del again
    if entries < 1 << 29:
        yield run("multiprune: drop-in, scope=(2, 4)", call=partial(drop_in, scope=(2, 4)))
        row_wise = partial(drop_in, scope="row", amount=AMOUNT)
        yield run('multiprune: drop-in, scope="row"', call=row_wise)
        second = [{"amount": 0.5}, {"amount": 0.5}]
        yield run("multiprune: drop-in, two rounds", call=partial(_rounds, layer, second))
    if not peers:
        return
    kept = weight.numel() - round(AMOUNT * weight.numel())
    flat = weight.view(-1)
    yield run("torch.topk of the 20 % that stay", call=lambda: flat.abs().topk(kept, sorted=False))
    yield run("torch.kthvalue", call=lambda: flat.abs().kthvalue(weight.numel() - kept), runs=1)
    yield run("torch.sort", call=lambda: flat.abs().sort(), runs=3)
    yield run("torch.nn.utils.prune", call=_stock, runs=3, ready=partial(_layers, like))


def _many(layers: int, side: int, device: torch.device) -> Iterator[Reading]:
    """Measure many weights together."""
    weights = [_normal((side, side), torch.float32, device, seed=i) for i in range(layers)]
    targets = [torch.empty_like(w) for w in weights]

    def copies() -> None:
        for target, weight in zip(targets, weights, strict=True):
            target.copy_(weight)

    def drop_in(modules: list[nn.Module], **options: Any) -> list[nn.Module]:
        pairs = [(m, "weight") for m in modules]
        prune.global_unstructured(pairs, prune.L1Unstructured, amount=AMOUNT, **options)
        return modules

    shape = f"{layers} of {side}x{side}"
    row = measure(f"{shape}: copies", weights, copies)
    yield row
    layered = partial(_layers, weights)
    run = partial(measure, like=weights, copy=row.seconds, runs=3, ready=layered)
    yield run(f"{shape}: multiprune", call=drop_in)
    yield run(f"{shape}: multiprune, keep_at_least", call=partial(drop_in, keep_at_least=0.19))
    yield run(f'{shape}: multiprune, scope="tensor"', call=partial(drop_in, scope="tensor"))
    yield run(f"{shape}: torch.nn.utils.prune", call=_stock)


def _values(entries: int, device: torch.device) -> Iterator[Reading]:
    """Measure values that are hard on counters."""
    normal = _normal((entries // 1000, 1000), torch.float32, device)
    l1 = multiprune.L1Unstructured(amount=AMOUNT)
    for name, weight in (
        ("sorted", normal.view(-1).sort().values.view_as(normal)),
        ("constant", torch.ones_like(normal)),
        ("two values", normal.sign()),
        ("all NaN", torch.full_like(normal, torch.nan)),
    ):
        call = partial(plan, [weight], Question(l1.target), l1)
        yield measure(f"multiprune: the cut alone, {name}", [weight], call)


def _rounds(layer: nn.Module, rounds: list[dict[str, Any]]) -> nn.Module:
    pruned = Layer(layer.get_parameter("weight").data)
    for options in rounds:
        prune.global_unstructured([(pruned, "weight")], prune.L1Unstructured, **options)
    return pruned


def _layers(weights: list[torch.Tensor]) -> list[nn.Module]:
    return [Layer(weight) for weight in weights]


def _stock(modules: list[nn.Module]) -> list[nn.Module]:
    pairs: Any = [(m, "weight") for m in modules]
    stock.global_unstructured(pairs, stock.L1Unstructured, amount=AMOUNT)
    return modules


def _normal(
    shape: tuple[int, ...], kind: torch.dtype, device: torch.device, seed: int = 20
) -> torch.Tensor:
    generator = torch.Generator(device).manual_seed(seed)
    return torch.empty(shape, dtype=kind, device=device).normal_(generator=generator)
