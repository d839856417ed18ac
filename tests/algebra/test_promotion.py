"""The promotion table is torch.cat's, whatever the order; float8 is the one addition."""

from __future__ import annotations

from itertools import combinations_with_replacement, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiprune_conformance import oracle
from strategies import ALL, FLOAT8

from multiprune.errors import DtypeError
from multiprune.keys import promote

NAMES = [*ALL, "complex64", "complex128"]


PAIRS = [p for p in combinations_with_replacement(NAMES, 2) if not {*p} & {*FLOAT8}]


@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_two_dtypes_meet_where_torch_cat_lets_them(names):
    torch = pytest.importorskip("torch")
    tensors = [torch.zeros(1, dtype=getattr(torch, name)) for name in names]
    try:
        expected = str(torch.cat(tensors).dtype).removeprefix("torch.")
    except RuntimeError:
        with pytest.raises(DtypeError, match="refuses this pair"):
            promote(names)
    else:
        assert promote(names).name == expected


@given(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
def test_many_dtypes_meet_where_the_oracle_says_in_any_order(names):
    try:
        expected = oracle.promote(names)
    except oracle.Refused:
        expected = None
    for order in permutations(names):
        if expected is None:
            with pytest.raises(DtypeError):
                promote(order)
        else:
            assert promote(order).name == expected
