"""Arrays of floats that are no weights: masks, scales, moments, constant buffers."""

import ml_dtypes
import numpy as np
import pytest
from multiprune_checkpoints import (
    chart_checkpoint,
    inspect_checkpoint,
    load_weights,
    prune_checkpoint,
)
from safetensors import deserialize
from safetensors.numpy import load_file, save_file

from multiprune.errors import MaskError, ParametersError

rng = np.random.default_rng(0)


def weights(*shape):
    return rng.standard_normal(shape).astype("f4")


def small(*shape):
    return (np.abs(rng.standard_normal(shape)) * 1e-4 + 1e-5).astype("f4")


def prune(folder, tensors, **asked):
    save_file(tensors, folder / "model.safetensors")
    done = prune_checkpoint(
        folder / "model.safetensors",
        folder / "pruned.safetensors",
        **(asked or {"sparsity": 0.5}),
    )
    return done, load_file(folder / "pruned.safetensors")


def zeros(array):
    return int((np.asarray(array, "f4") == 0).sum())


@pytest.mark.parametrize("dtype", ["f4", "f2", "u1", "?"])
def test_a_mask_beside_its_original_is_a_prior_mask(tmp_path, dtype):
    mask = np.ones((30, 30), dtype)
    mask.reshape(-1)[:450] = 0
    tensors = {"fc.weight_orig": weights(30, 30), "fc.weight_mask": mask, "fc.bias": weights(30)}
    done, pruned = prune(tmp_path, tensors, sparsity=0.8)
    assert done.left_out == {"fc.weight_mask": "the mask of a pruned tensor"}
    assert [t.name for t in done.report.tensors] == ["fc.weight_orig"]
    assert zeros(pruned["fc.weight_orig"]) == 720
    assert (pruned["fc.weight_orig"].reshape(-1)[:450] == 0).all()
    # What is loaded goes on with the new mask.
    np.testing.assert_array_equal(pruned["fc.weight_mask"] != 0, pruned["fc.weight_orig"] != 0)
    assert pruned["fc.weight_mask"].dtype == mask.dtype


def test_a_stored_mask_and_a_file_of_masks_are_joined(tmp_path):
    save_file({"w_orig": weights(8, 8)}, tmp_path / "a.safetensors")
    masks = tmp_path / "masks.safetensors"
    prune_checkpoint(
        tmp_path / "a.safetensors", tmp_path / "b.safetensors", amount=16, save_masks=masks
    )
    mask = np.ones((8, 8), "f4")
    mask[0] = 0
    tensors = {"w_orig": load_file(tmp_path / "a.safetensors")["w_orig"], "w_mask": mask}
    first = load_file(tmp_path / "b.safetensors")["w_orig"] == 0
    _, pruned = prune(tmp_path, tensors, amount=0, masks=masks)
    np.testing.assert_array_equal(pruned["w_orig"] == 0, first | (mask == 0))


@pytest.mark.parametrize("scope", ["row", (2, 4)])
def test_stored_masks_hold_in_small_pools(tmp_path, scope):
    mask = np.ones((8, 8), "f4")
    mask[:, ::4] = 0
    tensors = {"w_orig": weights(8, 8), "w_mask": mask}
    amount = {"amount": 2} if scope == "row" else {}
    _, pruned = prune(tmp_path, tensors, scope=scope, **amount)
    assert (pruned["w_orig"][:, ::4] == 0).all()
    assert zeros(pruned["w_orig"]) == 32
    np.testing.assert_array_equal(pruned["w_mask"] == 0, pruned["w_orig"] == 0)


def test_a_mask_of_other_values_is_refused(tmp_path):
    with pytest.raises(MaskError, match="w_mask holds other values"):
        prune(tmp_path, {"w_orig": weights(4, 4), "w_mask": np.full((4, 4), 0.5, "f4")})
    assert not (tmp_path / "pruned.safetensors").exists()


def test_only_a_mask_of_the_same_shape_beside_an_original_is_one(tmp_path):
    tensors = {"a_orig": weights(4, 4), "a_mask": weights(2, 4), "b_mask": weights(4, 4)}
    done, _ = prune(tmp_path, tensors)
    assert {t.name for t in done.report.tensors} == {"a_orig", "a_mask", "b_mask"}


E8 = ml_dtypes.float8_e4m3fn
QUANTIZED = {
    "gptq": {
        "qweight": np.ones((8, 64), "i4"),
        "qzeros": np.ones((4, 8), "i4"),
        "scales": small(4, 64).astype("f2"),
        "g_idx": np.arange(64, dtype="i4"),
    },
    "awq": {
        "qweight": np.ones((64, 8), "i4"),
        "qzeros": np.ones((4, 8), "i4"),
        "scales": small(4, 64),
    },
    "fp8": {"weight": weights(64, 64).astype(E8), "weight_scale_inv": small(4, 4)},
    "compressed-tensors": {
        "weight_packed": np.ones((64, 8), "i4"),
        "weight_scale": small(64, 4).astype(ml_dtypes.bfloat16),
        "weight_shape": np.array([64, 64]),
    },
    "int8": {"weight": np.ones((64, 64), "i1"), "weight_scale": small(64, 1)},
    "nvfp4": {
        "weight": np.ones((64, 32), "u1"),
        "weight_scale": small(64, 4).astype(E8),
        "weight_scale_2": small(1, 1),
    },
    "mxfp4": {"up_blocks": np.ones((4, 8, 16), "u1"), "up_scales": np.ones((4, 8), "u1")},
    "bitsandbytes": {
        "weight": np.ones((2048, 1), "u1"),
        "weight.absmax": small(64, 1),
        "weight.quant_map": small(16, 1),
    },
    "hqq": {"W_q": np.ones((64, 32), "u1"), "scale": small(64, 4), "zero": small(64, 4)},
    "vptq": {
        "indices": np.ones((1, 64, 8), "i4"),
        "centroids.weight": small(1, 4096),
        "res_centroids.weight": small(1, 4096),
    },
    "higgs": {
        "weight": np.ones((64, 8), "i4"),
        "scales": small(4, 64),
        "tables": small(16, 2),
        "tables2": small(16, 1),
    },
    "squeezellm": {"qweight": np.ones((8, 64), "i4"), "lookup_table": small(64, 16)},
    "quanto": {"weight._data": np.ones((64, 64), "i1"), "weight._scale": small(64, 1)},
    "aqlm": {
        "codes": np.ones((8, 8, 1), "i2"),
        "codebooks": small(1, 65, 1, 64),
        "scales": small(8, 1),
    },
    "mlx": {"weight": np.ones((64, 8), "u4"), "scales": small(64, 4), "biases": small(64, 4)},
}


@pytest.mark.parametrize("kind", QUANTIZED)
def test_what_decodes_a_quantized_tensor_stays(tmp_path, kind):
    layer = {f"layers.0.mlp.{name}": array for name, array in QUANTIZED[kind].items()}
    dense = {"embed.weight": weights(64, 64), "layers.0.norm.weight": weights(64)}
    save_file(layer | dense, tmp_path / "model.safetensors")
    output = tmp_path / "pruned.safetensors"
    done = prune_checkpoint(tmp_path / "model.safetensors", output, sparsity=0.5)
    pruned = {name: item["data"] for name, item in deserialize(output.read_bytes())}
    assert [t.name for t in done.report.tensors] == ["embed.weight"]
    assert zeros(np.frombuffer(pruned["embed.weight"], "f4")) == 2048
    for name, array in layer.items():
        assert pruned[name] == array.tobytes()
        if array.dtype.kind in "fV" and array.ndim > 1:
            assert done.left_out[name] in ("quantized", "decodes a quantized tensor")


def test_a_scale_without_a_quantized_tensor_is_a_weight(tmp_path):
    tensors = {"a.weight": weights(8, 8), "a.scales": weights(8, 8), "b.weight": weights(4, 4)}
    tensors |= {"b.position_ids": np.arange(8), "b.scale_table": weights(4, 4)}
    done, _ = prune(tmp_path, tensors)
    assert len(done.report.tensors) == 4
    assert not done.left_out


INDICES = {
    "in one folder": {
        "upscale/kernel": weights(8, 8), "quant_conv/kernel": weights(8, 8),
        "perm": np.arange(5, dtype="i4"),
    },
    "in one module": {
        "attn.relative_position_index": np.ones((8, 8), "i4"), "attn.logit_scale": weights(4, 1, 1),
        "attn.qkv_scale_proj": weights(8, 8), "attn.scales": weights(8, 8),
    },
    "at the root": {
        "ids": np.ones((1, 8), "i4"), "scale_shift_table": weights(6, 8),
        "quant_embed": weights(8, 8),
    },
    "of bytes": {"m.tokens": np.ones((2, 2), "u1"), "m.zero_conv_w": weights(8, 8)},
    "smaller than its scales": {"m.tokens": np.ones((2, 2), "u1"), "m.scales": weights(8, 8)},
}  # fmt: skip


@pytest.mark.parametrize("case", INDICES)
def test_integers_that_are_no_weights_leave_what_lies_beside_them_alone(tmp_path, case):
    tensors = INDICES[case]
    np.savez(tmp_path / "in.npz", **tensors)
    done = prune_checkpoint(tmp_path / "in.npz", dry_run=True, sparsity=0.5)
    assert not done.left_out
    floats = {name for name, array in tensors.items() if array.dtype == np.float32}
    assert {t.name for t in done.report.tensors} == floats


def test_names_with_slashes_are_quantized_too(tmp_path):
    tensors = {"a/weight": np.ones((8, 8), "i1"), "a/weight_scale": small(8, 1)}
    np.savez(tmp_path / "in.npz", **tensors, **{"b/scales": weights(8, 8)})
    done = prune_checkpoint(tmp_path / "in.npz", dry_run=True, sparsity=0.5)
    assert [t.name for t in done.report.tensors] == ["b/scales"]
    assert done.left_out["a/weight_scale"] == "decodes a quantized tensor"


def test_eight_bit_floats_without_scales_are_pruned(tmp_path):
    save_file({"a.weight": weights(8, 8).astype(E8)}, tmp_path / "model.safetensors")
    done = prune_checkpoint(tmp_path / "model.safetensors", tmp_path / "p.safetensors", amount=32)
    assert done.report.pruned == 32


MOMENTS = [
    "opt.state.0.exp_avg",
    "opt_state.0.mu.dense.kernel",
    "opt_state/0/nu/dense/kernel",
    "g_optim.state.1.exp_avg_sq",
    "optimizerG_state_dict.state.0.momentum_buffer",
    "train.optimizers.0.state.3.exp_avg",
    "checkpoint.optimizer_states.0.state.3.square_avg",
    "base_optimizer_state.fp32_groups.0",
    "states.7.exp_avg_sq",
    "adam.state.0.sum",
    "adam.state.1.grad_avg",
    "trainer/state/3/step_size",
    "solver/0/mu/a/kernel",
    "opt.0.trace.dense.kernel",
]


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_are_no_weights(tmp_path, name):
    tensors = {"model.weight": weights(8, 8), name: small(8, 8)}
    done, pruned = prune(tmp_path, tensors)
    assert done.left_out == {name: "the state of an optimizer"}
    assert zeros(pruned["model.weight"]) == 32
    asked, _ = prune(tmp_path, tensors, sparsity=0.5, include=name)
    assert [t.name for t in asked.report.tensors] == [name]


LIKE = [
    "optical.flow.weight", "model.options.weight", "adopt.weight", "opt_proj.weight",
    "opt.decoder.w", "model.opt.w", "co_opt.weight", "x_opt_y.weight",
    "opt_model.model.decoder.layers.0.fc1.weight", "layers.0.mu.weight", "encoder.nu.weight",
    "momentum_buffer.w", "rnn.state.0.weight",
]  # fmt: skip


@pytest.mark.parametrize("name", LIKE)
def test_names_that_are_like_an_optimizers_are_weights(tmp_path, name):
    assert not prune(tmp_path, {name: weights(8, 8)})[0].left_out


def test_two_moments_side_by_side_are_no_weights(tmp_path):
    tensors = {f"x.{n}.fc.weight": small(8, 8) for n in ("mu", "nu")} | {"fc.weight": weights(8, 8)}
    assert set(prune(tmp_path, tensors)[0].left_out) == {"x.mu.fc.weight", "x.nu.fc.weight"}


CONSTANT = "a constant buffer: zeros and one other value"


@pytest.mark.parametrize("value", [1, -1e4, -np.inf, float(np.finfo("f4").min)])
@pytest.mark.parametrize("dtype", ["f4", "f2", ml_dtypes.bfloat16, "f8"])
def test_causal_masks_are_no_weights(tmp_path, value, dtype):
    with np.errstate(over="ignore"):
        bias = (np.tril(np.ones((256, 256))) == (value == 1)) * 1.0
        bias = np.where(bias == 1, value, 0.0).astype(dtype)[None, None]
    done, pruned = prune(tmp_path, {"h.0.attn.bias": bias, "h.0.attn.weight": weights(16, 16)})
    assert done.left_out == {"h.0.attn.bias": CONSTANT}
    np.testing.assert_array_equal(pruned["h.0.attn.bias"], bias)


def test_weights_that_are_pruned_but_for_few_are_weights(tmp_path):
    one, few = np.zeros((64, 64), "f4"), np.zeros((64, 64), "f4")
    one[3, 4] = 1
    few[:, 0] = weights(64)
    tensors = {"one": one, "few": few, "none": np.zeros((4, 4), "f4"), "all": np.ones((4, 4), "f4")}
    done, _ = prune(tmp_path, tensors)
    assert not done.left_out
    assert len(done.report.tensors) == 4


def test_a_report_of_the_output_counts_what_was_ranked(tmp_path):
    """A weight that looks like a constant buffer once it is pruned was ranked all the same."""
    weight = np.concatenate([np.ones((4, 4)), np.full((4, 4), 0.5)]).astype("f4")
    tril = np.tril(np.ones((8, 8), "f4"))
    _, pruned = prune(tmp_path, {"weight": weight, "tril": tril}, amount=16)
    assert set(np.unique(pruned["weight"])) == {0, 1}
    charts = chart_checkpoint(tmp_path / "pruned.safetensors")
    assert [t.name for t in charts.report.tensors] == ["weight"]


def test_inspection_and_arrays_know_what_is_left_out(tmp_path):
    tensors = {"weight": weights(8, 8), "mask": np.tril(np.ones((8, 8), "f4"))}
    save_file(tensors, tmp_path / "model.safetensors")
    facts = {t.name: t for t in inspect_checkpoint(tmp_path / "model.safetensors").tensors}
    assert (facts["mask"].selected, facts["mask"].left_out) == (False, CONSTANT)
    assert (facts["weight"].selected, facts["weight"].left_out) == (True, "")
    assert list(load_weights(tmp_path / "model.safetensors")) == ["weight"]


def test_a_pattern_that_matches_weights_too_names_no_other(tmp_path):
    tensors = {"a": weights(8, 8), "mask": np.tril(np.ones((8, 8), "f4"))}
    done, _ = prune(tmp_path, tensors, sparsity=0.5, include="*a*")
    assert list(done.left_out) == ["mask"]
    done, _ = prune(tmp_path, tensors, sparsity=0.5, include=["a", "m*"])
    assert not done.left_out


def test_a_file_of_nothing_else_says_so(tmp_path):
    with pytest.raises(ParametersError, match="of them no weights"):
        prune(tmp_path, {"opt.state.0.exp_avg": weights(4, 4)})


@pytest.mark.parametrize("mark", ["/", "."])
def test_biases_and_scales_of_stacked_layers_are_left_alone(tmp_path, mark):
    tensors = {f"layers{mark}{n}": weights(3, 4) for n in ("bias", "scale", "in_bias", "upscale")}
    tensors |= {f"layers{mark}kernel": weights(3, 4, 4), f"layers.bias{mark}w": weights(4, 4)}
    np.savez(tmp_path / "in.npz", **tensors)

    def ranked(**asked):
        done = prune_checkpoint(tmp_path / "in.npz", dry_run=True, sparsity=0.5, **asked)
        return {t.name for t in done.report.tensors}, set(done.left_out)

    kept = {f"layers{mark}{n}" for n in ("bias", "scale", "in_bias")}
    assert ranked() == (tensors.keys() - kept, kept)
    assert ranked(min_ndim=1) == (tensors.keys(), set())
    assert ranked(include=f"layers{mark}bias")[0] == {f"layers{mark}bias"}


@pytest.mark.parametrize("dtype", [">f4", ">f8", "g", ml_dtypes.bfloat16])
def test_floats_that_cannot_be_ranked_are_named(tmp_path, dtype):
    np.savez(tmp_path / "in.npz", a=weights(8, 8).astype(dtype), b=weights(8, 8))
    done = prune_checkpoint(tmp_path / "in.npz", dry_run=True, sparsity=0.5)
    assert [t.name for t in done.report.tensors] == ["b"]
    assert "which is not ranked; float32 is" in done.left_out["a"]
