"""A backend that ranks some tensors by itself is asked, told all, and believed."""

from __future__ import annotations

import numpy as np
import pytest
from multiprune_numpy.backend import NumpyBackend

import multiprune as mp
from multiprune import plan
from multiprune.question import Question


class Own(NumpyBackend):
    """Counts by itself where it is told to, and notes what it was asked."""

    def __init__(self, willing):
        self.willing, self.asked, self.asked_of, self.made = willing, [], [], []

    def engine(self, scores, masks, order, question, pools):
        self.asked.append((scores, masks, order.bits, order.ranked.name, order.signed, order.seed))
        self.asked_of.append((question, pools))
        if not self.willing:
            return None
        ranked = rank(scores, mp.L1Unstructured(1), masks)  # of the backend below
        self.made.append(ranked.engine)
        return ranked.engine


def rank(scores, method, masks=None):
    return plan.plan(scores, Question(method.target), method, masks)


@pytest.fixture
def asked(monkeypatch):
    def use(willing):
        own, right = Own(willing), plan.backend_of
        calls = []

        def found(tensor):
            calls.append(tensor)
            return own if len(calls) == 1 else right(tensor)

        monkeypatch.setattr(plan, "backend_of", found)
        return own

    return use


LAYERS = [np.array([3.0, -1.0], dtype=np.float32), np.array([[2.0, 0.5]], dtype=np.float16)]
MASKS = [None, np.array([[True, False]])]


@pytest.mark.parametrize("willing", [False, True])
def test_it_is_told_what_is_ranked(asked, willing):
    own = asked(willing)
    ranked = rank(LAYERS, mp.L1Unstructured(1), MASKS)
    ((scores, masks, bits, fmt, signed, seed),) = own.asked
    assert scores is LAYERS
    assert masks[0] is None
    assert masks[1] is MASKS[1]
    assert (bits, fmt, signed, seed) == (31, "float32", False, None)
    assert (ranked.engine in own.made) == willing
    ((question, pools),) = own.asked_of
    assert question.target.amount == 1
    assert pools.of == (0, 0)
    (cut,) = ranked.cuts
    assert (cut.count, cut.live) == (1, 3)


def test_it_is_told_of_signs_and_seeds(asked):
    own = asked(False)
    rank(LAYERS, mp.L1Unstructured(1, signed=True), MASKS)
    assert own.asked[0][2:] == (32, "float32", True, None)


def test_it_is_told_of_a_seed(asked):
    own = asked(False)
    rank(LAYERS, mp.RandomUnstructured(1, seed=7))
    assert own.asked[0][2:] == (32, "float32", False, 7)
    assert own.asked[0][1] == [None, None]
