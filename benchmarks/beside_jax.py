"""JAX beside what its users write today: the jobs of these rows, in the worker's process.

The other ways rank the concatenated magnitudes by ``jax.lax.top_k`` or ``jnp.argsort``, which in
JAX go to the lower index in ties: all masks are equal, and a run in which they are not fails.
JAX is imported when a job starts, so that the others do without it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.memory import Watch

if TYPE_CHECKING:
    import jax

Job = dict[str, Any]
#: Ours with arrays at hand and inside ``jit``, and the two peers, inside ``jit`` as well.
WAYS = ("eager", "jit", "top_k", "argsort")
_SEED = 20


def prune(job: Job) -> Job:
    """Time one pruning, its pruned copies and masks held; compiling lies outside the clock."""
    import jax

    from multiprune.packed import digest, pack

    ready: Any = jax.block_until_ready
    way = _way(job["side"], job["amount"])
    ready(way(_params(job, rows=2)))
    tree = ready(_params(job, rows=job["rows"]))
    if job["side"] != "eager":
        way = jax.jit(way).lower(tree).compile()
    watch = Watch("cpu")
    watch.reset()
    base = watch.held()
    started = time.perf_counter()
    pruned, masks = ready(way(tree))
    seconds = time.perf_counter() - started
    peak = watch.peak() - base
    returned = sum(leaf.nbytes for leaf in [*pruned.values(), *masks.values()])
    packed = {n: (m.shape, pack(np.asarray(m).tobytes())) for n, m in masks.items()}
    done = {"masks": digest(packed)}
    return {"seconds": [seconds], "peak": [peak], "returned": returned, "done": done}


def compiling(job: Job) -> Job:
    """Time tracing and compiling for leaves of distinct shapes."""
    import jax
    import jax.numpy as jnp

    def known(tree: dict[str, jax.Array], threshold: jax.Array) -> Any:
        """Return what a traced pruning cannot do without, the threshold known."""
        masks = {n: jnp.abs(leaf) > threshold for n, leaf in tree.items()}
        return {n: jnp.where(m, tree[n], 0) for n, m in masks.items()}, masks

    def ours(tree: dict[str, jax.Array], count: jax.Array) -> Any:
        import multiprune_jax as mj

        return mj.global_unstructured(tree, amount=count)[:2]

    def leaves(count: int) -> dict[str, Any]:
        sizes = ((job["rows"] + i, job["cols"] + 2 * i) for i in range(count))
        struct: Any = jax.ShapeDtypeStruct
        return {f"{i:03}": struct(size, jnp.float32) for i, size in enumerate(sizes)}

    def seconds(tree: dict[str, Any]) -> float:
        started = time.perf_counter()
        jax.jit(ours if job["side"] == "multiprune" else known).lower(tree, 7).compile()
        return time.perf_counter() - started

    seconds(leaves(2))
    return {"seconds": [seconds(leaves(job["layers"]))]}


def _params(job: Job, rows: int) -> dict[str, jax.Array]:
    import jax.numpy as jnp

    rng = np.random.default_rng(_SEED)
    shape = rows, job["cols"]
    return {
        f"{i:03}": jnp.asarray(rng.standard_normal(shape, dtype=np.float32))
        for i in range(job["layers"])
    }


def _way(side: str, amount: float) -> Any:
    """Return a function from params to pruned params and masks."""
    import jax.numpy as jnp
    import multiprune_jax as mj
    from jax import lax

    if side in ("eager", "jit"):
        return lambda tree: mj.global_unstructured(tree, amount=amount)[:2]

    def smallest(flat: jax.Array) -> Any:
        count = round(amount * flat.size)
        return lax.top_k(-flat, count)[1] if side == "top_k" else jnp.argsort(flat)[:count]

    def by_sorting(tree: dict[str, jax.Array]) -> Any:
        flat = jnp.concatenate([jnp.abs(leaf).ravel() for leaf in tree.values()])
        kept = jnp.ones(flat.shape, bool).at[smallest(flat)].set(False)
        ends = np.cumsum([leaf.size for leaf in tree.values()])[:-1]
        parts = jnp.split(kept, ends)
        masks = {n: m.reshape(tree[n].shape) for n, m in zip(tree, parts, strict=True)}
        return {n: jnp.where(m, tree[n], 0) for n, m in masks.items()}, masks

    return by_sorting
