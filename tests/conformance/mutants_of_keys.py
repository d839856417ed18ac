"""Mutants of SPEC.md 2 and 3: keys and promotion."""

import numpy as np
from multiprune_conformance import oracle, oracle_dtypes, oracle_implementation
from multiprune_conformance.oracle_dtypes import COMPLEX, FORMATS, SIGNED, Typed, typed
from mutants import breaks

keys, promote, convert, ranked = oracle.keys, oracle.promote, oracle.convert, oracle._ranked
magnitude = oracle_dtypes.magnitude_key
pruned = oracle.global_unstructured
read = oracle_implementation.read_array


@breaks("NUM-01", "oracle.keys")
def forgets_the_absolute_value(array, *, signed=False):
    return keys(array, signed=typed(array).name not in COMPLEX)


@breaks("NUM-03", "oracle_dtypes.magnitude_key")
def nan_goes_first(name, bits):
    key = magnitude(name, bits)
    return np.where(key == FORMATS[name].nan, 0, key + (key != FORMATS[name].nan) * 1)


@breaks("NUM-04", "oracle_dtypes.magnitude_key")
def orders_nan_by_payload(name, bits):
    return bits & bits.dtype.type((1 << (FORMATS[name].width - 1)) - 1)


@breaks("NUM-05", "oracle_dtypes.magnitude_key")
def zeros_differ_by_sign(name, bits):
    key = magnitude(name, bits).astype(np.uint64) + np.uint64(1)
    return np.where((key == 1) & (bits != 0), np.uint64(0), key)


@breaks("NUM-06", "oracle_dtypes.magnitude_key")
def flushes_subnormals(name, bits):
    key = magnitude(name, bits)
    return np.where(key < 1 << FORMATS[name].mantissa, 0, key)


@breaks("NUM-07", "oracle_dtypes.magnitude_key")
def infinity_is_nan(name, bits):
    key = magnitude(name, bits)
    return np.where(key == FORMATS[name].nan - 1, FORMATS[name].nan, key)


@breaks("NUM-08", "oracle_dtypes.magnitude_key")
def fnuz_like_ieee(name, bits):
    return bits & bits.dtype.type((1 << (FORMATS[name].width - 1)) - 1)


@breaks("NUM-09", "oracle.keys")
def absolute_value_overflows(array, *, signed=False):
    name, data = typed(array)
    if name in SIGNED and not signed:
        with np.errstate(over="ignore"):
            return keys(Typed(name, np.abs(data)), signed=True)
    return keys(array, signed=signed)


@breaks("NUM-10", "oracle.keys")
def unsigned_read_as_signed(array, *, signed=False):
    name, data = typed(array)
    if name.startswith("uint"):
        return keys(Typed(name[1:], data.view(name[1:])))
    return keys(array, signed=signed)


@breaks("NUM-11", "oracle.keys")
def ranks_the_real_part(array, *, signed=False):
    name, data = typed(array)
    return keys(data.real.copy()) if name in COMPLEX else keys(array, signed=signed)


@breaks("NUM-14", "oracle.keys")
def ignores_signed(array, *, signed=False):
    return keys(array)


@breaks("NUM-17", "oracle._ranked")
def zeros_are_no_entries(key, live, k):
    return ranked(key, live & (key != 0), k)


@breaks("TYPE-02", "oracle.promote")
def first_dtype_wins(names):
    promote(names)
    return names[0]


@breaks("TYPE-03", "oracle.promote")
def halves_meet_in_bfloat16(names):
    return "bfloat16" if set(names) == {"float16", "bfloat16"} else promote(names)


@breaks("TYPE-04", "oracle.promote")
def integers_stay_exact(names):
    mixed = {name.rstrip("0123456789") for name in names} >= {"int", "float"}
    return "float64" if mixed else promote(names)


@breaks("TYPE-05", "oracle.convert")
def flushes_in_conversion(array, name):
    source, data = typed(array)
    if source in FORMATS and source != name:
        data = np.where(magnitude(source, data) < 1 << FORMATS[source].mantissa, 0, data)
        data = data.astype(f"uint{FORMATS[source].width}")
    return convert(Typed(source, data), name)


@breaks("TYPE-06", "oracle.promote")
def float8_meets_in_float16(names):
    return "float16" if {"float8_e4m3fn", "float8_e5m2"} == set(names) else promote(names)


@breaks("TYPE-07", "oracle.promote")
def wide_unsigned_joins(names):
    return "int32" if set(names) == {"uint16", "int32"} else promote(names)


@breaks("TYPE-09", "oracle.global_unstructured")
def empty_tensors_do_not_count(scores, **options):
    full = [score for score in scores if typed(score).data.size]
    done = iter(pruned(full, **options)) if full else iter(())
    return [next(done) if typed(s).data.size else typed(s).data == 1 for s in scores]


@breaks("NUM-02", "oracle_dtypes.magnitude_key")
def shifts_keys(name, bits):
    return magnitude(name, bits).astype(np.uint64) << np.uint64(1)


@breaks("NUM-12", "oracle_implementation.read_array")
def ranks_booleans(item):
    return read(dict(item, dtype="uint8") if item["dtype"] == "bool" else item)


@breaks("NUM-13", "oracle_implementation.read_array")
def ranks_any_dtype(item):
    try:
        return read(item)
    except oracle.Refused:
        return read(dict(item, dtype="float32"))


@breaks("NUM-15", "oracle.keys")
def signed_integers_rank_by_magnitude(array, *, signed=False):
    return keys(array, signed=signed and typed(array).name in FORMATS)


@breaks("NUM-16", "oracle.keys")
def complex_scores_rank_signed(array, *, signed=False):
    return keys(array, signed=signed and typed(array).name not in COMPLEX)


@breaks("TYPE-01", "oracle.convert")
def compares_keys_of_different_formats(array, name):
    return typed(array)


@breaks("TYPE-08", "oracle.promote")
def complex_stays_narrow(names):
    return "complex64" if "complex64" in names else promote(names)
