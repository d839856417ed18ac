"""What a pass costs: blocks are joined, dealt to threads, and not read where nothing can be."""

from __future__ import annotations

import numpy as np
import pytest
from multiprune_numpy import backend

from multiprune import blocks
from multiprune.column import Column
from multiprune.counting import Counting
from multiprune.cut import Cut

KIND = type(backend)


def entries(*sizes, key_bits=8, read=None):
    """Columns of keys that are their positions modulo 256; `read` collects what is read."""
    columns, offset = [], 0
    for size in sizes:

        def keys(i, j, offset=offset):
            if read is not None and i < j:
                read.append((offset + i, offset + j))
            return (np.arange(offset + i, offset + j) % 256).astype(np.uint8)

        columns.append(Column(size, offset, keys))
        offset += size
    return Counting(columns, key_bits, backend)


def keys(found, prefix, shift, width):
    """How often each digit of keys occurs."""
    (row,) = found.count([prefix], shift + position_bits(found), width)
    return np.diff(row, prepend=0).tolist()


def positions(found, key, prefix, shift, width):
    """How often each digit of positions occurs among entries of one key."""
    known = position_bits(found) - shift - width
    (row,) = found.count([key << known | prefix], shift, width)
    return np.diff(row, prepend=0).tolist()


def position_bits(found):
    return (found.size - 1).bit_length()


@pytest.mark.parametrize(("size", "bits"), [(1, 8), (65_535, 8), (65_536, 16), (65_537, 16)])
def test_digits_are_wide_where_there_are_many_entries(size, bits):
    assert entries(size).digit_bits == bits


def test_counts_are_as_many_as_digits():
    found = entries(300, 5)
    assert len(keys(found, 0, 0, 8)) == 256
    assert len(keys(found, 1, 4, 3)) == 8
    assert sum(keys(found, 1, 4, 3)) == 128
    assert positions(found, 3, 0, 7, 2) == [1, 0, 1, 0]


@pytest.fixture
def pools(monkeypatch):
    asked = []

    class Pool:
        def __init__(self, workers):
            asked.append(workers)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        map = staticmethod(map)

    monkeypatch.setattr(blocks, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(KIND, "block_size", 10)
    monkeypatch.setattr(KIND, "workers", 4)
    return asked


@pytest.mark.parametrize(
    ("sizes", "workers"),
    [
        ((10,), []),
        ((9,), []),
        ((20,), [2]),
        ((25,), [3]),
        ((200,), [4]),
        ((1,) * 8, []),
        ((1,) * 15, [2]),
        ((1,) * 29, [3]),
    ],
)
def test_threads_are_as_many_as_the_work_is_worth(pools, sizes, workers):
    assert sum(keys(entries(*sizes), 0, 0, 8)) == sum(sizes)
    assert pools == workers


def test_small_blocks_are_counted_together(monkeypatch):
    monkeypatch.setattr(KIND, "block_size", 40)
    monkeypatch.setattr(KIND, "workers", 1)
    joined = []
    monkeypatch.setattr(KIND, "join", lambda _, arrays: joined.append(len(arrays)) or _join(arrays))
    assert sum(keys(entries(*[3] * 9), 0, 0, 8)) == 27
    assert joined == [4, 4, 1]
    joined.clear()
    assert sum(keys(entries(*[5] * 5), 0, 0, 8)) == 25
    assert joined == [2, 2, 1]


def _join(arrays):
    return np.concatenate(arrays)


def test_positions_are_counted_only_where_they_can_be(monkeypatch):
    monkeypatch.setattr(KIND, "block_size", 16)
    monkeypatch.setattr(KIND, "workers", 1)
    read = []
    found = entries(64, 8, 56, read=read)
    for prefix in range(4):
        read.clear()
        positions(found, 5, prefix, 2, 3)  # positions 32 * prefix to 32 * prefix + 31
        assert read
        assert min(i for i, _ in read) >= 32 * prefix - 8  # the second tensor shifts blocks by 8
        assert max(j for _, j in read) <= 32 * prefix + 32 + 8
        assert sum(j - i for i, j in read) <= 48
    read.clear()
    positions(found, 5, 1, 2, 3)
    assert read == [(32, 48), (48, 64)]


@pytest.mark.parametrize(
    ("position", "parts"),
    [
        (3, [(4, 9, 6)]),
        (4, [(4, 5, 7), (5, 9, 6)]),
        (7, [(4, 8, 7), (8, 9, 6)]),
        (8, [(4, 9, 7)]),
        (20, [(4, 9, 7)]),
    ],
)
def test_a_run_is_split_where_its_threshold_changes(position, parts):
    cut = Cut(7, position, ties=2, tied_pruned=1, count=1, live=9)
    assert list(cut.spans(4, 9)) == parts
    assert list(cut.spans(4, 4)) == []
