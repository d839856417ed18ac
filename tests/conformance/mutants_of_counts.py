"""Mutants of SPEC.md 1 and 6: how many go, and what was gone already."""

import math

import numpy as np
from multiprune_conformance import oracle, oracle_counts
from multiprune_conformance.oracle_dtypes import Refused
from multiprune_conformance.oracle_implementation import Oracle
from mutants import breaks

prune = Oracle._prune
number, how_many, count = oracle_counts.as_number, oracle_counts.how_many, oracle_counts.count
live_of = oracle._live


@breaks("AMT-02", "oracle_counts.count")
def rounds_half_up(amount, live):
    value = number(amount)
    return math.floor(value * live + 0.5) if isinstance(value, float) else count(value, live)


@breaks("AMT-02", "oracle_counts.count")
def truncates(amount, live):
    value = number(amount)
    return math.floor(value * live) if isinstance(value, float) else count(value, live)


@breaks("AMT-02", "oracle_counts.count")
def rounds_up(amount, live):
    value = number(amount)
    return math.ceil(value * live) if isinstance(value, float) else count(value, live)


@breaks("AMT-02", "oracle_counts.count")
def counts_in_float32(amount, live):
    value = number(amount)
    if isinstance(value, float):
        return round(float(np.float32(value) * np.float32(live)))
    return count(value, live)


@breaks("AMT-03", "oracle_counts.how_many")
def counts_of_total(amount, sparsity, live):
    if sparsity is None and amount is not None:
        return count(amount, live.size)
    return how_many(amount, sparsity, live)


@breaks("AMT-05", "oracle_counts.as_number")
def one_is_one_point_zero(amount):
    return 1.0 if not isinstance(amount, bool) and amount == 1 else number(amount)


@breaks("AMT-05", "oracle_counts.as_number")
def one_point_zero_is_one(amount):
    return 1 if isinstance(amount, float) and amount == 1 else number(amount)


@breaks("AMT-06", "oracle_counts.count")
def at_least_one_goes(amount, live):
    return max(count(amount, live), min(1, live))


@breaks("AMT-07", "oracle_counts.count")
def multiplies_narrow_floats(amount, live):
    if isinstance(amount, np.floating):
        with np.errstate(over="ignore"):
            return round(float(amount * type(amount)(live)))
    return count(amount, live)


@breaks("AMT-08", "oracle_counts.as_number")
def takes_booleans(amount):
    return int(amount) if isinstance(amount, bool) else number(amount)


@breaks("AMT-09", "oracle_counts.as_number")
def reads_text(amount):
    return float(amount) if isinstance(amount, str) and amount else number(amount)


@breaks("AMT-10", "oracle_counts.as_number")
def lets_nan_through(amount):
    return 0.0 if isinstance(amount, float) and math.isnan(amount) else number(amount)


@breaks("AMT-10", "oracle_counts.as_number")
def clips_out_of_range(amount):
    return min(max(amount, 0.0), 1.0) if isinstance(amount, float) else number(amount)


@breaks("AMT-11", "oracle_counts.count")
def clips_counts(amount, live):
    value = number(amount)
    return min(value, live) if isinstance(value, int) else count(value, live)


@breaks("AMT-11", "oracle_counts.count")
def refuses_all_of_them(amount, live):
    value = number(amount)
    if isinstance(value, int) and value >= live > 0:
        raise Refused("amount-too-large", "not below the live entries")
    return count(value, live)


@breaks("AMT-13", "oracle_counts.count_sparsity")
def target_of_the_rest(sparsity, total, pruned):
    return count(float(number(sparsity)), total - pruned)


@breaks("AMT-14", "oracle_counts.count_sparsity")
def clips_targets(sparsity, total, pruned):
    return max(0, round(number(sparsity) * total) - pruned)


@breaks("AMT-15", "oracle_counts.count_sparsity")
def takes_integer_targets(sparsity, total, pruned):
    return max(0, round(float(number(sparsity)) * total) - pruned)


@breaks("AMT-16", "oracle_counts.how_many")
def amount_wins(amount, sparsity, live):
    return how_many(amount, None if amount is not None else sparsity, live)


@breaks("MASK-01", "oracle._live")
def forgets_prior_masks(shapes, masks):
    return [np.ones_like(live) for live in live_of(shapes, masks)]


@breaks("MASK-02", "oracle._ranked")
def ranks_pruned_entries(key, live, k):
    return np.argsort(np.where(live, key, 0), kind="stable")[:k]


@breaks("MASK-03", "oracle._live")
def takes_any_value(shapes, masks):
    given = None if masks is None else [
        None if mask is None else (np.asarray(mask) == 1) * 1 for mask in masks
    ]  # fmt: skip
    return live_of(shapes, given)


@breaks("MASK-04", "oracle._live")
def reshapes_masks(shapes, masks):
    given = None if masks is None else [
        mask if mask is None or np.size(mask) != math.prod(shape) else np.reshape(mask, shape)
        for shape, mask in zip(shapes, masks, strict=True)
    ]  # fmt: skip
    return live_of(shapes, given)


@breaks("MASK-05", "oracle._live")
def first_mask_for_all(shapes, masks):
    if masks is not None and any(mask is not None for mask in masks):
        masks = [np.zeros(s) if m is None else m for s, m in zip(shapes, masks, strict=True)]
    return live_of(shapes, masks)


@breaks("ERR-03", "oracle_implementation.Oracle._prune")
def nothing_is_fine(self, request):
    return prune(self, request) if request["tensors"] else {"masks": []}


@breaks("AMT-01", "oracle_counts.count")
def integers_are_percent(amount, live):
    value = number(amount)
    return round(value / 100 * live) if isinstance(value, int) else count(value, live)


@breaks("AMT-12", "oracle_counts.count")
def nothing_left_is_an_error(amount, live):
    if live == 0:
        raise Refused("amount-too-large", "nothing left")
    return count(amount, live)


@breaks("ITER-02", "oracle_counts.count_sparsity")
def compounds_over_rounds(sparsity, total, pruned):
    return round(number(sparsity) * (total - pruned))


@breaks("ERR-02", "oracle_counts.as_number")
def one_kind_for_all_errors(amount):
    try:
        return number(amount)
    except Refused as refused:
        raise Refused("value-error", str(refused)) from refused


@breaks("SCORE-06", "oracle._ranked")
def ranks_the_scores_of_pruned_entries(key, live, k):
    return np.argsort(key, kind="stable")[:k]
