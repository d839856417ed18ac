"""JAX on its default device: ours with arrays at hand and under ``jit``, beside ``lax.top_k``.

Started by ``benchmarks.device`` in a process of its own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.device_times import AMOUNT, Reading, say


def readings(quick: bool) -> Iterator[Reading]:
    """Measure all sizes; what fails is a row."""
    try:
        import jax
        import jax.numpy as jnp
        import multiprune_jax as mj
    except ImportError as error:
        yield Reading("jax", note=say(error))
        return
    ready: Any = jax.block_until_ready
    where = str(jax.devices()[0])

    def measured(work: str, call: Callable[[Any], Any], weight: Any, **known: Any) -> Reading:
        row = Reading(work, weight.size, str(weight.dtype), note=f"jax {jax.__version__}, {where}")
        copy = known.get("copy")
        spent = []
        try:
            started = time.perf_counter()
            ready(call(weight))
            row.note += f", first call {time.perf_counter() - started:.1f} s"
            for _ in range(5):
                started = time.perf_counter()
                ready(call(weight))
                spent.append(time.perf_counter() - started)
            row.seconds = statistics.median(spent)
            row.copies = row.seconds / copy if copy else None
        except Exception as error:
            row.note = say(error)
        return row

    def eager(weight: Any) -> Any:
        return mj.global_unstructured({"w": weight}, amount=AMOUNT)[:2]

    def top_k(weight: Any) -> Any:
        size: int = weight.size
        return jax.lax.top_k(jnp.abs(weight).ravel(), size - round(AMOUNT * size))

    copied = jax.jit(lambda w: w + 0)
    for entries in (1 << 14,) if quick else (22_000_000, 100_000_000):
        shape = entries // 1000, 1000
        weight = ready(jax.random.normal(jax.random.key(20), shape, jnp.float32))
        row = measured("jax: a copy of the weights", copied, weight)
        yield row
        known = {"copy": row.seconds}
        yield measured("multiprune_jax under jit", jax.jit(eager), weight, **known)
        yield measured("multiprune_jax, eager", eager, weight, **known)
        yield measured("jax.lax.top_k of the 20 % that stay", jax.jit(top_k), weight, **known)
        yield measured(
            "jax.numpy.sort", jax.jit(lambda w: jnp.sort(jnp.abs(w).ravel())), weight, **known
        )
