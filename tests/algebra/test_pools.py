"""Laws of pools: every scope, bound and allocation equals the oracle, on both engines."""

from __future__ import annotations

from fractions import Fraction

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiprune_conformance import oracle
from strategies import FLOATS, INTEGERS, problems, questions

import multiprune as mp
from multiprune.bounds import Limits
from multiprune.errors import (
    AllocationError,
    AmountTypeError,
    BoundsError,
    MultipruneError,
    PruningTypeError,
    ScopeError,
    StructureError,
)

LAYERS = {
    "a": np.arange(1, 17, dtype=np.float32).reshape(4, 4),
    "b": np.arange(1, 9, dtype=np.float32).reshape(2, 4) / 16,
}


def both(prune, expect):
    """What each of them makes of a problem: masks, or that it is refused, and how."""
    try:
        expected = expect()
    except oracle.Refused as refused:
        kind = refused.kind
    else:
        return prune(), expected
    with pytest.raises(MultipruneError) as error:
        prune()
    assert error.value.kind == kind, error.value
    return None, None


def same(tensors, masks, question, *, signed=False, seed=None, put=lambda array: array):
    method = mp.L1Unstructured if seed is None else mp.RandomUnstructured
    own = {"signed": signed} if seed is None else {"seed": seed}
    got, expected = both(
        lambda: mp.global_unstructured(
            [put(t) for t in tensors],
            method,
            masks=[None if m is None else put(m) for m in masks],
            **own,
            **question,
        ),
        lambda: oracle.pruned(tensors, masks=masks, signed=signed, seed=seed, **question),
    )
    if got is not None:
        for mask, want, row in zip(got.masks, expected, got.report.tensors, strict=True):
            assert np.array_equal(np.asarray(mask), want)
            assert row.pruned == want.size - int(want.sum())
    return got


@given(data=st.data(), problem=problems(), signed=st.booleans())
def test_pools_equal_the_oracle(data, problem, signed):
    tensors, masks = problem
    question = data.draw(questions(len(tensors)))
    seed = data.draw(st.one_of(st.none(), st.integers(0, 2**64 - 1)))
    same(tensors, masks, question, signed=signed and seed is None, seed=seed)


@given(data=st.data(), problem=problems(["float32", "float64", *INTEGERS], mixed=False))
def test_pools_equal_the_oracle_in_the_strictest_namespace(data, problem):
    tensors, masks = problem
    question = data.draw(questions(len(tensors)))
    seed = data.draw(st.one_of(st.none(), st.integers(0, 2**64 - 1)))
    with array_api_strict.ArrayAPIStrictFlags(
        boolean_indexing=False, data_dependent_shapes=False, enabled_extensions=()
    ):
        same(tensors, masks, question, seed=seed,
             put=lambda array: array_api_strict.asarray(np.array(array)))  # fmt: skip


@given(problem=problems(FLOATS, mixed=False), rounds=st.lists(st.floats(0, 0.3), max_size=3))
def test_bounds_hold_over_rounds(problem, rounds):
    tensors, masks = problem
    for amount in rounds:
        try:
            done = mp.global_unstructured(
                tensors, masks=masks, amount=amount, keep_at_least=0.25, prune_at_most=0.9
            )
        except BoundsError:
            return
        for mask, before in zip(done.masks, masks, strict=True):
            kept, live = int(mask.sum()), mask.size if before is None else int(before.sum())
            if mask.size and kept < live:
                assert kept / mask.size >= 0.25
                assert (mask.size - kept) / mask.size <= 0.9
        masks = done.masks


@given(fraction=st.floats(0, 1), size=st.integers(0, 2**40))
def test_a_fraction_is_kept_when_the_quotient_says_so(fraction, size):
    bounds = Limits(keep_at_least=fraction).bounds(["w"], [size], [size], 0)
    kept = size - bounds.high[0]
    if size:
        assert kept / size >= fraction
        assert kept == 0 or (kept - 1) / size < fraction
    most = Limits(prune_at_most=fraction).bounds(["w"], [size], [size], 0).high[0]
    if size:
        assert most / size <= fraction
        assert most == size or (most + 1) / size > fraction


@given(data=st.data(), problem=problems(["float32", "int8"], mixed=False))
def test_a_threshold_is_the_score_of_the_last_entry_of_a_pool(data, problem):
    """Where bounds hold some pools, the others share the highest of theirs."""
    tensors, masks = problem
    question = data.draw(questions(len(tensors), ["tensor", "bounds", "allocation"]))
    try:
        done = mp.global_unstructured(tensors, masks=masks, **question)
    except MultipruneError:
        return
    if len(tensors) == 1:
        return
    for tensor, mask, prior, row in zip(
        tensors, done.masks, masks, done.report.tensors, strict=True
    ):
        scores = np.abs(tensor.astype("f8"))[~mask & (True if prior is None else prior)]
        if not scores.size:
            assert row.threshold is None
        elif row.threshold != done.report.threshold or not question.keys() - {"amount", "sparsity"}:
            assert np.array_equal(row.threshold, scores.max(), equal_nan=True)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize(
    "question",
    [
        {"amount": 0.5, "scope": "row"},
        {"amount": 0.5, "scope": "row", "dim": -1},
        {"scope": (2, 4)},
        {"scope": (2, 4), "dim": 0},
        {"scope": (5, 12), "dim": 1},
        {"amount": 0.7, "scope": "tensor"},
        {"amount": 0.7, "keep_at_least": 0.29, "prune_at_least": 0.5},
        {"amount": 0.7, "allocation": "erk"},
    ],
)
def test_every_block_size_gives_the_same_masks(question, block, workers, monkeypatch):
    from multiprune_numpy import backend

    rng = np.random.default_rng(5)
    tensors = [rng.integers(-9, 9, shape).astype("f2") for shape in [(8, 12), (4, 24), (16, 12, 3)]]
    masks = [rng.random(t.shape) < 0.8 for t in tensors]
    monkeypatch.setattr(type(backend), "block_size", block)
    monkeypatch.setattr(type(backend), "workers", workers)
    same(tensors, masks, question)
    same(tensors, [None] * 3, question)


def test_many_ties_beyond_what_is_kept_near_the_cut(monkeypatch):
    from multiprune import near

    monkeypatch.setattr(near, "_MOST", 40)
    rng = np.random.default_rng(5)
    tensors = [rng.integers(0, 3, 70_000).astype("f4"), rng.integers(0, 3, 999).astype("f4")]
    for question in ({"amount": 0.6}, {"amount": 0.6, "scope": "tensor"}):
        same(tensors, [None, None], question)


def test_the_report_says_what_was_held():
    report = mp.global_unstructured(LAYERS, amount=0.5, keep_at_least=0.5).report
    assert [(t.pruned, t.held) for t in report.tensors] == [
        (8, "keep_at_least"),
        (4, "keep_at_least"),
    ]
    report = mp.global_unstructured(LAYERS, amount=8, keep_at_least={"b": 0.5}).report
    assert [(t.pruned, t.held, t.threshold) for t in report.tensors] == [
        (4, "", 4.0), (4, "keep_at_least", 0.25),
    ]  # fmt: skip
    assert report.threshold == 4.0
    assert "held by keep_at_least" in str(report)
    assert "threshold" in str(report).splitlines()[1]
    report = mp.global_unstructured(LAYERS, amount=4, prune_at_least={"a": 0.25}).report
    assert [t.held for t in report.tensors] == ["prune_at_least", ""]
    report = mp.global_unstructured(LAYERS, amount=2, allocation={"a": 1, "b": 100}).report
    assert [(t.pruned, t.held) for t in report.tensors] == [(2, ""), (0, "dense")]
    assert "dense" in str(report)
    report = mp.global_unstructured(LAYERS, scope=(2, 4)).report
    assert (report.scope, report.threshold, report.pruned) == ("2:4", None, 12)
    assert "scope 2:4" in str(report)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"amount": 1, "scope": "rows"}, ScopeError, "scope='rows' was given"),
        ({"amount": 1, "scope": (4, 2)}, ScopeError, "1 <= n <= m"),
        ({"amount": 1, "scope": (True, 2)}, ScopeError, "scope=(True, 2)"),
        ({"amount": 0.5, "scope": (2, 4)}, AmountTypeError, "Leave the amount out"),
        ({"scope": (2, 3)}, ScopeError, "tensor a has 4 entries along dim=1"),
        ({"amount": 1, "dim": 0}, ScopeError, "Leave it out"),
        ({"amount": 1, "scope": "row", "dim": 0.5}, ScopeError, "is of type float"),
        ({"amount": 1, "scope": {"a": 1}}, ScopeError, "says nothing of ['b']"),
        ({"amount": 1, "scope": {"*": 1, "c": 2}}, ScopeError, "['c'] match no tensor"),
        ({"amount": 1, "scope": {"*": 1, "[a]": 2}}, ScopeError, "match a and differ"),
        ({"amount": 1, "scope": {1: 1}}, ScopeError, "has the keys [1]"),
        ({"amount": 0.9, "keep_at_least": 0.5}, BoundsError, "The nearest is amount=12"),
        ({"amount": 0, "prune_at_least": 1}, BoundsError, "no fewer than 2: a (1), b (1)"),
        ({"amount": 1, "keep_at_least": 1.0, "prune_at_least": 1}, BoundsError, "a (1 to 0)"),
        ({"amount": 1, "scope": "tensor", "keep_at_least": 1}, BoundsError, "Leave one of them"),
        ({"amount": 1, "keep_at_least": {"z": 1}}, BoundsError, "['z'] match no tensor"),
        ({"amount": 1, "allocation": "ERK"}, AllocationError, "allocation='ERK' was given"),
        ({"amount": 1, "allocation": {"*": 0}}, AllocationError, "positive finite number"),
        ({"amount": 1, "allocation": {"a": 1}}, AllocationError, "says nothing of ['b']"),
        ({"amount": 1, "allocation": "erk", "scope": "row"}, AllocationError, "Leave scope out"),
        ({"amount": 99, "scope": "tensor"}, mp.MultipruneError, "tensor a: amount=99"),
        ({"amount": 9, "scope": "row"}, mp.MultipruneError, "tensor a, in one of its rows"),
    ],
)
def test_an_error_says_what_to_do(options, error, words):
    with pytest.raises(error) as raised:
        mp.global_unstructured(LAYERS, **options)
    assert words in str(raised.value)
    assert "Rule: " in str(raised.value)
    assert isinstance(raised.value, ValueError | TypeError)


def test_rows_and_groups_are_parts_of_matrices():
    for scope in ("row", (1, 2)):
        amount = {"amount": 1} if scope == "row" else {}
        with pytest.raises(StructureError, match="tensor bias: a tensor of shape"):
            mp.global_unstructured({"bias": np.ones(4)}, scope=scope, **amount)


def test_identity_prunes_nothing_in_any_scope():
    done = mp.global_unstructured(LAYERS, mp.Identity, scope="tensor")
    assert done.report.pruned == 0
    with pytest.raises(PruningTypeError, match="takes no amount"):
        mp.global_unstructured(LAYERS, mp.Identity, scope=(2, 4))


def test_shares_are_exact():
    done = mp.global_unstructured(LAYERS, amount=12, allocation={"a": Fraction(1, 3), "b": 1 / 3})
    assert done.report.pruned == 12
