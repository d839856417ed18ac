"""Mutants of SPEC.md 17: bounds within one ranking."""

import math
from collections.abc import Mapping

import numpy as np
from multiprune_conformance import oracle_bounds, oracle_counts, oracle_pools
from multiprune_conformance.oracle_dtypes import Refused
from mutants import breaks

limits, entries, within = oracle_bounds.limits, oracle_bounds.entries, oracle_bounds.within
settings, check, chosen = oracle_bounds.settings, oracle_pools.check, oracle_pools.chosen
number = oracle_counts.as_number
LIMITS, WITHIN = "oracle_pools.limits", "oracle_pools.within"


def counts_of(order, tensor, tensors):
    """Return how many entries of each tensor come up to each place of the order."""
    each = (tensor[order][:, None] == np.arange(tensors)).cumsum(axis=0)
    return np.vstack([np.zeros((1, tensors), dtype=np.int64), each])


def first_of(order, tensor, counts):
    """Return the first entries of each tensor, so many as are counted."""
    return np.concatenate([
        np.zeros(0, dtype=np.int64),
        *(order[tensor[order] == place][:k] for place, k in enumerate(counts)),
    ])  # fmt: skip


@breaks("BOUND-08", LIMITS)
def only_the_first_bound_holds(bounds, names, live, total):
    return limits(dict([*bounds.items()][:1]), names, live, total)


@breaks("BOUND-08", "oracle_bounds.settings")
def every_tensor_needs_a_bound(value, names):
    found = settings(value, names)
    if None in found:
        raise Refused("bounds", "a tensor without a bound")
    return found


@breaks("BOUND-08", "oracle_bounds.settings")
def bounds_follow_the_order_of_the_mapping(value, names):
    found = settings(value, names)
    fits = isinstance(value, Mapping) and len(value) == len(names)
    return [number(each) for each in value.values()] if fits else found


@breaks("BOUND-02", LIMITS)
def bounds_are_dropped(bounds, names, live, total):
    return [0] * len(live), [int(mask.sum()) for mask in live]


@breaks("BOUND-02", "oracle_bounds.entries")
def floors_are_of_the_live(value, live, bound):
    if bound == "keep_at_least" and isinstance(value, float):
        return math.ceil(value * int(live.sum()))
    return entries(value, live, bound)


@breaks("BOUND-03", LIMITS)
def ceilings_hold_for_a_round(bounds, names, live, total):
    """What was pruned earlier is not counted against `prune_at_most`."""
    most = settings(bounds.get("prune_at_most", 2**40), names)
    rest = {name: value for name, value in bounds.items() if name != "prune_at_most"}
    low, high = limits(rest, names, live, total) if rest else (
        [0] * len(live), [int(mask.sum()) for mask in live])  # fmt: skip
    return low, [h if n is None else min(h, entries(n, mask, "prune_at_most"))
                 for h, n, mask in zip(high, most, live, strict=True)]  # fmt: skip


@breaks("BOUND-04", "oracle_bounds.entries")
def targets_hold_for_a_round(value, live, bound):
    """What was pruned earlier is not counted towards `prune_at_least`."""
    dead = live.size - int(live.sum()) if bound == "prune_at_least" else 0
    return entries(value, live, bound) + dead


@breaks("BOUND-05", LIMITS)
def the_upper_bound_wins(bounds, names, live, total):
    try:
        return limits(bounds, names, live, total)
    except Refused:
        rest = {name: value for name, value in bounds.items() if name != "prune_at_least"}
        return limits(rest, names, live, total)


@breaks("BOUND-05", LIMITS)
def bounds_that_meet_contradict(bounds, names, live, total):
    low, high = limits(bounds, names, live, total)
    if any(0 < a == b for a, b in zip(low, high, strict=True)):
        raise Refused("bounds", "they meet")
    return low, high


@breaks("BOUND-06", "oracle_pools.chosen")
def amounts_are_cut_down(key, live, names, request):
    """The nearest amount that the bounds allow takes the place of the one that was asked for."""
    asked = [request, *(request._replace(amount=k, sparsity=None) for k in range(30, -1, -1))]
    for each in asked if request.bounds else asked[:1]:
        try:
            return chosen(key, live, names, each)
        except Refused as refused:
            if refused.kind not in ("bounds", "amount-too-large") or each is asked[-1]:
                raise
    return chosen(key, live, names, request)


@breaks("BOUND-06", LIMITS)
def the_last_entry_is_one_too_many(bounds, names, live, total):
    low, high = limits(bounds, names, live, total)
    if bounds and total >= sum(high):
        raise Refused("bounds", "not below")
    return low, high


@breaks("BOUND-07", "oracle_pools.chosen")
def bounds_are_ignored_elsewhere(key, live, names, request):
    if request.scope != "global" or request.allocation is not None:
        request = request._replace(keep_at_least=None, prune_at_most=None, prune_at_least=None)
    return chosen(key, live, names, request)


@breaks("BOUND-01", WITHIN)
def clamps_and_cuts_again(order, tensor, low, high, total):
    """What passes a bound is fixed there, and the others are ranked anew."""
    fixed: dict[int, int] = {}
    while True:
        rest = order[~np.isin(tensor[order], [*fixed])]
        cut = rest[: max(0, total - sum(fixed.values()))]
        counts = np.bincount(tensor[cut], minlength=len(low))
        held = np.clip(counts, low, high)
        wrong = {i: int(n) for i, n in enumerate(held) if i not in fixed and n != counts[i]}
        if not wrong:
            return first_of(order, tensor, [fixed.get(i, n) for i, n in enumerate(counts)])
        fixed |= wrong


@breaks("BOUND-01", WITHIN)
def clamps_once(order, tensor, low, high, total):
    counts = np.clip(np.bincount(tensor[order[:total]], minlength=len(low)), low, high)
    return first_of(order, tensor, counts)


@breaks("BOUND-01", WITHIN)
def clamps_before_the_sum(order, tensor, low, high, total):
    """Each half of the entries is counted by itself, and clamped, before the halves are added."""
    half = np.arange(tensor.size) % 2
    parts = sum(np.clip(counts_of(order, np.where(half == h, tensor, -1), len(low)), low, high)
                for h in (0, 1))  # fmt: skip
    place = int(np.argmax(parts.sum(axis=1) >= total))
    counts = counts_of(order, tensor, len(low))[place]
    return first_of(order, tensor, np.clip(counts, low, high))


@breaks("BOUND-01", WITHIN)
def lower_bounds_come_on_top(order, tensor, low, high, total):
    """What each tensor has to lose is pruned first, and the rest within the amount that is left."""
    first = first_of(order, tensor, low)
    rest = order[~np.isin(order, first)]
    return np.concatenate([first, within(rest, tensor, [0] * len(low), high, total - len(first))])


@breaks("BOUND-01", WITHIN)
def what_is_missing_is_shared_evenly(order, tensor, low, high, total):
    counts = np.clip(np.bincount(tensor[order[:total]], minlength=len(low)), low, high)
    while (missing := total - int(counts.sum())) != 0:
        room = (counts < high) if missing > 0 else (counts > low)
        for place in np.flatnonzero(room)[: abs(missing)]:
            counts[place] += 1 if missing > 0 else -1
    return first_of(order, tensor, counts)


@breaks("BOUND-01", WITHIN)
def the_last_of_equals_within_bounds(order, tensor, low, high, total):
    """An order by key alone, reversed among the tensors that tie."""
    counts = np.bincount(tensor[within(order, tensor, low, high, total)], minlength=len(low))
    mirrored = counts.copy()
    mirrored[:2] = counts[:2][::-1]
    fits = all(a <= n <= b for a, n, b in zip(low, mirrored, high, strict=True))
    return first_of(order, tensor, mirrored if fits else counts)


def by_product(rounding):
    def entries_of(value, live, bound):
        if isinstance(value, int):
            return value
        return rounding(value * live.size, bound)

    return entries_of


up = by_product(lambda x, bound: math.floor(x) if bound == "prune_at_most" else math.ceil(x))
up.__name__ = "bounds_are_products"
breaks("BOUND-09", "oracle_bounds.entries")(up)
even = by_product(lambda x, bound: round(x))
even.__name__ = "bounds_round_half_to_even"
breaks("BOUND-09", "oracle_bounds.entries")(even)
down = by_product(lambda x, bound: math.floor(x))
down.__name__ = "bounds_are_truncated"
breaks("BOUND-09", "oracle_bounds.entries")(down)


@breaks("BOUND-09", "oracle_bounds.entries")
def at_least_one_entry_of_an_empty_tensor(value, live, bound):
    return max(entries(value, live, bound), 1 if value else 0)


@breaks("BOUND-10", "oracle_bounds.as_number")
def bounds_take_booleans(value):
    return int(value) if isinstance(value, bool) else number(value)


@breaks("BOUND-10", "oracle_bounds.as_number")
def bounds_are_clipped(value):
    if isinstance(value, float) and not math.isnan(value):
        return min(max(value, 0.0), 1.0)
    return number(value)


@breaks("BOUND-10", "oracle_bounds.entries")
def bounds_fit_their_tensor(value, live, bound):
    if isinstance(value, int) and value > live.size:
        raise Refused("bounds", "larger than the tensor")
    return entries(value, live, bound)


@breaks("BOUND-11", LIMITS)
def bounds_that_are_passed_are_errors(bounds, names, live, total):
    for place, n in enumerate(settings(bounds.get("prune_at_most"), names)
                              if "prune_at_most" in bounds else []):  # fmt: skip
        dead = live[place].size - int(live[place].sum())
        if n is not None and entries(n, live[place], "prune_at_most") < dead:
            raise Refused("bounds", "passed")
    return limits(bounds, names, live, total)


@breaks("BOUND-11", LIMITS)
def bounds_are_of_the_live_entries(bounds, names, live, total):
    alive = [np.ones(int(mask.sum()), dtype=bool) for mask in live]
    return limits(bounds, names, alive, total)
