"""Laws of shards: columns that hold single entries of a tensor, and know their positions."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiprune_conformance import oracle
from multiprune_conformance.examples.multiprune_shards import SHARDS, InShards, in_shards
from multiprune_numpy import backend
from strategies import ALL, AMOUNTS, dtype, problems

import multiprune
from multiprune.counting import Counting
from multiprune.draws import draws, draws_at
from multiprune.errors import MultipruneError
from multiprune.plan import plan
from multiprune.question import Question
from multiprune.search import find_cuts

PRUNE = InShards().prune


@pytest.fixture(autouse=True, scope="module")
def small_blocks():
    """Shards of many blocks each, dealt to two threads."""
    kind = type(backend)
    before = kind.block_size, kind.workers
    kind.block_size, kind.workers = 7, 2
    yield
    kind.block_size, kind.workers = before


@given(problem=problems(), amount=AMOUNTS, signed=st.booleans())
def test_shards_equal_the_oracle(problem, amount, signed):
    tensors, masks = problem
    options = {"amount": amount, "signed": signed}
    try:
        expected = oracle.global_unstructured(tensors, masks=masks, **options)
    except oracle.Refused:
        with pytest.raises(MultipruneError):
            PRUNE(tensors, multiprune.L1Unstructured, None, masks, options)
        return
    found = list(PRUNE(tensors, multiprune.L1Unstructured, None, masks, options))
    for mask, want in zip(found, expected, strict=True):
        assert np.array_equal(mask, want)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_many_ties_in_shards_equal_the_oracle(name, signed):
    """Positions of more digits than one; every second entry is at the cut."""
    rng = np.random.default_rng(7)
    tensors = [rng.integers(0, 2, size).astype(dtype(name)) for size in (400, 3, 900)]
    masks = [rng.random(tensor.size) < 0.7 for tensor in tensors]
    for amount in (1, 200, 400, 500, 700):
        options = {"amount": amount, "signed": signed}
        expected = oracle.global_unstructured(tensors, masks=masks, **options)
        found = list(PRUNE(tensors, multiprune.L1Unstructured, None, masks, options))
        for mask, want in zip(found, expected, strict=True):
            assert np.array_equal(mask, want)


@given(seed=st.integers(0, 2**64 - 1), start=st.integers(0, 2**40), size=st.integers(0, 30))
def test_draws_of_single_positions_are_those_of_the_row(seed, start, size):
    row = draws(seed, start, start + size, xp=np)
    places = np.random.default_rng(size).permutation(size).astype(np.int64)
    single = draws_at(seed, (places + start).astype(np.uint64), xp=np)
    assert np.array_equal(single, row[places])


@pytest.mark.parametrize("amount", [0, 1, 250, 0.5, 1.0])
def test_each_process_finds_the_cut_with_its_own_shards(amount):
    """Three threads stand for processes: each counts what it holds, and hears the sums."""
    rng = np.random.default_rng(3)
    tensors = [rng.integers(0, 3, size).astype(np.float32) for size in (200, 1, 333)]
    masks = [rng.random(tensor.size) < 0.8 for tensor in tensors]
    method = multiprune.L1Unstructured(amount)
    ranked = plan(tensors, Question(method.target), method, masks)
    whole, barrier = in_shards(ranked), threading.Barrier(SHARDS, timeout=60)
    told: list[list[int]] = [[] for _ in range(SHARDS)]

    def find(rank):
        def total(rows):
            told[rank] = list(rows[0])
            barrier.wait()
            sums = [sum(counters) for counters in zip(*told, strict=True)]
            barrier.wait()
            return [sums]

        own = Counting(whole.columns[rank::SHARDS], whole.key_bits, whole.backend, size=whole.size)
        assert own.size == sum(tensor.size for tensor in tensors)
        (cut,) = find_cuts(
            own, lambda live: ranked.question.bounds(ranked.pools, live, [], []), total=total
        )
        return cut

    with ThreadPoolExecutor(SHARDS) as pool:
        cuts = list(pool.map(find, range(SHARDS)))
    expected = oracle.cut(tensors, amount=amount, masks=masks)
    assert [(cut.threshold, cut.position, cut.ties) for cut in cuts] == [tuple(expected)] * SHARDS
