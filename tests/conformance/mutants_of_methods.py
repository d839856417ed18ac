"""Mutants of SPEC.md 8 and 9: methods and draws."""

import numpy as np
from multiprune_conformance import oracle, oracle_implementation, oracle_random
from multiprune_conformance.oracle_dtypes import Refused
from multiprune_conformance.oracle_module import Module
from mutants import MUTANTS, Mutant, breaks

structured, philox = oracle.structured, oracle.philox
norms_of = oracle_implementation._norms
answer, ask = oracle_implementation.Oracle._pruned, Module._ask
block = oracle_random.philox_block

TYPES = dict.fromkeys(oracle_implementation.TYPES, "unstructured")
MUTANTS["ranks-any-method"] = Mutant(
    "ranks-any-method", "METH-02", (("oracle_implementation.TYPES", TYPES),)
)


GATE = dict(oracle_implementation.TYPES, identity="global")
MUTANTS["identity-is-global"] = Mutant(
    "identity-is-global", "METH-01", (("oracle_implementation.TYPES", GATE),)
)


@breaks("METH-03", "oracle_implementation.Oracle._pruned")
def identity_forgets_the_mask(self, request):
    if request.get("method") == "identity":
        tensors = [{k: v for k, v in t.items() if k != "mask"} for t in request["tensors"]]
        request = dict(request, tensors=tensors)
    return answer(self, request)


@breaks("METH-04", "oracle_module.Module._ask")
def custom_masks_replace(self, step, tensors, names):
    if step.get("method") == "custom_from_mask":
        tensors = [{k: v for k, v in tensor.items() if k != "mask"} for tensor in tensors]
    return ask(self, step, tensors, names)


@breaks("METH-09", "oracle.structured")
def takes_vectors_as_columns(norms, mask, dim, *, amount):
    column = np.reshape(mask, (-1, 1)) if np.ndim(mask) < 2 else mask
    norms = norms if np.ndim(mask) >= 2 else np.zeros(column.shape[0])
    return structured(norms, column, dim, amount=amount).reshape(np.shape(mask))


@breaks("METH-05", "oracle.structured")
def forgets_the_dimension(norms, mask, dim, *, amount):
    return structured(norms, mask, dim, amount=amount) if dim == 0 else np.asarray(mask) == 1


@breaks("METH-06", "oracle.structured")
def counts_dead_channels(norms, mask, dim, *, amount):
    kept = structured(norms, np.ones_like(mask), dim, amount=amount)
    return kept & (np.asarray(mask) == 1)


@breaks("METH-07", "oracle.structured")
def prunes_equal_channels_from_the_end(norms, mask, dim, *, amount):
    flipped = structured(norms[::-1], np.flip(mask, dim), dim, amount=amount)
    return np.flip(flipped, dim)


@breaks("METH-08", "oracle.structured")
def wraps_dimensions(norms, mask, dim, *, amount):
    wrapped = dim % max(np.ndim(mask), 1)
    length = np.shape(mask)[wrapped] if np.ndim(mask) else 0
    norms = norms if np.size(norms) == length else np.zeros(length)
    return structured(norms, mask, wrapped, amount=amount)


@breaks("METH-10", "oracle_implementation._norms")
def always_the_euclidean_norm(request, prior):
    return norms_of(dict(request, n=2), prior)


@breaks("METH-11", "oracle_implementation._norms")
def takes_any_norm(request, prior):
    try:
        return norms_of(request, prior)
    except Refused:
        return norms_of(dict(request, n=2), prior)


@breaks("RAND-01", "oracle_random.philox_block")
def swaps_output_words(counter, key):
    return block(counter, key)[::-1]


@breaks("RAND-01", "oracle_random.philox_block")
def swaps_key_words(counter, key):
    return block(counter, key[::-1])


@breaks("RAND-02", "oracle.philox")
def drops_half_of_the_seed(seed, positions):
    philox(seed, positions)
    return philox(seed % 2**32, positions)


@breaks("RAND-02", "oracle.philox")
def wraps_seeds(seed, positions):
    return philox(seed % 2**64 if isinstance(seed, int) else seed, positions)


@breaks("RAND-03", "oracle.philox")
def positions_of_32_bits(seed, positions):
    return philox(seed, np.asarray(positions).astype(np.uint64) & np.uint64(0xFFFFFFFF))


@breaks("RAND-04", "oracle.philox")
def takes_the_highest_draws(seed, positions):
    return ~philox(seed, positions)


@breaks("RAND-05", "oracle.random_unstructured")
def numbers_live_entries_only(shapes, *, seed, masks=None, **goal):
    live = oracle._flat(oracle._live([tuple(shape) for shape in shapes], masks))
    draws = np.zeros(live.size, dtype=np.uint32)
    draws[live] = philox(seed, np.arange(int(live.sum())))
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    parts = [part.reshape(s) for part, s in zip(np.split(draws, ends), shapes, strict=True)]
    return oracle.global_unstructured(parts, masks=masks, **goal)


@breaks("RAND-06", "oracle.random_structured")
def draws_channels_from_one(mask, dim, *, seed, amount):
    length = np.shape(mask)[dim]
    return structured(philox(seed, np.arange(1, length + 1)), mask, dim, amount=amount)
