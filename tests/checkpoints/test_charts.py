"""What a report shows is what NumPy counts in memory: bars, bins, blocks."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoint_files import FLOAT8, FLOATS, dtype, random_array, write
from multiprune_checkpoints import load_masks, load_weights, prune_checkpoint
from multiprune_checkpoints.analysis import view
from multiprune_checkpoints.analysis.block_map import BlockCounts
from multiprune_checkpoints.analysis.charts import chart_checkpoint


def pruned(tmp_path, tensors, **how):
    source = write(tmp_path / "in.safetensors", tensors)
    out, masks = tmp_path / "out.safetensors", tmp_path / "masks.safetensors"
    done = prune_checkpoint(source, out, save_masks=masks, **how)
    return source, out, masks, done


def bell(shape, name="float32", seed=0):
    values = np.random.default_rng(seed).standard_normal(shape)
    return values.astype(dtype(name))


@pytest.mark.parametrize("name", FLOATS + FLOAT8)
def test_bins_hold_what_numpy_counts_there(name, tmp_path):
    tensors = {"a": bell((300, 400), name), "b": bell((50, 60), name, 1), "bias": bell((9,), name)}
    source, out, masks, done = pruned(tmp_path, tensors, amount=0.7)
    found = chart_checkpoint(out, before=source)
    assert found == chart_checkpoint(out, before=source, masks=masks)
    assert found.threshold_shown
    assert found.report.threshold == done.report.threshold
    assert [t.pruned for t in found.report.tensors] == [t.pruned for t in done.report.tensors]
    assert found.untouched == ["bias"]
    values = np.concatenate([tensors[n].astype("f8").ravel() for n in "ab"])
    keep = np.concatenate([load_masks(masks)[n].ravel() for n in "ab"])
    bins = found.histogram
    edges = np.array(bins.edges)
    assert np.allclose(edges, -edges[::-1])
    assert edges[-1] > done.report.threshold
    for counts, part in ((bins.kept, values[keep]), (bins.pruned, values[~keep])):
        # Counters that an edge cuts are shared out: a value may stand in the bin beside its own.
        spacing = 2.0**-7 if name in ("float64", "float32", "float16") else 2.0**-1
        low, high = (
            np.searchsorted(np.sort(part), edges + sign * (np.abs(edges) * spacing + 1e-12))
            for sign in (-1, 1)
        )
        upto = np.cumsum(counts)
        assert (low[1:] - high[0] - 1 <= upto).all()
        assert (upto <= high[1:] - low[0] + 1).all()
    assert sum(bins.kept) + sum(bins.pruned) + bins.outside == len(values)
    assert bins.outside <= 0.01 * len(values)


def test_bins_of_bfloat16_are_as_smooth_as_those_of_float32(tmp_path):
    """Far out there are fewer values than bins: each holds one of them or two, by turns."""
    wide = bell((1500, 1000))
    found = [
        np.array(chart_checkpoint(write(tmp_path / "a.safetensors", {"w": w})).histogram.kept)
        for w in (wide, wide.astype(dtype("bfloat16")))
    ]
    middle = found[0] > 1000
    assert (np.abs(found[1] - found[0])[middle] < 0.08 * found[0][middle]).all()


def test_a_gap_stays_a_gap(tmp_path):
    values = bell((300, 100), "bfloat16")
    path = write(tmp_path / "a.safetensors", {"w": np.where(np.abs(values) < 0.5, 0, values)})
    bins = chart_checkpoint(path).histogram
    inside = (np.array(bins.edges[:-1]) > -0.498) & (np.array(bins.edges[1:]) < 0.498)
    held = np.array(bins.kept)[inside]
    assert held.sum() == 0
    assert inside.sum() > 10


def test_zeros_alone_are_counted_where_the_former_weights_are_not_known(tmp_path):
    source, out, _, done = pruned(tmp_path, {"a": bell((100, 100))}, amount=0.5)
    found = chart_checkpoint(out)
    assert found.histogram.zeros_only
    assert not any(found.histogram.pruned)
    assert found.report.pruned == done.report.pruned
    assert not chart_checkpoint(out, before=source).histogram.zeros_only


def test_minus_zero_is_zero(tmp_path):
    """torch multiplies by its mask, and leaves -0 behind."""
    array = np.array([[-0.0, 1, -2, 0]], np.float32)
    path = write(tmp_path / "a.safetensors", {"w": array})
    assert chart_checkpoint(path).report.pruned == 2


@pytest.mark.parametrize("how", ["scores", "signed scores", "random", "signed", "prior"])
def test_a_threshold_is_shown_only_where_it_is_one_of_the_weights(how, tmp_path):
    far = np.sign(bell((60, 70))) * (9 + np.abs(bell((60, 70), seed=1)))
    tensors = {"a": far if how == "signed scores" else bell((60, 70))}
    options = {
        "signed scores": {
            "importance_scores": write(
                tmp_path / "t.safetensors", {"a": 2 + bell((60, 70), seed=5)}
            ),
            "signed": True,
        },
        "scores": {
            "importance_scores": write(
                tmp_path / "s.safetensors", {"a": 9 + bell((60, 70), seed=5)}
            )
        },
        "random": {"method": "random", "seed": 1},
        "signed": {"signed": True},
        "prior": {},
    }[how]
    if how == "prior":  # large weights are gone already, and that is not a contradiction
        *_, first, _ = pruned(tmp_path, tensors, amount=0.3, method="random", seed=3)
        options = {"masks": first.rename(tmp_path / "first.safetensors")}
    source, out, *_ = pruned(tmp_path, tensors, amount=0.5, **options)
    found = chart_checkpoint(out, before=source)
    assert found.threshold_shown == (how in ("signed", "prior"))
    assert found.signed == how.startswith("signed")


def test_a_threshold_beyond_nearly_all_weights_is_in_the_picture(tmp_path):
    source, out, _, done = pruned(tmp_path, {"a": bell((300, 100))}, amount=0.9999)
    bins = chart_checkpoint(out, before=source).histogram
    assert bins.edges[0] < -done.report.threshold < done.report.threshold < bins.edges[-1]


@pytest.mark.parametrize(
    "shape", [(1, 1), (96, 96), (97, 95), (500, 3), (3, 500), (40, 5, 3, 3), (700,), (1, 4000)]
)
@pytest.mark.parametrize("step", [1, 7, 100, 1 << 18])
def test_blocks_are_means_of_the_mask(shape, step):
    if step == 1 and np.prod(shape) > 2000:
        step = 13
    keep = np.random.default_rng(0).random(shape) < 0.3
    counts = BlockCounts("w", shape)
    for start, stop in counts.steps(step):
        assert 0 < stop - start <= max(step, 0)
        counts.counts += counts.count(start, stop, keep.ravel()[start:stop])
    found = counts.map()
    plane = keep.reshape(shape[0], -1) if len(shape) > 1 else keep.reshape(1, -1)
    assert found.shape == plane.shape
    (tall, wide), values = found.block, np.array(found.kept)
    assert max(values.shape) <= 96
    for i, row in enumerate(found.kept):
        for j, share in enumerate(row):
            block = plane[i * tall : (i + 1) * tall, j * wide : (j + 1) * wide]
            assert share == pytest.approx(block.mean())


def test_the_most_uneven_tensor_is_shown_or_those_that_were_asked_for(tmp_path, monkeypatch):
    even, banded = bell((200, 200)), bell((200, 200), seed=1)
    banded[50:80] *= 10
    tensors = {"a.even": even, "b.banded": banded, "c.even": bell((200, 200), seed=2)}
    _, out, masks, _ = pruned(tmp_path, tensors, amount=0.8)
    (shown,) = chart_checkpoint(out).maps
    assert shown.name == "b.banded"
    kept = load_masks(masks)["b.banded"]
    assert shown.kept[0][0] == kept[:4, :4].mean()
    asked = chart_checkpoint(out, tensors=["*even"]).maps
    assert [m.name for m in asked] == ["a.even", "c.even"]
    whole = chart_checkpoint(out)
    monkeypatch.setattr(view, "_BLOCK", 77)
    assert chart_checkpoint(out) == whole


def test_the_tensors_are_those_that_were_ranked(tmp_path):
    tensors = {"a": bell((9, 9)), "b": bell((9, 9)), "bias": bell((9,))}
    source, out, masks, _ = pruned(tmp_path, tensors, amount=0.5, include=["b*"], min_ndim=1)
    names = ["b", "bias"]
    assert [t.name for t in chart_checkpoint(out).report.tensors] == names
    assert [t.name for t in chart_checkpoint(source, masks=masks).report.tensors] == names
    assert [t.name for t in chart_checkpoint(source).report.tensors] == ["a", "b"]
    assert [t.name for t in chart_checkpoint(out, exclude=["b"]).report.tensors] == ["a"]
    assert list(load_weights(out)) == ["a", "b"]


@pytest.mark.parametrize(
    "lie",
    [
        {"multiprune.threshold": "zz"},
        {"multiprune.threshold": "f" * 5000},
        {"multiprune.ranked_as": "int4"},
        {"multiprune.min_ndim": "9" * 5000},
        {"multiprune.include": "[" * 1000},
        {"multiprune.method": "é"},
    ],
    ids=lambda lie: next(iter(lie)),
)
def test_metadata_that_lies_changes_captions_at_most(lie, tmp_path):
    honest = {"multiprune.threshold": "3f000000", "multiprune.ranked_as": "float32"}
    array = random_array((20, 20), few=9)
    plain = chart_checkpoint(write(tmp_path / "a.safetensors", {"w": array}))
    found = chart_checkpoint(write(tmp_path / "a.safetensors", {"w": array}, **{**honest, **lie}))
    assert found.report.tensors == plain.report.tensors
