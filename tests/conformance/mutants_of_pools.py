"""Mutants of SPEC.md 15: who is ranked with whom."""

from fnmatch import fnmatch

import numpy as np
from multiprune_conformance import oracle, oracle_counts, oracle_names, oracle_pools
from multiprune_conformance.oracle_dtypes import Refused, convert, promote, typed
from mutants import breaks

check, pools, rows = oracle_pools.check, oracle_pools.pools, oracle_pools.rows
dimension, lowest = oracle_pools.dimension, oracle_pools.lowest
counted, chosen, by_name = oracle_pools.counted, oracle_pools.chosen, oracle_names.by_name
setting, pruned = oracle_names._setting, oracle.pruned
pool, keys = oracle._pool, oracle.keys
KEYED = "oracle_pools.by_name", "oracle_bounds.by_name", "oracle_allocation.by_name"


@breaks("SCOPE-01", "oracle_pools.chosen")
def unknown_scopes_are_global(key, live, names, request):
    known = isinstance(request.scope, (dict, tuple)) or request.scope in ("tensor", "row")
    return chosen(key, live, names, request if known else request._replace(scope="global"))


@breaks("SCOPE-02", "oracle_pools.pools")
def tensors_are_one_pool(places, names, request):
    found = pools(places, names, request)
    return [oracle_pools._join(found)] if request.scope == "tensor" else found


@breaks("SCOPE-03", "oracle_pools.rows")
def rows_are_always_the_first_dimension(place, dim):
    return rows(place, 0)


@breaks("SCOPE-03", "oracle_pools.rows")
def rows_run_along_the_dimension(place, dim):
    """`dim` as in reductions: what it names is what is compared."""
    along = dimension(place, 0 if dim is None else dim)
    return np.moveaxis(place, along, -1).reshape(-1, place.shape[along])


@breaks("SCOPE-04", "oracle_pools.by_name")
def what_no_label_names_is_left_alone(labels, names, kind):
    return [name if label is None else label
            for name, label in zip(names, by_name(labels, names, kind), strict=True)]  # fmt: skip


@breaks("SCOPE-04", "oracle_pools.pools")
def every_tensor_is_its_own_pool(places, names, request):
    pools(places, names, request)
    return list(places)


@breaks("SCOPE-05", "oracle_names._setting")
def the_first_key_that_matches_wins(settings, name, kind):
    found = [s for k, s in settings.items() if k == name or oracle_names.fnmatchcase(name, k)]
    return found[0] if found else None


@breaks("SCOPE-05", "oracle_names.fnmatchcase")
def patterns_know_no_case(name, key):
    return fnmatch(name.casefold(), key.casefold())


@breaks("SCOPE-05", "oracle_names.fnmatchcase")
def patterns_are_prefixes(name, key):
    return name.startswith(key.rstrip("*"))


@breaks("SCOPE-05", "oracle_names._setting")
def names_are_patterns_alone(settings, name, kind):
    """A name with brackets matches another one, and its own exception meets its rule."""
    return setting(
        {key + "*" if key == name else key: value for key, value in settings.items()}, name, kind
    )


@breaks("SCOPE-06", "oracle_pools.dimension")
def dimensions_wrap_around(place, dim):
    return dimension(place, dim % place.ndim if place.ndim > 1 else dim)


@breaks("SCOPE-06", "oracle_pools.check")
def dimensions_are_ignored_elsewhere(request):
    small = request.scope == "row" or isinstance(request.scope, tuple)
    check(request if small else request._replace(dim=None))


@breaks("SCOPE-07", "oracle_pools.dimension")
def vectors_are_one_row(place, dim):
    return dimension(place, dim) if place.ndim > 1 else 0


@breaks("SCOPE-08", "oracle_pools.counted")
def pools_round_half_up(request, alive):
    amount = request.amount
    if isinstance(amount, float) and 0 <= amount <= 1:
        return int(amount * int(alive.sum()) + 0.5)
    return counted(request, alive)


@breaks("SCOPE-08", "oracle_pools.counted")
def small_pools_lose_all(request, alive):
    """An integer that a pool has not is all of it."""
    try:
        return counted(request, alive)
    except Refused as refused:
        if refused.kind != "amount-too-large":
            raise
        return int(alive.sum())


@breaks("SCOPE-08", "oracle_pools.counted")
def pools_past_their_target_are_left_alone(request, alive):
    try:
        return counted(request, alive)
    except Refused as refused:
        if refused.kind != "sparsity-below-current":
            raise
        return 0


@breaks("SCOPE-08", "oracle_pools.counted")
def sparsity_is_of_the_live(request, alive):
    if request.sparsity is None:
        return counted(request, alive)
    return oracle_counts.count(request.sparsity, int(alive.sum()))


@breaks("SCOPE-08", "oracle_pools.chosen")
def rows_lose_a_share_of_the_tensor(key, live, names, request):
    """The count of the whole tensor, divided by its rows."""
    if request.scope != "row" or request.sparsity is not None:
        return chosen(key, live, names, request)
    gone = [np.zeros(0, int)]
    check(request)
    alive = np.concatenate([mask.reshape(-1) for mask in live])
    for place in oracle_pools.positions(live):
        table = rows(place, request.dim)
        each = counted(request, alive[place]) // max(len(table), 1)
        gone += [lowest(key, alive, row, each) for row in table]
    return np.concatenate(gone)


@breaks("SCOPE-09", "oracle_pools.lowest")
def the_last_of_a_pool_is_pruned_first(key, alive, pool_, k):
    return lowest(key, alive, pool_.reshape(-1)[::-1], k)


@breaks("SCOPE-09", "oracle_pools.lowest")
def ties_of_a_pool_are_pruned_together(key, alive, pool_, k):
    gone = lowest(key, alive, pool_, k)
    members = pool_.reshape(-1)
    return members[alive[members] & (key[members] <= key[gone[-1]])] if gone.size else gone


@breaks("SCOPE-09", "oracle.pruned")
def tensors_of_a_scope_are_promoted_alone(scores, **asked):
    if asked.get("seed") is not None or asked.get("scope") not in ("tensor", "row"):
        return pruned(scores, **asked)
    masks = asked.pop("masks", None) or [None] * len(scores)
    asked.pop("names", None)
    return [pruned([s], masks=[m], **asked)[0] for s, m in zip(scores, masks, strict=True)]


@breaks("SCOPE-10", "oracle_pools.chosen")
def draws_begin_anew_in_each_row(key, live, names, request):
    if key.dtype == np.uint32 and request.scope == "row":  # keys of float32, too, harmlessly
        places = oracle_pools.positions(live)
        key = key.copy()
        for row in pools(places, names, request):
            key[row] = key[: row.size]
    return chosen(key, live, names, request)


@breaks("SCOPE-11", "oracle_pools.counted")
def dead_entries_count_in_their_pool(request, alive):
    if request.sparsity is None:
        return min(oracle_counts.count(request.amount, alive.size), int(alive.sum()))
    return counted(request, alive)


@breaks("SCOPE-11", "oracle_pools.counted")
def a_dead_row_is_an_error(request, alive):
    if alive.size and not alive.any():
        raise Refused("amount-too-large", "nothing left")
    return counted(request, alive)


@breaks("SCOPE-12", "oracle_names._setting")
def the_last_pattern_wins(settings, name, kind):
    found = [s for k, s in settings.items() if oracle_names.fnmatchcase(name, k)]
    return settings.get(name, found[-1] if found else None)


@breaks("SCOPE-12", "oracle_bounds.by_name")
def one_and_one_point_zero_are_one_bound(settings, names, kind):
    found = by_name({k: pair_[1] for k, pair_ in settings.items()}, names, kind)
    return [None if value is None else (type(value), value) for value in found]


@breaks("SCOPE-13", *KEYED)
def keys_without_a_tensor_are_ignored(settings, names, kind):
    known = {key: value for key, value in settings.items()
             if any(key == n or oracle_names.fnmatchcase(n, key) for n in names)}  # fmt: skip
    return by_name(known, names, kind)


@breaks("SCOPE-13", *KEYED)
def a_pattern_that_decides_nothing_is_a_typo(settings, names, kind):
    for key in settings:
        rest = [name for name in names if name not in settings]
        if key not in names and not any(oracle_names.fnmatchcase(n, key) for n in rest):
            raise Refused(kind, key)
    return by_name(settings, names, kind)


@breaks("SCOPE-09", "oracle._pool")
def keys_of_a_list_are_never_promoted(scores, masks, signed):
    names = {typed(score).name for score in scores}
    key, live = pool(scores, masks, signed)
    if len(names) > 1 and promote(sorted(names)) == "float32":
        each = [keys(convert(s, typed(s).name), signed=signed).reshape(-1) for s in scores]
        return np.concatenate([part.astype(np.uint64) for part in each]), live
    return key, live
