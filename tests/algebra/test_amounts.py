"""Amounts: what counts as one, how many entries it takes, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiprune_conformance import oracle

from multiprune.amount import Target, as_amount, count_of, count_to_reach
from multiprune.errors import AmountError, AmountTypeError, MultipruneError, SparsityError


@given(
    amount=st.one_of(st.floats(allow_nan=True), st.integers(-5, 2**70), st.fractions()),
    live=st.integers(0, 2**64),
)
def test_counts_equal_the_oracle(amount, live):
    try:
        expected = oracle.count(amount, live)
    except oracle.Refused as refused:
        kind = refused.kind
    else:
        assert count_of(as_amount(amount), live) == expected
        return
    with pytest.raises(MultipruneError) as caught:
        count_of(as_amount(amount), live)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("amount", "live", "count"),
    [(0.5, n, k) for n, k in zip((1, 3, 5, 7, 9, 11), (0, 2, 2, 4, 4, 6), strict=True)]
    + [(0.15, 10, 2), (0.35, 10, 4), (1, 7, 1), (1.0, 7, 7), (-0.0, 7, 0)],
)
def test_products_are_rounded_half_to_even(amount, live, count):
    assert count_of(as_amount(amount), live) == count


@pytest.mark.parametrize(
    "value",
    [
        np.int64(3),
        np.uint8(3),
        np.array(3),
        array_api_strict.asarray(3),
        np.float16(0.5),
        np.float32(0.5),
        np.array(0.5),
        array_api_strict.asarray(0.5),
        Fraction(1, 2),
    ],
    ids=repr,
)
def test_numbers_of_any_library_become_python_numbers(value):
    assert as_amount(value) in (3, 0.5)
    assert type(as_amount(value)) in (int, float)


def test_a_narrow_float_counts_by_its_own_value_in_float64():
    assert count_of(as_amount(np.float32(0.9)), 123_456_789) == round(
        float(np.float32(0.9)) * 123_456_789
    )


@pytest.mark.parametrize(
    "value",
    [True, False, np.bool_(True), np.array(True), "0.5", None, [0.5], 1j, Decimal("0.5"),
     np.array([0.5]), np.array(0.5 + 0j)],
    ids=repr,
)  # fmt: skip
def test_what_is_no_number_is_refused_as_a_type(value):
    with pytest.raises(AmountTypeError, match=r"amount=.*Rule: amount is an int.*Pass") as caught:
        as_amount(value)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), -1, -0.1, 1.0001, 2.0, Fraction(10**400)]
)
def test_what_is_out_of_range_is_refused_as_a_value(value):
    with pytest.raises(AmountError, match=r"\[0, 1\] or a non-negative integer") as caught:
        as_amount(value)
    assert isinstance(caught.value, ValueError)


def test_more_than_is_left_is_refused_and_all_that_is_left_is_not():
    assert count_of(15, 15) == 15
    with pytest.raises(AmountError, match="amount=16 is more than the 15 entries still unpruned"):
        count_of(16, 15)


@given(sparsity=st.floats(0, 1), total=st.integers(1, 10**6), data=st.data())
def test_sparsity_is_reached_and_asked_for_again_takes_nothing(sparsity, total, data):
    pruned = data.draw(st.integers(0, round(sparsity * total)))
    count = count_to_reach(sparsity, total, total - pruned)
    assert pruned + count == round(sparsity * total)
    assert count_to_reach(sparsity, total, total - pruned - count) == 0


def test_a_sparsity_below_what_is_pruned_is_refused():
    with pytest.raises(
        SparsityError, match=r"asks for 30 of 100 entries, but 40 \(0.4\) are pruned"
    ):
        count_to_reach(0.3, 100, 60)


@pytest.mark.parametrize("given_", [{}, {"amount": 0.5, "sparsity": 0.5}])
def test_exactly_one_of_amount_and_sparsity_is_given(given_):
    with pytest.raises(AmountTypeError, match="exactly one of them"):
        Target(**given_)


def test_an_int_sparsity_is_refused_with_the_float_to_write():
    with pytest.raises(AmountTypeError, match=r"Write 1\.0, or use amount= for a count"):
        Target(sparsity=1)
