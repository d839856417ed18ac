"""Mutants that released pruners were seen to be, each under the vector that its bug led to."""

import math

import numpy as np
from multiprune_conformance import oracle, oracle_counts
from multiprune_conformance.oracle_encoding import read_mask
from multiprune_conformance.oracle_implementation import Oracle
from mutants import breaks

ranked, prune = oracle._ranked, Oracle._prune
count, number = oracle_counts.count, oracle_counts.as_number
NAN = oracle.keys(np.array([np.nan], dtype=np.float32))[0]


@breaks("AMT-06", "oracle_counts.count")
def keeps_the_last_entry(amount, live):
    """At least one entry stays in the whole model."""
    return min(count(amount, live), max(live - 1, 0))


@breaks("NUM-03", "oracle._ranked")
def loses_all_at_a_nan_threshold(key, live, k):
    """`score >= threshold` is false for all when the threshold is NaN."""
    gone = ranked(key, live, k)
    return np.flatnonzero(live) if gone.size and key[gone[-1]] == NAN else gone


@breaks("AMT-02", "oracle_counts.how_many")
def takes_the_quantile_of_one_less(amount, sparsity, live):
    """The k-th of n for k = int((n - 1) * ratio) + 1."""
    value = number(amount)
    if isinstance(value, float) and live.any():
        return int((int(live.sum()) - 1) * value) + 1
    return count(amount, int(live.sum()))


@breaks("AMT-04", "oracle._ranked")
def goes_by_an_interpolated_quantile(key, live, k):
    """What lies at or below the quantile, however many tie with it."""
    alive = key[live]
    if k == 0 or not alive.size:
        return ranked(key, live, k)
    bound = np.quantile(alive.astype(np.float64), (k - 1) / max(alive.size - 1, 1))
    return np.flatnonzero(live & (key.astype(np.float64) <= math.floor(bound)))


@breaks("MASK-01", "oracle_implementation.Oracle._prune")
def computes_masks_afresh(self, request):
    """Masks come from the dense weights, whatever was pruned before."""
    fresh = [{k: v for k, v in item.items() if k != "mask"} for item in request["tensors"]]
    for item in request["tensors"]:
        read_mask(item.get("mask"))
    return prune(self, request | {"tensors": fresh})


@breaks("FILE-01", "oracle_masks.np.packbits")
def packs_from_the_highest_bit(flat, bitorder="little"):
    """The default order of packers of bits."""
    return PACKBITS(flat, bitorder="big")


PACKBITS = np.packbits
