"""Counting near the cut finds the cut that counting all finds, wherever the sample points."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from checkpoint_files import FLOAT8, dtype, random_array, write
from multiprune_checkpoints import load_masks, prune_checkpoint
from multiprune_checkpoints.counting import bracket, entries
from multiprune_checkpoints.counting.bracket import count_near
from multiprune_conformance import oracle

from multiprune.column import Column

STEP = 64


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Files of 80 thousand entries are large, and have a thousand runs."""
    monkeypatch.setattr(entries, "_LARGE", 1)
    monkeypatch.setattr(entries._FileBackend, "block_size", STEP)


def tensors_of(kind, name):
    """Layers of several runs and runs of several layers; in order, in groups, in ties."""
    made = {f"t{i:02}": random_array((i * 13 % 40 + 1, 133), name, i) for i in range(30)}
    if kind == "ties":
        made = {n: np.resize(made["t01"].reshape(-1)[:9], t.shape) for n, t in made.items()}
    if kind == "sorted":
        wide = {n: t.view(f"u{t.itemsize}") for n, t in made.items()}
        made = {
            n: np.sort(w, axis=None).view(dtype(name)).reshape(w.shape) for n, w in wide.items()
        }
    if kind == "equal":
        made = {n: np.zeros_like(t) for n, t in made.items()}
    if kind == "scales":
        made = {n: np.full_like(t, int(n[1:]) % 5) for n, t in made.items()}
    return made


@pytest.mark.parametrize("kind", ["random", "ties", "sorted", "equal", "scales"])
@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16", "float8_e5m2", "float64"])
def test_masks_are_the_oracles(kind, name, tmp_path):
    tensors = tensors_of(kind, name)
    source = write(tmp_path / "in.safetensors", tensors)
    size = sum(t.size for t in tensors.values())
    for amount in (0, 1, 0.003, 0.8, size):
        path = tmp_path / "masks.safetensors"
        prune_checkpoint(source, tmp_path / "out.safetensors", amount=amount, save_masks=path)
        masks = oracle.global_unstructured(list(tensors.values()), amount=amount)
        found = load_masks(path)
        assert all((found[n] == m).all() for n, m in zip(tensors, masks, strict=True)), amount


@pytest.mark.parametrize("options", [{"signed": True}, {"method": "random", "seed": 3}], ids=str)
def test_other_keys_are_counted_near_their_cut_too(options, tmp_path, monkeypatch):
    source = write(tmp_path / "in.safetensors", tensors_of("random", "bfloat16"))
    digests = []
    for large in (1, 1 << 40):
        monkeypatch.setattr(entries, "_LARGE", large)
        done = prune_checkpoint(source, dry_run=True, amount=0.7, **options)
        digests.append(done.provenance["multiprune.masks.sha256"])
    assert digests[0] == digests[1]


class Reads:
    """A `Progress` that adds up what is read until something is written."""

    def __init__(self):
        self.bytes, self.ranking = 0, True

    def begin(self, stage, total):
        self.ranking = stage.startswith("ranking")

    def advance(self, count):
        self.bytes += count * self.ranking


@pytest.mark.parametrize("name", ["float16", "bfloat16", *FLOAT8])
def test_a_cut_through_ties_is_found_in_one_reading_and_a_sample(name, tmp_path):
    values = random_array((600, STEP), name, 1, 50)
    source = write(tmp_path / "in.safetensors", {"a": values, "b": values, "c": values[:1]})
    reads = Reads()
    done = prune_checkpoint(source, dry_run=True, amount=0.5, progress=reads)
    assert 0 < done.report.tied_pruned < done.report.ties
    assert reads.bytes < 1.1 * (2 * values.nbytes + values[:1].nbytes)


def columns_of(keys, cuts):
    """One column for each part of an array of keys."""
    borders = [0, *cuts, len(keys)]
    return [Column(j - i, i, lambda a, b, i=i: keys[i + a : i + b]) for i, j in pairwise(borders)]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_sample_that_lies_costs_time_only(workers):
    keys = np.random.default_rng(1).integers(30_000, 32_768, 200 * STEP).astype("u2")
    for run in range(200):
        if run * bracket._GOLDEN % (1 << 32) < (1 << 32) // bracket._EVERY:
            keys[run * STEP : (run + 1) * STEP] = 7
    columns = columns_of(keys, [5, 70, 5000])
    near = count_near(columns, 9000, shift=0, bins=1 << 15, step=STEP, workers=workers)
    assert near.rows is None
    assert near.ties() is None
    np.testing.assert_array_equal(near.counts, np.bincount(keys, minlength=1 << 15))


@pytest.mark.parametrize("shift", [0, 4])
@pytest.mark.parametrize("rank", [0, 1, 6000, 12_799])
def test_counters_are_exact_at_the_rank(rank, shift):
    keys = np.random.default_rng(rank).integers(0, 1000, 200 * STEP).astype("u2")
    keys[: len(keys) // 2] %= 100
    columns = columns_of(keys, [1, 64, 65, 9000])
    near = count_near(columns, rank, shift=shift, bins=1 << 10, step=STEP, workers=2)
    whole = np.bincount(keys >> shift, minlength=1 << 10)
    digit = int(np.searchsorted(np.cumsum(whole), rank, side="right"))
    assert near.counts[digit] == whole[digit]
    assert near.counts[:digit].sum() == whole[:digit].sum()
    assert near.counts.sum() == len(keys)
    ordered = np.argsort(keys >> shift, kind="stable")
    ties, run = near.ties()
    assert run == ordered[rank] // STEP
    tied = np.flatnonzero(keys >> shift == digit) // STEP
    np.testing.assert_array_equal(ties, np.bincount(tied, minlength=200))
