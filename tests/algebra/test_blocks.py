"""Blocks, threads and widths of digits change no mask, and neither does the size of a tensor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from multiprune_conformance import oracle
from multiprune_numpy import backend

import multiprune as mp
from multiprune import counting
from multiprune.methods import L1Unstructured
from multiprune.plan import plan
from multiprune.question import Question


def rank(scores, method, masks=None):
    return plan(scores, Question(method.target), method, masks)


@pytest.fixture(params=[(7, 1), (64, 3), (1 << 18, 2)])
def blocks(request, monkeypatch):
    monkeypatch.setattr(type(backend), "block_size", request.param[0])
    monkeypatch.setattr(type(backend), "workers", request.param[1])


@pytest.fixture(params=[1, 1 << 16])
def small(request, monkeypatch):
    """From how many entries on digits have 16 bits."""
    monkeypatch.setattr(counting, "_SMALL", request.param)


def tensors(seed):
    """Few values, so that most entries are tied, over tensors that no block size divides."""
    draw = np.random.default_rng(seed)
    shapes = [(33,), (0, 4), (5, 41), (), (3, 2, 19)]
    held = [np.asarray(draw.integers(-3, 4, shape), dtype=np.float32) for shape in shapes]
    masks = [None, None, draw.random((5, 41)) < 0.7, None, draw.random((3, 2, 19)) < 0.4]
    return held, masks


@pytest.mark.usefixtures("blocks", "small")
@pytest.mark.parametrize("amount", [0, 1, 17, 0.3, 0.5, 0.77, 1.0])
def test_blocks_change_nothing(amount):
    held, masks = tensors(1)
    done = mp.global_unstructured(held, amount=amount, masks=masks)
    expected = oracle.global_unstructured(held, amount=amount, masks=masks)
    for got, want in zip(done.masks, expected, strict=True):
        assert np.array_equal(got, want)
    gone = [int((~want).sum()) for want in expected]
    assert [tensor.pruned for tensor in done.report.tensors] == gone


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int8", "uint16"])
def test_blocks_of_every_width(kind):
    draw = np.random.default_rng(5)
    held = [draw.integers(0, 120, size).astype(kind) for size in (70, 31)]
    for amount in (40, 0.9):
        (found,) = rank(held, L1Unstructured(amount)).cuts
        expected = oracle.cut(held, amount=amount)
        assert (found.threshold, found.position, found.ties) == tuple(expected)


@pytest.mark.parametrize("size", [(1 << 16) - 1, 1 << 16, (1 << 16) + 1, 300_001])
def test_tensors_beyond_a_block(size):
    values = (np.arange(size) * 7919 % 1000).astype(np.float32).reshape(1, size)
    for amount in (size // 3, 0.8):
        (got,) = mp.global_unstructured([values], amount=amount).masks
        (want,) = oracle.global_unstructured([values], amount=amount)
        assert np.array_equal(got, want)


def test_strides_are_read_in_blocks(monkeypatch):
    monkeypatch.setattr(type(backend), "block_size", 5)
    values = np.random.default_rng(2).integers(0, 9, (4, 3, 6)).astype(np.float64)
    for view in (values.T, values[:, ::-1], values[::2, :, 1::2], values.transpose(1, 0, 2)):
        (got,) = mp.global_unstructured([view], amount=0.5).masks
        (want,) = oracle.global_unstructured([view], amount=0.5)
        assert np.array_equal(got, want)


@pytest.mark.usefixtures("blocks")
def test_the_cut_says_how_many_were_tied():
    values = np.array([2.0, 1.0, 1.0, 1.0, 3.0])
    (found,) = rank([values], L1Unstructured(2)).cuts
    assert (found.ties, found.tied_pruned, found.count, found.live) == (3, 2, 2, 5)
    assert (found.threshold, found.position) == (int(np.float64(1).view(np.uint64)), 2)
    (nothing,) = rank([values], L1Unstructured(0), [values > 1]).cuts
    assert (nothing.threshold, nothing.position) == (-1, -1)
    assert (nothing.ties, nothing.tied_pruned, nothing.count, nothing.live) == (0, 0, 0, 2)


def test_draws_go_on_from_block_to_block(monkeypatch):
    monkeypatch.setattr(type(backend), "block_size", 6)
    shapes = [(9,), (2, 5), (13,)]
    held = [np.zeros(shape) for shape in shapes]
    done = mp.global_unstructured(held, mp.RandomUnstructured, amount=0.5, seed=3)
    expected = oracle.random_unstructured(shapes, amount=0.5, seed=3)
    for got, want in zip(done.masks, expected, strict=True):
        assert np.array_equal(got, want)
    assert done.report.pruned == round(0.5 * sum(map(math.prod, shapes)))
