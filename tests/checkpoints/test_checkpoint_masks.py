"""What is pruned in a file is what the oracle prunes in memory, and nothing else changes."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from checkpoint_files import (
    FLOAT8,
    FLOATS,
    dtype,
    encode,
    random_array,
    raw_file,
    read,
    write,
    write_shards,
)
from multiprune_checkpoints import (
    diff_checkpoints,
    inspect_checkpoint,
    load_masks,
    prune_checkpoint,
)
from multiprune_checkpoints.formats.checkpoint import open_checkpoint
from multiprune_checkpoints.formats.header import parse_header
from multiprune_conformance import oracle

import multiprune
from multiprune.errors import DtypeError

DIGEST = "multiprune.masks.sha256"


def bits(array: np.ndarray) -> np.ndarray:
    return array.view(f"u{array.dtype.itemsize}")


def expected(tensors, masks):
    """Tensors with +0 wherever their mask is False."""
    return {
        n: np.where(masks[n], bits(t), 0) if n in masks else bits(t) for n, t in tensors.items()
    }


def check(path, tensors, names, masks):
    found = read(path)
    want = expected(tensors, dict(zip(names, masks, strict=True)))
    assert list(found) == list(tensors)
    for name, array in found.items():
        assert array.dtype == tensors[name].dtype
        np.testing.assert_array_equal(bits(array), want[name], err_msg=name)


@pytest.mark.parametrize("few", [0, 5], ids=["random", "ties"])
@pytest.mark.parametrize("name", FLOATS + FLOAT8)
def test_masks_are_the_oracles_for_every_dtype(name, few, tmp_path):
    tensors = {
        "z.weight": random_array((300, 1000), name, 1, few),
        "a.weight": random_array((7, 9), name, 2, few),
        "bias": random_array((33,), name, 3, few),
        "empty": random_array((0, 4), name),
        "é": random_array((2, 3, 5), name, 4, few),
    }
    source = write(tmp_path / "in.safetensors", tensors, key="kept")
    done = prune_checkpoint(
        source, tmp_path / "out.safetensors", amount=0.6, save_masks=tmp_path / "masks.safetensors"
    )
    names = sorted(n for n, t in tensors.items() if t.ndim > 1)
    masks = oracle.global_unstructured([tensors[n] for n in names], amount=0.6)
    check(tmp_path / "out.safetensors", tensors, names, masks)
    assert done.provenance[DIGEST] == oracle.digest(dict(zip(names, masks, strict=True)))
    read_back = multiprune_conformance_masks((tmp_path / "masks.safetensors").read_bytes())
    assert all((read_back[n] == m).all() for n, m in zip(names, masks, strict=True))
    sizes = {t.name: t.pruned for t in done.report.tensors}
    assert sizes == {n: int((~m).sum()) for n, m in zip(names, masks, strict=True)}


def multiprune_conformance_masks(data):
    from multiprune_conformance.oracle_file import read_file

    return read_file(data)


@pytest.mark.parametrize("pair", [("float16", "bfloat16"), ("float32", "bfloat16"),
                                  ("float64", "float16"), ("float8_e4m3fn", "float8_e5m2fnuz"),
                                  ("float8_e5m2", "bfloat16"), ("float32", "float64")])  # fmt: skip
def test_mixed_dtypes_are_promoted_as_in_memory(pair, tmp_path):
    tensors = {f"t{i}": random_array((50, 40), name, i) for i, name in enumerate(pair)}
    source = write(tmp_path / "in.safetensors", tensors)
    prune_checkpoint(source, tmp_path / "out.safetensors", sparsity=0.5)
    masks = oracle.global_unstructured(list(tensors.values()), amount=0.5)
    check(tmp_path / "out.safetensors", tensors, list(tensors), masks)


def test_shards_are_ranked_together_and_ties_fall_in_the_order_of_names(tmp_path):
    """Names lie crosswise: the first in code-point order is in the last shard."""
    shapes = [
        {"m": (64, 65), "Z": (30, 30)},
        {"a": (500, 600), "b.bias": (9,)},
        {"A": (11, 13)},
    ]
    shards = [
        {name: random_array(shape, "bfloat16", shape[0], 3) for name, shape in shard.items()}
        for shard in shapes
    ]
    index = write_shards(tmp_path / "model", shards)
    (tmp_path / "model" / "sub").mkdir()
    (tmp_path / "model" / "sub" / "vocab.txt").write_text("words")
    done = prune_checkpoint(tmp_path / "model", tmp_path / "out", amount=0.37)
    tensors = {n: t for shard in shards for n, t in shard.items()}
    names = ["A", "Z", "a", "m"]
    masks = oracle.global_unstructured([tensors[n] for n in names], amount=0.37)
    check(tmp_path / "out", tensors, names, masks)
    assert done.provenance[DIGEST] == oracle.digest(dict(zip(names, masks, strict=True)))
    assert (tmp_path / "out" / "config.json").read_text() == "{}"
    assert (tmp_path / "out" / "sub" / "vocab.txt").read_text() == "words"
    assert (tmp_path / "out" / index.name).read_bytes() == index.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "out"]


def test_a_file_gives_the_same_digest_as_arrays_in_memory(tmp_path):
    tensors = {f"layer.{i}": random_array((40, 50), seed=i, few=7) for i in range(12)}
    source = write(tmp_path / "in.safetensors", tensors)
    done = prune_checkpoint(source, dry_run=True, amount=0.7)
    masks = multiprune.global_unstructured(tensors, amount=0.7).masks
    assert done.provenance[DIGEST] == oracle.digest(masks)
    assert [p.name for p in tmp_path.iterdir()] == ["in.safetensors"]


def test_random_pruning_by_seed(tmp_path):
    tensors = {"b": random_array((70, 80)), "a": random_array((5, 5), "float16")}
    source = write(tmp_path / "in.safetensors", tensors)
    prune_checkpoint(source, tmp_path / "out.safetensors", amount=0.5, method="random", seed=7)
    masks = oracle.random_unstructured([(5, 5), (70, 80)], seed=7, amount=0.5)
    check(tmp_path / "out.safetensors", tensors, ["a", "b"], masks)


def test_prior_masks_stay_and_count(tmp_path):
    """The prior masks are random: what they prune is not what would go anyway."""
    tensors = {"b": random_array((700, 801), "float16", 1, 9), "a": random_array((5, 5), "float16")}
    source = write(tmp_path / "in.safetensors", tensors)
    first, out = tmp_path / "first.safetensors", tmp_path / "out.safetensors"
    prune_checkpoint(source, out, amount=0.5, method="random", seed=3, save_masks=first)
    arrays = [tensors["a"], tensors["b"]]
    prior = oracle.random_unstructured([(5, 5), (700, 801)], seed=3, amount=0.5)
    assert all((load_masks(first)[n] == m).all() for n, m in zip("ab", prior, strict=True))
    for how in ({"amount": 0.5}, {"sparsity": 0.6}, {"amount": 0}, {"amount": 77}):
        prune_checkpoint(source, out, masks=first, **how)
        masks = oracle.global_unstructured(arrays, masks=prior, **how)
        check(out, tensors, ["a", "b"], masks)
    with pytest.raises(ValueError, match="AMT-14"):
        prune_checkpoint(source, out, masks=first, sparsity=0.4)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    "pair",
    [
        ("int32", "bfloat16"),
        ("int64", "float16"),
        ("int8", "float64"),
        ("uint8", "int8"),
        ("float8_e4m3fn", "float8_e5m2fnuz"),
        ("float8_e4m3fnuz", "float32"),
        ("complex64", "float32"),
    ],
)
def test_scores_of_mixed_dtypes_are_promoted(pair, signed, tmp_path):
    tensors = {"a": random_array((64, 30)), "b": random_array((64, 30))}
    scores = {n: random_array((64, 30), name, 7) for n, name in zip("ab", pair, strict=True)}
    if "int" in pair[0] and "float" in pair[1]:  # integers near the floats, so that rounding shows
        scores["a"] = (np.arange(1920).reshape(64, 30) * 7 - 5000).astype(pair[0])
        scores["b"] = np.arange(1920).reshape(64, 30).astype("f4").astype(dtype(pair[1]))
    if pair[0] == "complex64":
        scores["a"] = np.arange(1920, dtype=pair[0]).reshape(64, 30) * (3 + 4j)
    source = write(tmp_path / "in.safetensors", tensors)
    ranked = write(tmp_path / "scores.safetensors", scores)
    options = {"amount": 0.5, "importance_scores": ranked, "signed": signed}
    if signed and "complex64" in pair:
        with pytest.raises(DtypeError, match="NUM-16"):
            prune_checkpoint(source, tmp_path / "out.safetensors", **options)
        return
    prune_checkpoint(source, tmp_path / "out.safetensors", **options)
    masks = oracle.global_unstructured([scores["a"], scores["b"]], amount=0.5, signed=signed)
    check(tmp_path / "out.safetensors", tensors, ["a", "b"], masks)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", ["float32", "int8", "uint16"])
def test_scores_are_ranked_instead(name, signed, tmp_path):
    tensors = {"b": random_array((30, 41)), "a": random_array((5, 5))}
    scores = {n: random_array(t.shape, name, 5) for n, t in tensors.items()}
    source = write(tmp_path / "in.safetensors", {**tensors, "bias": random_array((5,))})
    ranked = write(tmp_path / "scores.safetensors", scores)
    prune_checkpoint(
        source, tmp_path / "out.safetensors", amount=0.5, importance_scores=ranked, signed=signed
    )
    masks = oracle.global_unstructured([scores["a"], scores["b"]], amount=0.5, signed=signed)
    check(tmp_path / "out.safetensors", {**tensors, "bias": random_array((5,))}, ["a", "b"], masks)


def test_selection_by_name_and_dimensions(tmp_path):
    tensors = {
        "h.0.w": random_array((4, 4)),
        "h.0.b": random_array((4,)),
        "h.1.w": random_array((4, 4)),
        "head.w": random_array((4, 4)),
        "ids": np.arange(16).reshape(4, 4),
        "flags": np.ones((4, 4), bool),
    }
    source = write(tmp_path / "in.safetensors", tensors)

    def chosen(**options):
        report = prune_checkpoint(source, dry_run=True, amount=0.5, **options).report
        return [t.name for t in report.tensors]

    assert chosen() == ["h.0.w", "h.1.w", "head.w"]
    assert chosen(include=["h.*"]) == ["h.0.w", "h.1.w"]
    assert chosen(exclude=["head*", "h.0*"]) == ["h.1.w"]
    assert chosen(min_ndim=1, include=["h.0.*"]) == ["h.0.b", "h.0.w"]
    with pytest.raises(multiprune.MultipruneError, match="matches none"):
        chosen(include=["encoder.*"])
    with pytest.raises(TypeError, match="int64"):
        chosen(include=["ids"])
    with pytest.raises(ValueError, match="no tensor is left"):
        chosen(exclude=["*"])


def entry(start):
    return {"dtype": "F32", "shape": [4, 4], "data_offsets": [start, start + 64]}


def test_header_order_and_metadata_are_kept_and_provenance_is_added(tmp_path):
    tensors = {"b": random_array((4, 4)), "a": random_array((4, 4))}
    source = write(tmp_path / "in.safetensors", tensors, format="pt", note="é😀")
    out = tmp_path / "out.safetensors"
    prune_checkpoint(source, out, amount=3)
    first = out.read_bytes()
    prune_checkpoint(out, tmp_path / "again.safetensors", amount=5)
    for path, count in ((out, "3"), (tmp_path / "again.safetensors", "5")):
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = parse_header(data[8 : 8 + length], len(data), "it")
        assert [e.name for e in header.entries] == ["b", "a"]
        assert header.metadata is not None
        assert (header.metadata["format"], header.metadata["note"]) == ("pt", "é😀")
        assert header.metadata["multiprune.count"] == count
        assert header.data % 8 == 0
    plain = raw_file({"b": entry(0), "__metadata__": {"x": "y"}, "a": entry(64)}, bytes(128))
    (tmp_path / "last.safetensors").write_bytes(plain)
    prune_checkpoint(tmp_path / "last.safetensors", tmp_path / "o.safetensors", amount=3)
    text = (tmp_path / "o.safetensors").read_bytes()[8:-128].decode()
    assert list(json.loads(text)) == ["b", "__metadata__", "a"]
    prune_checkpoint(source, out, amount=3)
    assert out.read_bytes() == first  # nothing of the day or the machine goes into a file
    sha = hashlib.sha256(source.read_bytes()).hexdigest()
    assert json.loads(first[8 : 8 + int.from_bytes(first[:8], "little")].decode())["__metadata__"][
        "multiprune.input.sha256"
    ] == sha  # fmt: skip


def test_safetensors_own_reader_takes_the_output(tmp_path):
    numpy_files = pytest.importorskip("safetensors.numpy")
    tensors = {"b": random_array((4, 4)), "a": random_array((3,)), "e": random_array((0, 3))}
    source = write(tmp_path / "in.safetensors", tensors)
    prune_checkpoint(source, tmp_path / "out.safetensors", amount=3)
    prune_checkpoint(
        source, tmp_path / "o2.safetensors", amount=3, save_masks=tmp_path / "m.safetensors"
    )
    assert set(numpy_files.load_file(tmp_path / "out.safetensors")) == set(tensors)
    assert set(numpy_files.load_file(tmp_path / "m.safetensors")) == {"b", "e"}


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2", "float32"])
def test_the_sweep_tells_what_prune_does(name, tmp_path):
    shape = (128, 300)
    tensors = {f"t{i}": random_array(shape, name, i) for i in range(5)}
    source = write(tmp_path / "in.safetensors", tensors)
    found = inspect_checkpoint(source, sweep=[0.0, 0.3, 0.8, 1.0])
    for row in found.sweep:
        report = prune_checkpoint(source, dry_run=True, sparsity=row.sparsity).report
        exact = {t.name: t.pruned for t in report.tensors}
        assert row.exact == (name != "float32") or row.count == 0
        if row.exact:
            assert row.pruned == exact
            assert row.count == 0 or row.ties == report.ties
        else:
            assert all(abs(row.pruned[n] - exact[n]) < 40 for n in exact)


def test_inspect_counts_zeros_and_non_finite_values(tmp_path):
    array = np.array([[0.0, -0.0, np.nan], [np.inf, -np.inf, 1e-40]], np.float32)
    fnuz = np.array([[0x00, 0x80, 0x01]], np.uint8).view(dtype("float8_e4m3fnuz"))
    tensors = {"a": array, "f": fnuz, "i": np.array([0, -1, 5]), "q": np.array([True, False])}
    found = inspect_checkpoint(write(tmp_path / "in.safetensors", tensors, who="me"))
    facts = {t.name: (t.zeros, t.non_finite) for t in found.tensors}
    assert facts == {"a": (2, 3), "f": (1, 1), "i": (1, None), "q": (1, None)}
    assert found.metadata == {"who": "me"}


def test_diff_names_what_changed(tmp_path):
    same = random_array((3, 3))
    a = {"same": same, "w": np.array([[1.0, 0, 0, -0.0, 2, 3, 4, 5]]), "gone": random_array((2,))}
    b = {"same": same, "w": np.array([[0.0, 7, 7, -0.0, 7, 7, 7, 5]]), "new": random_array((2,))}
    a |= {"cast": np.ones(2, np.float32), "flat": np.ones((2, 2))}
    b |= {"cast": np.ones(2, np.float16), "flat": np.ones(4)}
    one, two = write(tmp_path / "a.safetensors", a), write(tmp_path / "b.safetensors", b)
    found = {t.name: t for t in diff_checkpoints(one, two).tensors}
    assert {n: t.status for n, t in found.items()} == {
        "same": "same", "w": "changed", "gone": "only in a", "new": "only in b",
        "cast": "another dtype", "flat": "another shape",
    }  # fmt: skip
    assert (found["w"].zeroed, found["w"].revived, found["w"].altered) == (1, 2, 3)
    assert (found["w"].sparsity_a, found["w"].sparsity_b) == (3 / 8, 2 / 8)
    assert diff_checkpoints(one, one).same


def test_blocks_do_not_show(tmp_path, monkeypatch):
    """Cuts in the middle of a block, and blocks of a few entries, give the same masks."""
    from multiprune_checkpoints.counting import entries
    from multiprune_checkpoints.output import copy

    monkeypatch.setattr(copy, "_BLOCK", 64)
    monkeypatch.setattr(entries._FileBackend, "block_size", 24)
    tensors = {"b": random_array((37, 11), "float16", 1, 4), "a": random_array((5, 5), "float16")}
    source = write(tmp_path / "in.safetensors", tensors)
    for amount in (0, 1, 100, 0.5, 431, 1.0):
        prune_checkpoint(source, tmp_path / "out.safetensors", amount=amount)
        masks = oracle.global_unstructured([tensors["a"], tensors["b"]], amount=amount)
        check(tmp_path / "out.safetensors", tensors, ["a", "b"], masks)


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path):
    source = write(tmp_path / "in.safetensors", {"a": random_array((40, 40))})
    with open_checkpoint(source) as checkpoint:
        source.write_bytes(encode({"a": random_array((4, 4))}))
        with pytest.raises(ValueError, match="changed while it was read"):
            checkpoint.read(checkpoint.tensors["a"], 0, 1600)
