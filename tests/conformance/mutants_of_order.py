"""Mutants of SPEC.md 4, 5 and 7: ranking, ties, scores."""

import numpy as np
from multiprune_conformance import oracle, oracle_dtypes, oracle_implementation
from multiprune_conformance.oracle_dtypes import COMPLEX, typed
from mutants import breaks

keys, promote, convert, ranked = oracle.keys, oracle.promote, oracle.convert, oracle._ranked
decode, cut = oracle_dtypes.decode, oracle.cut
pruned = oracle.global_unstructured
scores_of = oracle_implementation._scores
answer, masks_of = oracle_implementation.Oracle._pruned, oracle._masks


@breaks("RANK-01", "oracle.global_unstructured")
def local_under_a_global_name(scores, *, masks=None, **options):
    held = masks or [None] * len(scores)
    return [pruned([s], masks=[m], **options)[0] for s, m in zip(scores, held, strict=True)]


@breaks("RANK-02", "oracle._ranked")
def largest_go(key, live, k):
    order = np.argsort(key, kind="stable")[::-1]
    return order[live[order]][:k]


@breaks("RANK-03", "oracle.global_unstructured")
def divides_by_the_norm(scores, **options):
    def scaled(array):
        name, bits = typed(array)
        if name != "float32" or not bits.size:
            return array
        values = decode(name, bits)
        with np.errstate(all="ignore"):
            return (np.abs(values) / np.linalg.norm(values)).astype(np.float32)

    return pruned([scaled(score) for score in scores], **options)


@breaks("RANK-07", "oracle.cut")
def cuts_at_the_last_tie(scores, **options):
    threshold, position, ties = cut(scores, **options)
    flat = np.concatenate([keys(convert(s, promote([typed(t).name for t in scores]))).reshape(-1)
                           for s in scores])  # fmt: skip
    last = np.flatnonzero(flat == threshold)
    return threshold, min(position, int(last[-1]) if last.size else -1), ties


@breaks("AMT-04", "oracle._ranked")
def prunes_up_to_the_threshold(key, live, k):
    gone = ranked(key, live, k)
    return np.flatnonzero(live & (key <= key[gone[-1]])) if gone.size else gone


@breaks("AMT-04", "oracle._ranked")
def keeps_from_the_threshold(key, live, k):
    gone = ranked(key, live, k)
    return np.flatnonzero(live & (key < key[gone[-1]])) if gone.size else gone


@breaks("TIE-01", "oracle._ranked")
def last_ties_go_first(key, live, k):
    order = np.lexsort((-np.arange(key.size), key))
    return order[live[order]][:k]


@breaks("TIE-02", "oracle._flat")
def runs_down_the_columns(arrays):
    return np.concatenate([array.reshape(-1, order="F") for array in arrays])


@breaks("TIE-03", "oracle_implementation._in_order")
def reverses_lists(tensors):
    order = [*range(len(tensors))][::-1]
    return [tensors[place] for place in order], order


@breaks("TIE-04", "oracle_implementation._in_order")
def takes_names_as_they_come(tensors):
    return tensors, [*range(len(tensors))]


def _by(key):
    def order_of(tensors):
        order = [*range(len(tensors))]
        if tensors and all("name" in tensor for tensor in tensors):
            order.sort(key=lambda place: key(tensors[place]["name"]))
        return [tensors[place] for place in order], order

    return order_of


utf_16 = _by(lambda name: name.encode("utf-16-be"))
utf_16.__name__ = "orders_by_utf_16"
breaks("TIE-04", "oracle_implementation._in_order")(utf_16)
folded = _by(str.casefold)
folded.__name__ = "orders_without_case"
breaks("TIE-04", "oracle_implementation._in_order")(folded)


@breaks("SCORE-01", "oracle_implementation._scores")
def ignores_scores(request, tensors):
    scores_of(request, tensors)
    return scores_of({}, tensors)


@breaks("SCORE-02", "oracle_implementation._scores")
def compares_sizes_only(request, tensors):
    if "scores" in request:
        shapes = {tensor["name"]: tensor["shape"] for tensor in tensors}
        scores = {
            name: dict(score, shape=shapes[name])
            if name in shapes and np.prod(score["shape"]) == np.prod(shapes[name]) else score
            for name, score in request["scores"].items()
        }  # fmt: skip
        request = dict(request, scores=scores)
    return scores_of(request, tensors)


@breaks("SCORE-03", "oracle_implementation._scores")
def falls_back_to_values(request, tensors):
    if "scores" in request:
        scores = {t["name"]: request["scores"].get(t["name"], t) for t in tensors}
        request = dict(request, scores=scores)
    return scores_of(request, tensors)


@breaks("SCORE-04", "oracle.keys")
def scores_keep_their_sign(array, *, signed=False):
    return keys(array, signed=typed(array).name not in COMPLEX)


@breaks("SCORE-07", "oracle_implementation._scores")
def converts_to_the_values_dtype(request, tensors):
    found = scores_of(request, tensors)
    if "scores" not in request or any(tensor["dtype"] == "bool" for tensor in tensors):
        return found
    common = promote([tensor["dtype"] for tensor in tensors])
    return [convert(score, common) for score in found]


@breaks("SCORE-05", "oracle_implementation.Oracle._pruned")
def signed_scores_rank_by_magnitude(self, request):
    return answer(self, dict(request, signed=False) if "scores" in request else request)


@breaks("RANK-04", "oracle._masks")
def flattens_masks(gone, live):
    return [mask.reshape(-1) for mask in masks_of(gone, live)]


@breaks("RANK-06", "oracle.cut")
def cuts_one_position_late(scores, **options):
    threshold, position, ties = cut(scores, **options)
    return threshold, position + 1, ties


@breaks("TIE-05", "oracle._ranked")
def takes_one_of_the_next(key, live, k):
    every = ranked(key, live, key.size)
    return np.append(every[: k - 1], every[-1]) if 0 < k < every.size else every[:k]
