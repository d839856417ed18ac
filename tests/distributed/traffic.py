"""What goes around: few small sums, and never anything of a parameter's size."""

from __future__ import annotations

from contextlib import contextmanager
from unittest import mock

import nets
import torch
from multiprune_torch import prune
from multiprune_torch.distributed.counting import Shard, ShardedEntries
from multiprune_torch.distributed.layout import layout_of
from torch import distributed
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.sharded import traffic
from multiprune.amount import Target
from multiprune.question import Question
from multiprune.scope import Pools

CALLS, BYTES = 12, 128 << 10
RANDOM = {"method": prune.RandomUnstructured}


class Collectives(TorchDispatchMode):
    """Every collective that torch dispatches, functional ones of DTensors included."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, int]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        if name.startswith(("c10d.", "c10d_functional.", "_c10d_functional.")):
            flat = torch.utils._pytree.tree_leaves((args, kwargs))
            size = sum(t.numel() * t.element_size() for t in flat if isinstance(t, torch.Tensor))
            self.seen.append((name.split(".")[1], size))
        return func(*args, **(kwargs or {}))


@contextmanager
def watched():
    """Collectives as torch dispatches them, and as they are called by name."""
    called: list[str] = []

    def note(name):
        original = getattr(distributed, name)

        def run(*args, **kwargs):
            called.append(name)
            return original(*args, **kwargs)

        return mock.patch.object(distributed, name, run)

    names = ["all_gather", "all_gather_object", "broadcast", "broadcast_object_list"]
    names += ["all_to_all", "gather", "reduce_scatter_tensor", "all_gather_into_tensor", "send"]
    patches = [note(name) for name in names]
    for patch in patches:
        patch.start()
    try:
        with Collectives() as mode:
            yield mode.seen
    finally:
        for patch in patches:
            patch.stop()
    assert not called, called


def check(seen, calls=CALLS):
    assert {name for name, _ in seen} == {"allreduce_"}, seen
    assert len(seen) <= calls, seen
    assert sum(size for _, size in seen) <= BYTES, seen


def case_a_call_is_a_dozen_small_sums():
    for cut in nets.CUTS:
        for kind in ("normal", "constant"):
            for dtype in (torch.float32, torch.bfloat16):
                model = cut(nets.net(kind, dtype))
                for _ in range(2):
                    with watched() as seen:
                        prune.prune_model(model, amount=0.5)
                    check(seen)


def case_nothing_of_the_size_of_a_parameter():
    """Of a model that is larger than all that may be sent."""
    for cut in (nets.fsdp, nets.hsdp, nets.tensor_parallel, nets.fsdp_and_tp):
        model = cut(nets.net(width=4096))
        for verb in (
            lambda model=model: prune.prune_model(model, amount=0.5),
            lambda model=model: prune.prune_model(model, amount=0.5, seed=1, **RANDOM),
            lambda model=model: prune.report(model),
        ):
            with watched() as seen:
                verb()
            check(seen, calls=20)
            assert max(size for _, size in seen) < 4096 * 6 * 4


def case_wide_keys_take_twenty():
    model = nets.fsdp(nets.net("constant", torch.float64))
    with watched() as seen:
        prune.prune_model(model, amount=0.5)
    check(seen, calls=20)
    assert len(seen) > 6


def case_the_benchmark_writes_down_what_is_sent():
    """Its table of large models makes the same exchanges as a pruning does."""
    for kind, dtype in (("normal", torch.float32), ("constant", torch.bfloat16)):
        shards = [
            Shard(n, layout_of(w, 0, n), w.detach(), None, False)
            for n, w in nets.weights(nets.net(kind, dtype)).items()
        ]
        entries = ShardedEntries(shards)
        entries.own([0] * len(shards), None)
        pools = Pools.together([s.scores.numel() for s in shards])
        counted, _ = entries.engines(Question(Target(0.8)), pools, [s.where for s in shards])
        for cut in (nets.fsdp, nets.hsdp):
            ledger, _ = traffic(counted, len(shards), replicas=cut is nets.hsdp)
            model = cut(nets.net(kind, dtype))
            with watched() as seen:
                prune.prune_model(model, amount=0.8)
            assert len(seen) == ledger.calls
            assert sum(size for _, size in seen) == ledger.sent


def case_masks_that_are_whole_travel_as_bits():
    """Of a model that was pruned before it was sharded: an eighth of a byte an entry."""
    model = nets.net()
    prune.prune_model(model, amount=0.5)
    model = nets.fsdp(model)
    with watched() as seen:
        prune.prune_model(model, amount=0.5)
    check(seen, calls=CALLS + 3)
    sizes = [size for _, size in seen]
    assert all(-(-n // 8) in sizes for n in (60, 70, 21)), sizes


def case_training_is_left_alone():
    """Masking and going on costs no exchange of its own: as many as the dense model has."""
    counts = []
    for pruned in (False, True):
        model = nets.fsdp(nets.net())
        if pruned:
            prune.prune_model(model, amount=0.5)
        optimizer = torch.optim.AdamW(model.parameters())
        with Collectives() as mode:
            model(torch.ones(4, 6)).sum().backward()
            optimizer.step()
        counts.append(len(mode.seen))
    assert counts[0] == counts[1]


def case_plain_modules_exchange_nothing():
    model = nets.net()
    with watched() as seen:
        prune.prune_model(model, amount=0.5)
        prune.report(model)
        prune.remove_all(model)
    assert not seen
