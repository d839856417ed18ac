"""Tensors of the same bytes in torch's files: pruned together, with one mask, or left together."""

import pytest
from multiprune_checkpoints import chart_checkpoint, inspect_checkpoint, prune_checkpoint

from multiprune.errors import MaskError

torch = pytest.importorskip("torch")


def weights(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def pruned(folder, tensors, **asked):
    torch.save(tensors, folder / "model.pt")
    asked = asked or {"sparsity": 0.5}
    done = prune_checkpoint(folder / "model.pt", folder / "pruned.pt", **asked)
    return done, torch.load(folder / "pruned.pt", weights_only=True)


def turned(mask):
    return mask.t().contiguous().t()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32"])
def test_a_mask_in_another_order_is_refused_by_name(tmp_path, dtype):
    mask = torch.zeros(4, 6, dtype=getattr(torch, dtype))
    mask[0] = mask[:, 0] = 1
    tensors = {"a.weight_orig": weights(4, 6), "a.weight_mask": turned(mask)}
    with pytest.raises(MaskError, match=r"a\.weight_mask is stored in another.*\.contiguous\(\)"):
        pruned(tmp_path, tensors, amount=0)
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_tied_weights_have_their_masks_together(tmp_path):
    weight = weights(6, 6)
    first, second = torch.ones(6, 6), torch.ones(6, 6)
    first[0], second[:, 0] = 0, 0
    tensors = {
        "a.weight_orig": weight, "a.weight_mask": first,
        "b.weight_orig": weight, "b.weight_mask": second,
    }  # fmt: skip
    done, found = pruned(tmp_path, tensors)
    assert done.report.pruned == 18
    assert set(done.left_out) == {"a.weight_mask", "b.weight_mask"}
    assert not found["a.weight_orig"][first * second == 0].any()
    for name in "ab":
        assert torch.equal(found[f"{name}.weight_mask"], (found["a.weight_orig"] != 0).float())


def test_a_module_under_two_names_has_one_mask(tmp_path):
    weight, mask = weights(6, 6), torch.ones(6, 6)
    mask[0] = 0
    tensors = {
        f"{n}.weight_{what}": t for n in "ab" for what, t in (("orig", weight), ("mask", mask))
    }
    done, found = pruned(tmp_path, tensors)
    assert done.report.pruned == 18
    assert torch.equal(found["b.weight_mask"], (found["b.weight_orig"] != 0).float())


base = torch.ones(100)
SHARED = {
    "of two weights": (torch.ones(6, 6),) * 2,
    "in part": (base[:36].view(6, 6), base[30:66].view(6, 6)),
}


@pytest.mark.parametrize("exclude", ["", "b.weight_orig"])
@pytest.mark.parametrize("case", SHARED)
def test_masks_that_share_bytes_are_refused_by_name(tmp_path, case, exclude):
    tensors = {}
    for name, mask in zip("ab", SHARED[case], strict=True):
        tensors |= {f"{name}.weight_orig": weights(6, 6), f"{name}.weight_mask": mask}
    with pytest.raises(MaskError, match=r"a\.weight_mask shares its bytes.*Save a \.clone\(\)"):
        pruned(tmp_path, tensors, amount=0, exclude=exclude or ())
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_masks_of_a_tied_weight_in_another_order_are_refused(tmp_path):
    weight = weights(6, 6)
    tensors = {
        "a.weight_orig": weight, "a.weight_mask": torch.ones(6, 6),
        "b.weight_orig": weight.t(), "b.weight_mask": torch.ones(6, 6),
    }  # fmt: skip
    with pytest.raises(MaskError, match=r"b\.weight_mask is the mask of b\.weight_orig, which has"):
        pruned(tmp_path, tensors)


@pytest.mark.parametrize("view", [lambda w: w.t(), lambda w: w.view(-1)])
def test_a_view_of_what_is_pruned_is_not_called_untouched(tmp_path, view):
    weight = weights(8, 8)
    done, found = pruned(tmp_path, {"enc.weight": weight, "dec.weight": view(weight)})
    assert int((found["dec.weight"] == 0).sum()) == 32
    assert (done.untouched, done.left_out) == ([], {})
    assert done.tied == [["enc.weight", "dec.weight"]]
    assert chart_checkpoint(tmp_path / "pruned.pt").untouched == []


@pytest.mark.parametrize("excluded", ["a.weight", "b.weight"])
def test_what_is_excluded_under_one_name_is_excluded_under_all(tmp_path, excluded):
    weight = weights(8, 8)
    tensors = {"a.weight": weight, "b.weight": weight, "c": weights(8, 8)}
    done, found = pruned(tmp_path, tensors, sparsity=0.5, exclude=excluded)
    other = "b.weight" if excluded == "a.weight" else "a.weight"
    assert torch.equal(found["a.weight"], weight)
    assert sorted(done.untouched) == ["a.weight", "b.weight"]
    assert done.left_out == {other: f"the same bytes as {excluded}, which is excluded"}
    facts = inspect_checkpoint(tmp_path / "model.pt", exclude=excluded).tensors
    assert [fact.name for fact in facts if fact.selected] == ["c"]


def test_all_names_of_bytes_that_are_shared_in_part_are_left_out(tmp_path):
    base = weights(100)
    whole = base[:64].view(8, 8)
    tensors = {"a": whole, "b": base[32:64].view(4, 8), "again": whole, "c": weights(4, 4)}
    done, _ = pruned(tmp_path, tensors)
    assert set(done.left_out) == {"a", "again", "b"}


def test_a_report_on_a_model_that_torch_pruned_goes_by_its_masks(tmp_path):
    mask = torch.ones(6, 6)
    mask[0] = 0
    state = {"a.weight_orig": weights(6, 6), "a.weight_mask": mask, "b.weight": weights(4, 4)}
    torch.save(state, tmp_path / "model.pt")
    charts = chart_checkpoint(tmp_path / "model.pt")
    found = {t.name: t.pruned for t in charts.report.tensors}
    assert found == {"a.weight_orig": 6, "b.weight": 0}
    assert charts.untouched == ["a.weight_mask"]
