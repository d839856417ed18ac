"""Sharded trees in a process of their own: ``on_a_mesh.py FOLDER [PROCESS OF ADDRESS]``.

One process with eight devices, or one of several that share them. Every check runs in each process
on what it holds; an AssertionError ends it.
"""

from __future__ import annotations

import math
import re
import sys
from functools import partial
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import multiprune_jax as mj
import numpy as np
import optax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from multiprune_conformance import oracle
from multiprune_conformance.oracle_file import write_file
from multiprune_jax import ranking
from multiprune_jax.asked import Asked
from multiprune_jax.counts import Count

import multiprune
from multiprune.errors import AmountError
from multiprune.order import Order

FOLDER, DISTRIBUTED = Path(sys.argv[1]), sys.argv[2:]
PROCESSES = int(DISTRIBUTED[1]) if DISTRIBUTED else 1
jax.config.update("jax_num_cpu_devices", 8 // PROCESSES)
if DISTRIBUTED:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(DISTRIBUTED[2], PROCESSES, int(DISTRIBUTED[0]))

DEVICES = np.array(jax.devices())
MESH = Mesh(DEVICES.reshape(4, 2), ("x", "y"))
# By rows, by columns, over both axes at once, over one of them only, and whole on every device.
LAYOUTS = {
    "a/kernel": P("x", "y"),
    "b/kernel": P(None, ("x", "y")),
    "c/kernel": P("y"),
    "d/kernel": P(None, "x"),
    "e/kernel": P(),
}
SHAPES = {
    "a/kernel": (32, 48),
    "b/kernel": (16, 64),
    "c/kernel": (24, 40),
    "d/kernel": (2, 16, 32),
    "e/kernel": (20, 30),
}
SIZE = sum(map(math.prod, SHAPES.values()))
LARGEST = max(
    math.prod(NamedSharding(MESH, LAYOUTS[name]).shard_shape(shape))
    for name, shape in SHAPES.items()
)
DTYPES = {
    "float32": ["float32"] * 5,
    "mixed": ["float32", "bfloat16", "float16", "float32", "bfloat16"],
}
VALUES = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "ties": lambda rng, shape: rng.integers(-4, 5, shape),
    "zeros": lambda rng, shape: rng.standard_normal(shape) * (rng.random(shape) < 0.3),
    "constant": lambda rng, shape: np.full(shape, -2.5),
    "special": lambda rng, shape: rng.choice(
        [np.nan, -np.inf, np.inf, 0.0, -0.0, 1e-42, -2e-42, 1e-39, 1.0], shape
    ),
}


def weights(values, dtypes="float32"):
    rng = np.random.default_rng(7)
    return {
        name: VALUES[values](rng, shape).astype(np.dtype(getattr(ml_dtypes, kind, kind)))
        for (name, shape), kind in zip(SHAPES.items(), DTYPES[dtypes], strict=True)
    }


def sharded(arrays, layouts=LAYOUTS, mesh=MESH):
    def put(array, layout):
        # Not device_put: over processes it compares what each of them passes, and NaN is not NaN.
        return jax.make_array_from_callback(
            array.shape, NamedSharding(mesh, layout), lambda index: array[index]
        )

    return {name: put(array, layouts[name]) for name, array in arrays.items()}


def same(masks, expected, layouts=LAYOUTS, mesh=MESH):
    """The shards of this process hold what is expected there, in the layout asked for."""
    for name, whole in expected.items():
        there = masks[name]
        assert there.sharding.is_equivalent_to(NamedSharding(mesh, layouts[name]), there.ndim), name
        for shard in there.addressable_shards:
            assert np.array_equal(np.asarray(shard.data), whole[shard.index]), name


def bits(array):
    return array.view(f"u{array.dtype.itemsize}")


def wanted(arrays, masks=None, **amount):
    prior = None if masks is None else list(masks.values())
    found = oracle.global_unstructured(list(arrays.values()), masks=prior, **amount)
    return dict(zip(arrays, found, strict=True))


@jax.jit
def traced(params, masks, count):
    return mj.global_unstructured(params, amount=count, masks=masks)[:2]


def check_masks():
    """Eager, traced and through the algebra: the oracle's masks, in the layout of the params."""
    # Each exchange between processes takes long, so these share one case.
    cases = [("special", "mixed"), *product(VALUES, ["mixed"]), ("normal", "float32")]
    for values, dtypes in cases[:1] if DISTRIBUTED else cases[1:]:
        host = weights(values, dtypes)
        params = sharded(host)
        rng = np.random.default_rng(1)
        prior = {n: rng.random(a.shape) < 0.7 for n, a in host.items()}
        for given, amount in product((None, prior), (0, 0.37, 1.0)):
            expected = wanted(host, given, amount=amount)
            there = None if given is None else sharded(given)
            found = mj.global_unstructured(params, amount=amount, masks=there)
            same(found.masks, expected)
            zeroed = {
                n: np.where(m, host[n], np.zeros((), host[n].dtype)) for n, m in expected.items()
            }
            same(
                {n: leaf.view(f"u{leaf.dtype.itemsize}") for n, leaf in found.params.items()},
                {n: leaf.view(f"u{leaf.dtype.itemsize}") for n, leaf in zeroed.items()},
            )
            gone = sum(int((~mask).sum()) for mask in expected.values())
            assert found.report.pruned == gone
            alone = multiprune.global_unstructured(host, masks=given, amount=amount)
            assert str(found.report) == str(alone.report), (
                values,
                dtypes,
                amount,
                found.report,
                alone.report,
            )
            if amount == 0.37:
                before = 0 if given is None else sum(int((~m).sum()) for m in given.values())
                same(traced(params, there, gone - before)[1], expected)
                algebra = multiprune.global_unstructured(params, masks=there, amount=amount)
                same(algebra.masks, expected)
                assert str(algebra.report) == str(alone.report)


def check_program(text):
    """Between devices go counters, all-reduced; no array is larger than a local shard."""
    sent = re.findall(
        r"^ *(?:ROOT )?%\S+ = (.*?) (all-[a-z]+|collective-[a-z]+|reduce-scatter|send|recv)\S*\(",
        text,
        flags=re.M,
    )
    assert sent, "nothing is added up over devices"
    for types, kind in sent:
        assert kind == "all-reduce", (kind, types)
        for dtype, shape in re.findall(r"(\w+)\[([\d,]*)\]", types):
            assert (dtype, shape) == ("u32", ""), (dtype, shape)
    sizes = {
        math.prod(int(n) for n in shape.split(",") if n)
        for _, shape in re.findall(r"\b([a-z]\w*\d+|pred)\[([\d,]*)\]", text)
    }
    assert max(sizes) == LARGEST, (max(sizes), LARGEST)


def check_programs():
    for dtypes in ["mixed"] if DISTRIBUTED else DTYPES:
        params = sharded(weights("normal", dtypes))
        masks = mj.global_unstructured(params, amount=0.3).masks
        for prior in (None, masks):
            check_program(traced.lower(params, prior, 100).compile().as_text())
            listed = list(params.values()), [None] * 5 if prior is None else list(prior.values())
            # What a call outside jit compiles.
            order = Order.of(["float32"], mj.L1Unstructured(100))
            asked = Asked(Count.of([100]), Count.of([100]))
            program = ranking.compiled.lower(*listed, order, (0,) * 5, asked)
            check_program(program.compile().as_text())


QUESTIONS = [
    {"scope": "tensor", "amount": 0.4},
    {"amount": 0.7, "keep_at_least": {"[ab]/*": 0.4}, "prune_at_least": 0.5},
    {"scope": "row", "amount": 0.5, "dim": -1},
    {"scope": "row", "sparsity": 0.7, "dim": 0},
    {"scope": (2, 4), "dim": -2},
    {"scope": (1, 2), "dim": -1},
    {"allocation": "erk", "sparsity": 0.6},
]


def check_pools():
    """Every scope, with and without prior masks: eager, and traced."""
    host = weights("ties")
    params, rng = sharded(host), np.random.default_rng(2)
    prior = {n: rng.random(a.shape) < 0.9 for n, a in host.items()}
    for question, given in product(QUESTIONS, (None, prior)):
        masks = None if given is None else [given[n] for n in host]
        expected = oracle.pruned(list(host.values()), masks=masks, names=list(host), **question)
        expected = dict(zip(host, expected, strict=True))
        there = None if given is None else sharded(given)
        found = mj.global_unstructured(params, masks=there, **question)
        same(found.masks, expected)
        assert found.report == mj.global_unstructured(host, masks=given, **question).report
        if given is None:
            prune = jax.jit(lambda p, q=question: mj.global_unstructured(p, **q)[:2])
            same(prune(params)[1], expected)


def check_manual_axes():
    """Inside ``shard_map`` each device ranks what it holds."""
    host = {n: a for n, a in weights("normal").items() if n in ("a/kernel", "c/kernel", "e/kernel")}
    layouts = {"a/kernel": P("x", "y"), "c/kernel": P("y"), "e/kernel": P()}

    @jax.jit
    @partial(jax.shard_map, mesh=MESH, in_specs=(layouts,), out_specs=P("x", "y"))
    def masks(params):
        return mj.global_unstructured(params, sparsity=0.5).masks["a/kernel"]

    for shard in masks(sharded(host, layouts)).addressable_shards:
        row, column = np.argwhere(shard.device == MESH.devices)[0]
        here = {
            "a/kernel": host["a/kernel"][shard.index],
            "c/kernel": host["c/kernel"][12 * column : 12 * column + 12],
            "e/kernel": host["e/kernel"],
        }
        expected = wanted(here, sparsity=0.5)["a/kernel"]
        assert np.array_equal(np.asarray(shard.data), expected), (row, column)


def check_digest():
    """One digest: of this mesh, of NumPy, and of what another writer puts into a file."""
    host = weights("ties")
    found = mj.global_unstructured(sharded(host), amount=0.5)
    masks = multiprune.global_unstructured(host, amount=0.5).masks
    digest = mj.save_masks(found.masks, FOLDER / "masks")
    assert (FOLDER / "masks").read_bytes().find(digest.encode()) > 0
    assert digest.encode() in write_file(masks)
    back = mj.load_masks(FOLDER / "masks", like=sharded(host))
    same(back, masks)
    again = mj.global_unstructured(sharded(host), sparsity=0.7, masks=back)
    same(again.masks, wanted(host, masks, sparsity=0.7))


def check_training():
    """Zeros stay zero, and nothing loses its layout."""
    host = weights("normal")
    pruned = mj.global_unstructured(sharded(host), amount=0.8)
    tx = optax.chain(optax.adamw(1e-2, weight_decay=0.1), mj.keep_pruned(pruned.masks))
    params, state = pruned.params, tx.init(pruned.params)

    @jax.jit
    def step(params, state):
        grads = jax.grad(lambda p: sum(jnp.sin(x).sum() for x in p.values()))(params)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(3):
        params, state = step(params, state)
    kept = wanted(host, amount=0.8)
    same({n: p != 0 for n, p in params.items()}, kept)
    # A second round, structured: each leaf by itself.
    by_row = mj.local(params, mj.LnStructured(0.25, n=2, dim=0), masks=pruned.masks)
    assert by_row.report.pruned > pruned.report.pruned
    counts = {n: int(jnp.sum(~m)) for n, m in by_row.masks.items()}
    assert {t.name: t.pruned for t in by_row.report.tensors} == counts


def check_orbax():
    """Saved on this mesh, restored on another: the same masks now and in the next round."""
    host = weights("ties")
    pruned = mj.global_unstructured(sharded(host), amount=0.5)
    state = {"params": pruned.params, "masks": pruned.masks}
    line = Mesh(DEVICES, ("z",))
    layouts = dict(zip(SHAPES, (P("z"), P(None, "z"), P(), P(None, "z"), P()), strict=True))
    target = jax.tree.map(
        lambda leaf, name: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=NamedSharding(line, layouts[name])
        ),
        state,
        {"params": {n: n for n in SHAPES}, "masks": {n: n for n in SHAPES}},
    )
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(FOLDER / "saved", state)
        checkpointer.wait_until_finished()
        back = checkpointer.restore(FOLDER / "saved", target)
    masks = wanted(host, amount=0.5)
    same(back["masks"], masks, layouts, line)
    later = mj.global_unstructured(back["params"], sparsity=0.75, masks=back["masks"])
    kept = {n: np.where(m, host[n], 0).astype(host[n].dtype) for n, m in masks.items()}
    same(later.masks, wanted(kept, masks, sparsity=0.75), layouts, line)


def check_errors():
    params = sharded(weights("normal"))
    before = {n: p for n, p in params.items()}
    for count in (SIZE + 1, -1):
        try:
            mj.global_unstructured(params, amount=count)
        except AmountError:
            continue
        raise AssertionError("an amount was taken that is none")
    assert all(params[n] is p for n, p in before.items())


for check in (
    check_masks,
    check_programs,
    check_pools,
    check_manual_axes,
    check_digest,
    check_training,
    check_orbax,
    check_errors,
):
    check()
    multihost_utils.sync_global_devices(check.__name__)
    print(check.__name__, flush=True)
