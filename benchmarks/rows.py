"""The rows of the table: which measurements each needs, and how it reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks import readings
from benchmarks.cases import Measurement
from benchmarks.readings import Outcome, Raw


@dataclass(frozen=True)
class Row:
    """A row of the table: which measurements it needs and how it reads them.

    The title is a template: the sizes of the first measurement are put in, so that it says what
    really ran. `on` are the devices on which it is measured.
    """

    name: str
    template: str
    needs: tuple[str, ...]
    read: Callable[[Raw, Mapping[str, Measurement]], Outcome]
    on: tuple[str, ...] = ("cpu", "cuda")

    def title(self, sizes: Mapping[str, Measurement]) -> str:
        """Return the title for the sizes measured."""
        measurement = sizes[self.needs[0]]
        return self.template.format(n=_count(measurement.entries), **measurement.job)


def _count(entries: int) -> str:
    for unit, letter in ((10**9, "G"), (10**6, "M")):
        if entries >= unit:
            return f"{entries / unit:.3g} {letter}"
    return f"{entries:,}"


CPU, CUDA = ("cpu",), ("cuda",)
ROWS = (
    Row("10m", "{n} float32, {layers} layers", ("10m",), readings.faster("10m", 20)),
    Row("100m", "{n} float32, {layers} layers", ("100m",), readings.faster("100m", 25)),
    Row("floor", "  in floors (see README)", ("100m", "floor"), readings.floor),
    Row("memory", "  peak memory above the model", ("100m",), readings.memory),
    Row("copy", "  in copies on the device", ("100m", "copy"), readings.copies, CUDA),
    Row("1g", "{n} float32, {layers} layers", ("1g", "100m"), readings.huge),
    Row("bf16", "{n} bfloat16, {layers} layers", ("bf16",), readings.faster("bf16", 20)),
    Row("small", "{layers:,} layers of {rows}x{cols}", ("small",), readings.faster("small", 3)),
    Row("second", "{n} float32, second round", ("rounds",), readings.rounds(1)),
    Row("fifth", "{n} float32, fifth round", ("rounds",), readings.rounds(4)),
    Row("growth", "  memory held after five rounds", ("rounds",), readings.growth),
    Row("peak", "  peak memory in the fifth round", ("rounds",), readings.fifth_peak),
    Row("local", "one {rows}x{cols} layer, local", ("local",), readings.faster("local")),
    Row("random", "{n} float32, random", ("random",), readings.faster("random")),
    Row(
        "groups-topk",
        "2:4, {n} float32, beside torch.topk per group",
        ("groups",),
        readings.beside("groups", "topk", 3),
        CPU,
    ),
    Row(
        "groups-ao",
        "  beside torch.ao WeightNormSparsifier",
        ("groups",),
        readings.beside("groups", "ao", 6),
        CPU,
    ),
    Row(
        "rows",
        "half of each row, {rows}x{cols}, beside a stable sort",
        ("rows",),
        readings.beside("rows", "sort", 8),
        CPU,
    ),
    Row("bounds", "{layers} tensors, {n}, keep_at_least", ("bounds",), readings.bounds, CPU),
    Row(
        "jit-groups",
        "JAX jit 2:4, {n} float32, beside top_k per group",
        ("jit-groups",),
        readings.beside("jit-groups", "top_k", 10),
        CPU,
    ),
    Row("train1", "forward + backward, batch 1", ("forward1",), readings.forward(1, "train")),
    Row("train32", "forward + backward, batch 32", ("forward32",), readings.forward(32, "train")),
    Row("eval1", "forward in eval, batch 1", ("forward1",), readings.forward(1, "eval")),
    Row("modules", "  {layers} of {rows}x{cols}, per module", ("modules",), readings.per_module),
    Row("eval32", "forward in eval, batch 32", ("forward32",), readings.forward(32, "eval")),
    *(
        Row(
            f"jax-{ours}-{peer}",
            f"JAX {ours}, {{n}} float32, beside {peer}",
            ("jax",),
            readings.in_jax(ours, peer, least),
            CPU,
        )
        for ours, peer, least in (
            ("eager", "top_k", 100),
            ("eager", "argsort", 40),
            ("jit", "top_k", 15),
            ("jit", "argsort", 15),
        )
    ),
    Row("jax-memory", "  eager peak, beside top_k", ("jax",), readings.memory_in_jax, CPU),
    Row(
        "jax-compile",
        "JAX compiling, {layers} leaves, beside known",
        ("jax-compile",),
        readings.compiling,
        CPU,
    ),
)
