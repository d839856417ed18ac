"""The traced search: counts past 2**32, what the program is made of, its memory, and compiling."""

from __future__ import annotations

import re
from functools import cache

import jax
import jax.numpy as jnp
import multiprune_jax as mj
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multiprune_jax import columns
from multiprune_jax.asked import Asked
from multiprune_jax.bits import draws, ordered
from multiprune_jax.columns import LeafColumn, joined
from multiprune_jax.counts import Count
from multiprune_jax.membership import Membership
from multiprune_jax.traced import traced_cuts

from multiprune.keys import format_of

COUNTS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=9)
BIG = st.integers(0, 2**48 - 1)


@pytest.fixture(autouse=True)
def _no_x64():
    with jax.enable_x64(False):
        yield


@given(counts=COUNTS, a=BIG, b=BIG, limit=st.integers(0, 2**32 - 1))
def test_two_words_count_as_python_does(counts, a, b, limit):
    assert int(Count.of_sum(jnp.array(counts, dtype=jnp.uint32))) == sum(counts)
    one, other = Count.of(a), Count.of(b)
    assert int(one) == a
    assert int(one.less(other)) == max(a - b, 0)
    assert int(one.least(other)) == min(a, b)
    assert bool(one.under(other)) == (a < b)
    assert bool(one.is_some()) == (a > 0)
    low, high = sorted([other, Count.of(limit)], key=int)
    assert int(one.clamp(low, high)) == min(max(a, int(low)), int(high))
    assert int(one.within(jnp.uint32(limit))) == min(a, limit)


@given(bits=st.lists(st.integers(0, 1), min_size=48, max_size=48))
def test_two_words_take_bits(bits):
    count = Count.of(0)
    for place, bit in enumerate(bits):
        count = count.plus_bit(jnp.uint32(bit), jnp.int32(place))
    assert int(count) == sum(bit << place for place, bit in enumerate(bits))


@given(counts=st.lists(st.integers(0, 2**32 - 1), min_size=6, max_size=6), data=st.data())
def test_counts_of_leaves_are_added_up_in_pools(counts, data):
    """Every leaf a pool, all of them one, or some of them together."""
    some = st.lists(st.integers(0, 2), min_size=6, max_size=6)
    of = data.draw(st.one_of(st.just([0] * 6), st.just(list(range(6))), some))
    members = Membership(of, max(of) + 1)
    sums = [sum(c for c, p in zip(counts, of, strict=True) if p == i) for i in range(max(of) + 1)]
    assert members.sum(jnp.array(counts, dtype=jnp.uint32)).ints() == sums
    values = jnp.arange(max(of) + 1)
    assert members.spread(values).tolist() == of
    assert members.spread(values[None]).tolist() == [of]


@pytest.mark.parametrize("count", [-3, 0, 70_000, 2**31 - 1])
def test_traced_counts(count):
    assert int(Count.of_traced(jnp.int32(count))) == max(count, 0)


@cache
def scaled(power):
    fmt = format_of("float32")

    def total(count):
        """2**power times a count below 2**16."""
        return count if not power else Count(count.low << (power - 16), jnp.zeros_like(count.low))

    @jax.jit
    def find(values, wanted):
        column = LeafColumn((0,), values, lambda x: ordered(x, fmt, signed=False), 31)
        asked, whole = Asked(wanted, wanted), Membership([0], 1)
        cut = traced_cuts([column], [values.size], whole, 31, lambda live: asked, sum_up=total)
        return cut, column.keep(cut.threshold, cut.borders, [values.shape])[0]

    return find


@pytest.mark.parametrize("power", [0, 16, 20, 24])
@settings(max_examples=15)
@given(data=st.data())
def test_counts_past_32_bits(power, data):
    """Each process stands for millions: the same cut comes out for millions of times the count."""
    values = np.array(data.draw(st.lists(st.integers(0, 9), min_size=20, max_size=20)))
    values = values.astype(np.float32)
    order = np.sort(values)
    # At the end of a tie class, so that ties, which one process splits, need not be.
    ends = [i + 1 for i in range(20) if i == 19 or order[i] != order[i + 1]]
    k = data.draw(st.sampled_from(ends))
    cut, mask = scaled(power)(jnp.asarray(values), Count.of([k << power]))
    assert cut.ties.ints()[0] == int((values == order[k - 1]).sum()) << power
    assert np.array_equal(mask, values > order[k - 1])


@given(seed=st.integers(0, 2**64 - 1), offset=st.integers(0, 2**45))
@settings(max_examples=30)
def test_draws_far_out_equal_the_algebra(seed, offset):
    from multiprune.draws import draws as reference

    got = draws(seed, offset, (3, 5))
    assert np.array_equal(np.asarray(got).reshape(-1), reference(seed, offset, offset + 15, xp=np))


def primitives(jaxpr, found):
    for equation in jaxpr.eqns:
        sizes = [v.aval.size for v in [*equation.invars, *equation.outvars] if hasattr(v, "aval")]
        found.setdefault(equation.primitive.name, []).append(max(sizes, default=0))
        for value in equation.params.values():
            for inner in value if isinstance(value, list | tuple) else [value]:
                if hasattr(inner, "jaxpr"):
                    primitives(inner.jaxpr, found)
                elif hasattr(inner, "eqns"):
                    primitives(inner, found)
    return found


@pytest.mark.parametrize("rows", [1000, 50])
def test_nothing_is_sorted_or_gathered_and_only_small_leaves_are_joined(rows):
    tree = [jnp.ones((1000, 300)), *[jnp.ones((rows, 300), dtype=jnp.bfloat16)] * 2]
    jaxpr = jax.make_jaxpr(lambda p: mj.global_unstructured(p, amount=9).masks)(tree)
    found = primitives(jaxpr.jaxpr, {})
    assert "reduce" in found
    assert not {"sort", "top_k", "cumsum"} & set(found)
    counts = 5 * len(tree)
    for name in ("gather", "scatter", "scatter-add"):
        assert max(found.get(name, [0])) <= counts
    assert max(found.get("concatenate", [0])) <= (counts if rows == 1000 else 2 * rows * 300)


def test_no_temporary_is_as_large_as_a_leaf():
    tree = [jnp.zeros((1000, 1000)), jnp.zeros((300, 40, 20)), jnp.zeros((1000, 999), jnp.bfloat16)]
    program = jax.jit(lambda p, k: mj.global_unstructured(p, amount=k)[:2])
    compiled = program.lower(tree, 3).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 100_000


def ours(params, count):
    return mj.global_unstructured(params, amount=count)[:2]


def size_of_program(function, leaves):
    """How many instructions XLA is left with after fusion: what it has to generate code for."""
    tree = [jnp.ones((203 + i, 5 + 2 * i)) for i in range(leaves)]
    text = jax.jit(function).lower(tree, 7).compile().as_text()
    return len(re.findall(r"^ +(?:ROOT )?%?[\w.-]+ = ", text, flags=re.M))


@pytest.mark.parametrize("small", [columns._SMALL, 0])
def test_programs_grow_by_as_much_with_each_leaf(small, monkeypatch):
    """Seconds are measured by `benchmarks`; what they depend on is counted here."""
    monkeypatch.setattr(columns, "_SMALL", small)
    sizes = [size_of_program(ours, leaves) for leaves in (10, 20, 30)]
    first, second = sizes[1] - sizes[0], sizes[2] - sizes[1]
    assert 0 < second <= 1.1 * first, sizes
    # A kernel each for the count, the mask and the copy, and what is in them: not what all share.
    assert second <= 10 * 130, sizes


@pytest.mark.parametrize("room", [(1 << 18, 1 << 22), (7, 18), (7, 9)])
@pytest.mark.parametrize("scope", ["global", "tensor", {"*a": "one", "*b": "two"}])
@pytest.mark.parametrize("options", [{}, {"method": mj.RandomUnstructured, "seed": 3}])
@pytest.mark.parametrize("x64", [False, True])
def test_small_leaves_are_ranked_together(room, scope, options, x64, monkeypatch):
    """Whether leaves are joined, and which of them, the masks are those without it."""
    monkeypatch.setattr(columns, "_SMALL", room[0])
    monkeypatch.setattr(columns, "_JOINED", room[1])
    rng = np.random.default_rng(0)
    shapes = [(2, 3), (9, 2), (1, 4), (), (0, 3), (5, 1), (7,), (8, 3), (2, 2)]
    names = [f"{i}{'ab'[i % 2]}" for i in range(len(shapes))]
    tree = {}
    for i, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        # Subnormals of float32, which a conversion to float64 would flush.
        values = rng.integers(0, 4, shape).astype(np.uint32).view(np.float32)
        tree[name] = values.astype(np.float64 if x64 and i % 4 == 3 else np.float32)
    masks = {n: jnp.array(rng.integers(0, 2, tree[n].shape), bool) for n in names[::3]}

    def prune(tree, masks):
        return mj.global_unstructured(
            tree, amount=3, scope=scope, masks=masks, where=lambda *_: True, **options
        ).masks

    if scope == "tensor":
        tree = {n: leaf for n, leaf in tree.items() if leaf.size >= 6}
        masks = {}
    with jax.enable_x64(x64):
        tree = {name: jnp.array(values) for name, values in tree.items()}
        jax.tree.map(np.testing.assert_array_equal, jax.jit(prune)(tree, masks), prune(tree, masks))


@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=8),
    of=st.lists(st.integers(0, 2), min_size=8, max_size=8),
)
def test_leaves_that_share_a_column(sizes, of):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_SMALL", 5)
        patch.setattr(columns, "_JOINED", 16)
        groups = joined(sizes, of)
    assert sorted(i for group in groups for i in group) == list(range(len(sizes)))
    shared = [group for group in groups if len(group) > 1]
    assert all(list(group) == sorted(group) for group in shared)
    assert all(len({of[i] for i in group}) == 1 for group in shared)
    assert sum(sizes[i] for group in shared for i in group) <= 16
    assert all(sizes[i] <= 5 for group in shared for i in group)


def test_passes_over_positions_are_made_only_for_ties_to_split():
    fmt = format_of("float32")

    def count(values, k):
        made = []

        def order(scores):
            jax.debug.callback(lambda _: made.append(1), scores[0])
            return ordered(scores, fmt, signed=False)

        column, wanted = LeafColumn((0,), jnp.array(values), order, 31), Count.of([k])
        asked, whole, sizes = Asked(wanted, wanted), Membership([0], 1), [len(values)]
        cut = jax.jit(lambda: traced_cuts([column], sizes, whole, 31, lambda live: asked))()
        jax.block_until_ready(cut)
        jax.effects_barrier()
        return len(made)

    for_keys = 16  # two bits each
    assert count([3.0, 1.0, 2.0, 4.0, 5.0], 2) == for_keys
    assert count([1.0, 2.0, 2.0, 4.0, 5.0], 3) == for_keys  # the whole class goes
    assert count([1.0, 2.0, 2.0, 4.0, 5.0], 0) == for_keys
    # Some of the class are kept: three bits of a position below 5, until the class is split.
    assert count([1.0, 4.0, 2.0, 2.0, 2.0], 2) == for_keys + 3
    assert count([4.0, 2.0, 2.0, 4.0, 5.0], 1) == for_keys + 2


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32"])
def test_nans_of_any_payload_are_one_key(kind):
    infinity = {"float16": 0x7C00, "bfloat16": 0x7F80, "float32": 0x7F80_0000}[kind]
    sign = {"float16": 1 << 15, "bfloat16": 1 << 15, "float32": 1 << 31}[kind]
    bits = [infinity + 9, infinity, infinity + 1, sign + infinity + 3, 5, sign + infinity + 1]
    word = np.uint32 if kind == "float32" else np.uint16
    leaf = jax.lax.bitcast_convert_type(jnp.array(bits, dtype=word), jnp.dtype(kind))
    prune = jax.jit(
        lambda leaf, k: mj.global_unstructured([leaf], amount=k, where=lambda *_: True).masks[0]
    )
    for k, gone in enumerate([[], [4], [4, 1], [4, 1, 0], [4, 1, 0, 2], [4, 1, 0, 2, 3]]):
        assert np.flatnonzero(~np.asarray(prune(leaf, k))).tolist() == sorted(gone)
