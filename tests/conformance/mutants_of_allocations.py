"""Mutants of SPEC.md 18: a total shared out to tensors."""

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise

import numpy as np
from multiprune_conformance import oracle_allocation, oracle_names, oracle_pools
from multiprune_conformance.oracle_dtypes import Refused
from mutants import breaks

allocated, weights, whole = (
    oracle_allocation.allocated, oracle_allocation.weights, oracle_allocation.whole
)  # fmt: skip
exact, share, by_name = oracle_allocation.exact, oracle_allocation.as_share, oracle_names.by_name
chosen, lowest = oracle_pools.chosen, oracle_pools.lowest
ALLOCATED = "oracle_pools.allocated"
WEIGHTS, EXACT, WHOLE = (f"oracle_allocation.{name}" for name in ("weights", "exact", "whole"))


@breaks("ALLOC-01", WEIGHTS)
def unknown_allocations_are_uniform(allocation, names, shapes):
    known = isinstance(allocation, Mapping) or allocation == "erk"
    return weights(allocation if known else "uniform", names, shapes)


@breaks("ALLOC-01", ALLOCATED)
def each_tensor_takes_its_own_share_of_the_total(allocation, names, shapes, live, total):
    """What is pruned of each is rounded by itself."""
    exactly = exact(weights(allocation, names, shapes), live, sum(live) - total)
    return [round(alive - n) for alive, n in zip(live, exactly, strict=True)]


@breaks("ALLOC-02", ALLOCATED)
def weights_are_of_the_live(allocation, names, shapes, live, total):
    sizes = [(n,) for n in live] if allocation == "uniform" else shapes
    return allocated(allocation, names, sizes, live, total)


@breaks("ALLOC-03", WEIGHTS)
def erk_takes_channels_alone(allocation, names, shapes):
    """The rule without kernels: inputs and outputs, whatever a kernel covers."""
    if allocation == "erk":
        return [Fraction(sum(shape[:2]) * math.prod(shape[2:]) if shape else 1) for shape in shapes]
    return weights(allocation, names, shapes)


@breaks("ALLOC-03", WEIGHTS)
def erk_densities_are_not_scaled_by_size(allocation, names, shapes):
    found = weights(allocation, names, shapes)
    sizes = [math.prod(shape) for shape in shapes]
    return (
        [w / max(n, 1) for w, n in zip(found, sizes, strict=True)] if allocation == "erk" else found
    )


@breaks("ALLOC-03", WEIGHTS)
def erk_leaves_scalars_out(allocation, names, shapes):
    found = weights(allocation, names, shapes)
    return [w if shape or allocation != "erk" else Fraction(0)
            for w, shape in zip(found, shapes, strict=True)]  # fmt: skip


@breaks("ALLOC-04", WEIGHTS)
def shares_are_of_tensors(allocation, names, shapes):
    if not isinstance(allocation, Mapping):
        return weights(allocation, names, shapes)
    found = weights(allocation, names, shapes)
    return [w / max(math.prod(s), 1) for w, s in zip(found, shapes, strict=True)]


def reads(name, read):
    def as_share(value):
        return read(value)

    as_share.__name__ = name
    breaks("ALLOC-04", "oracle_allocation.as_share")(as_share)


reads("shares_take_booleans", lambda v: Fraction(v) if isinstance(v, bool) else share(v))
reads("shares_may_be_zero", lambda v: Fraction(0) if v == 0 else share(v))
reads("shares_are_absolute_values", lambda v: share(abs(v) if isinstance(v, int) else v))
reads("infinite_shares_are_large", lambda v: Fraction(10**30) if v == float("inf") else share(v))


@breaks("ALLOC-05", EXACT)
def shares_are_cut_off(weight, live, keep):
    """What a full tensor cannot take is taken by nobody."""
    total = sum(w for w, alive in zip(weight, live, strict=True) if alive)
    return [min(Fraction(n), keep * w / total) if total else Fraction(0)
            for w, n in zip(weight, live, strict=True)]  # fmt: skip


@breaks("ALLOC-05", EXACT)
def what_is_cut_off_is_shared_once(weight, live, keep):
    first = shares_are_cut_off(weight, live, keep)
    open_ = [i for i, n in enumerate(live) if first[i] < n]
    left, total = keep - sum(first), sum(weight[i] for i in open_)
    return [first[i] + left * weight[i] / total if i in open_ and total else first[i]
            for i in range(len(live))]  # fmt: skip


@breaks("ALLOC-05", EXACT)
def pruned_entries_are_shared_instead(weight, live, keep):
    """What is pruned goes by the weights, in place of what is kept."""
    gone = exact(weight, live, sum(live) - keep)
    return [n - g for n, g in zip(live, gone, strict=True)]


@breaks("ALLOC-05", EXACT)
def shares_in_float32(weight, live, keep):
    """As published: epsilon in float32, and each layer rounded down to whole entries."""
    dense: set[int] = set()
    single = [np.float32(float(w)) for w in weight]
    while True:
        open_ = [i for i, n in enumerate(live) if n and i not in dense]
        left = np.float32(keep - sum(live[i] for i in dense))
        eps = left / sum((single[i] for i in open_), np.float32(0)) if open_ else np.float32(0)
        full = {i for i in open_ if eps * single[i] >= live[i]}
        if not full:
            return [Fraction(live[i] if i in dense else float(eps * single[i]) if live[i] else 0)
                    for i in range(len(live))]  # fmt: skip
        dense |= full


@breaks("ALLOC-06", "oracle_pools.chosen")
def allocations_elsewhere_are_ignored(key, live, names, request):
    if request.scope not in ("global", "tensor"):
        request = request._replace(allocation=None)
    return chosen(key, live, names, request)


@breaks("ALLOC-06", "oracle_pools.chosen")
def the_scope_tensor_wins(key, live, names, request):
    if request.scope == "tensor":
        request = request._replace(allocation=None)
    return chosen(key, live, names, request)


@breaks("ALLOC-05", WHOLE)
def shares_are_rounded_tensor_by_tensor(shares):
    return [round(part) for part in shares]


@breaks("ALLOC-05", WHOLE)
def shares_are_rounded_down(shares):
    return [math.floor(part) for part in shares]


@breaks("ALLOC-05", WHOLE)
def the_last_tensor_takes_the_rest(shares):
    floors = [math.floor(part) for part in shares]
    floors[-1] += int(sum(shares)) - sum(floors)
    return floors


@breaks("ALLOC-05", WHOLE)
def equal_remainders_go_to_the_last(shares):
    return whole([*shares][::-1])[::-1]


@breaks("ALLOC-05", WHOLE)
def the_first_tensors_are_rounded_up(shares):
    """One more for each fraction, from the first tensor on, whatever the remainders."""
    missing = int(sum(shares)) - sum(math.floor(part) for part in shares)
    found = []
    for part in shares:
        up = part != math.floor(part) and missing > 0
        missing -= up
        found.append(math.floor(part) + up)
    return found


@breaks("ALLOC-05", WHOLE)
def shares_are_rounded_along_their_sums(shares):
    """Each is the difference of two rounded running sums."""
    sums = [round(sum(shares[:n], Fraction(0))) for n in range(len(shares) + 1)]
    return [b - a for a, b in pairwise(sums)]


@breaks("ALLOC-07", "oracle_pools.lowest")
def allocated_entries_are_the_first_ones(key, alive, pool, k):
    return lowest(np.zeros_like(key), alive, pool, k)


@breaks("ALLOC-07", "oracle_pools.lowest")
def allocated_counts_are_kept(key, alive, pool, k):
    """The counts of what is pruned, read as what is kept."""
    return lowest(key, alive, pool, int(alive[pool].sum()) - k)


@breaks("ALLOC-08", "oracle_allocation.as_share")
def shares_become_floats(value):
    return Fraction(float(share(value)))


@breaks("ALLOC-08", "oracle_allocation.as_share")
def shares_become_short_fractions(value):
    return share(value).limit_denominator(1000)


def covers(name, default):
    def by_name_or(settings, names, kind):
        return [default if found is None else found for found in by_name(settings, names, kind)]

    by_name_or.__name__ = name
    breaks("ALLOC-09", "oracle_allocation.by_name")(by_name_or)


covers("tensors_without_a_share_have_one", Fraction(1))
covers("tensors_without_a_share_are_emptied", Fraction(0))


@breaks("ALLOC-10", EXACT)
def finished_tensors_keep_their_weight(weight, live, keep):
    total = sum(weight)
    return [Fraction(min(Fraction(n), keep * w / total)) if total else Fraction(0)
            for w, n in zip(weight, live, strict=True)]  # fmt: skip


@breaks("ALLOC-10", ALLOCATED)
def finished_tensors_are_an_error(allocation, names, shapes, live, total):
    if 0 in live:
        raise Refused("allocation", "nothing left")
    return allocated(allocation, names, shapes, live, total)
