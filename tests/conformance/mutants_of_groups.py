"""Mutants of SPEC.md 16: n of each m consecutive entries."""

import numpy as np
from multiprune_conformance import oracle_pools
from mutants import breaks

groups, dimension, lowest = oracle_pools.groups, oracle_pools.dimension, oracle_pools.lowest
over, chosen, pair = oracle_pools.over, oracle_pools.chosen, oracle_pools._check_groups


@breaks("GROUP-01", "oracle_pools.groups")
def groups_run_along_the_outputs(place, m, dim):
    return groups(place, m, 0 if dim is None else dim)


@breaks("GROUP-01", "oracle_pools.groups")
def groups_run_along_the_last_dimension(place, m, dim):
    return groups(place, m, -1 if dim is None else dim)


@breaks("GROUP-01", "oracle_pools.groups")
def groups_are_consecutive_in_memory(place, m, dim):
    groups(place, m, dim)
    return place.reshape(-1, m)


@breaks("GROUP-01", "oracle_pools.groups")
def groups_take_every_mth_entry(place, m, dim):
    table = groups(place, m, dim)
    along = dimension(place, 1 if dim is None else dim)
    moved = np.moveaxis(place, along, -1)
    count = place.shape[along] // m
    return moved.reshape(-1, m, count).swapaxes(1, 2).reshape(table.shape)


@breaks("GROUP-02", "oracle_pools.over")
def n_of_m_are_pruned(key, alive, table, n):
    return over(key, alive, table, table.shape[1] - n)


@breaks("GROUP-03", "oracle_pools.groups")
def the_last_group_may_be_shorter(place, m, dim):
    along = dimension(place, 1 if dim is None else dim)
    whole = place.shape[along] // m * m
    return groups(np.take(place, np.arange(whole), axis=along), m, dim)


@breaks("GROUP-06", "oracle_pools._check_groups")
def pairs_are_clipped(scope):
    if len(scope) != 2 or not all(type(x) is int for x in scope) or scope[1] < 1:
        pair(scope)


@breaks("GROUP-06", "oracle_pools._check_groups")
def booleans_are_integers(scope):
    pair(tuple(int(x) if isinstance(x, bool) else x for x in scope))


@breaks("GROUP-02", "oracle_pools.chosen")
def the_pair_wins_over_the_amount(key, live, names, request):
    if isinstance(request.scope, tuple):
        request = request._replace(amount=None, sparsity=None)
    return chosen(key, live, names, request)


@breaks("GROUP-04", "oracle_pools.over")
def groups_are_cut_at_a_threshold(key, alive, table, n):
    """What is at or above the n-th largest is kept: too many among equals."""
    gone = over(key, alive, table, n)
    pruned_ = np.isin(table, gone)
    kept = np.where(alive[table] & ~pruned_, key[table].astype(object), 2**70).min(1, initial=2**70)
    return table[pruned_ & (key[table] < kept[:, None])]


@breaks("GROUP-04", "oracle_pools.over")
def groups_lose_all_at_the_threshold(key, alive, table, n):
    gone = np.isin(table, over(key, alive, table, n))
    top = np.where(gone, key[table].astype(object), -1).max(1, initial=-1)
    return table[alive[table] & (key[table] <= top[:, None])]


@breaks("GROUP-04", "oracle_pools.over")
def the_last_of_a_group_is_pruned_first(key, alive, table, n):
    return oracle_pools._join([
        lowest(key, alive, row[::-1], max(0, int(alive[row].sum()) - n)) for row in table
    ])  # fmt: skip


@breaks("GROUP-04", "oracle_pools.over")
def nan_is_lowest_in_a_group(key, alive, table, n):
    """What compares false with every entry is the lowest."""
    top = {np.dtype(np.uint32): 0x7F800001, np.dtype(np.uint16): 0x7C01}.get(key.dtype)
    return over(np.where(key == top, 0, key) if top else key, alive, table, n)


@breaks("GROUP-05", "oracle_pools.over")
def groups_lose_m_minus_n_of_what_is_live(key, alive, table, n):
    return oracle_pools._join([lowest(key, alive, row, row.size - n) for row in table])


@breaks("GROUP-05", "oracle_pools.over")
def pruned_entries_rank_in_their_group(key, alive, table, n):
    gone = over(key, np.ones_like(alive), table, n)
    return gone[alive[gone]]
