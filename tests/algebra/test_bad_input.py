"""What does not fit is an error that names the parameter, and old names go on with a warning."""

from __future__ import annotations

import array_api_strict as xp
import numpy as np
import pytest

import multiprune as mp
from multiprune import errors

ROWS = np.arange(12.0).reshape(3, 4)
KEPT = ROWS > 3


def prune(tensors=None, *, amount=0.5, **options):
    return mp.global_unstructured([ROWS] if tensors is None else tensors, amount=amount, **options)


CASES = {
    "frameworks": (lambda: prune([ROWS, xp.ones(3)]), errors.ParametersTypeError, "tensor 1 is a"),
    "frameworks by name": (
        lambda: prune({"a": xp.ones(3), "b": ROWS}),
        errors.ParametersTypeError,
        r"tensor b is a numpy\.ndarray, tensor a a array_api_strict",
    ),
    "mask of another framework": (
        lambda: prune(masks=[xp.ones((3, 4), dtype=xp.bool)]),
        errors.MaskError,
        "masks of 0",
    ),
    "scores of another framework": (
        lambda: prune(importance_scores=[xp.ones((3, 4))]),
        errors.ScoresTypeError,
        "importance_scores of 0",
    ),
    "list for a mask": (
        lambda: prune(masks=[KEPT.tolist()]),
        errors.MaskError,
        "masks of 0 is a list",
    ),
    "list for scores": (
        lambda: prune(importance_scores=[ROWS.tolist()]),
        errors.ScoresTypeError,
        "importance_scores of 0 is a list",
    ),
    "number for scores": (
        lambda: prune(importance_scores=0.5),
        errors.ScoresTypeError,
        "importance_scores is a float",
    ),
    "outcome for masks": (
        lambda: prune(masks=prune()),
        errors.ScoresTypeError,
        r"masks=pruned\.masks",
    ),
    "name for a method": (lambda: prune(method="Random"), errors.PruningTypeError, "'Random'"),
    "instance for a class": (
        lambda: prune(method=mp.L1Unstructured(0.5)),
        errors.PruningTypeError,
        r"method=L1Unstructured\(\.\.\.\) was given, an instance",
    ),
    "class for an instance": (
        lambda: mp.mask_of(ROWS, mp.LnStructured),
        errors.PruningTypeError,
        r"Write LnStructured\(0\.5\)",
    ),
    "name for an instance": (
        lambda: mp.mask_of(ROWS, "L1Unstructured"),
        errors.PruningTypeError,
        "method='L1Unstructured' was given",
    ),
    "list to apply": (
        lambda: mp.apply_masks([ROWS], [KEPT.tolist()]),
        errors.MaskError,
        "masks of 0 is a list",
    ),
    "shape to apply": (
        lambda: mp.apply_masks([ROWS], [KEPT.T]),
        errors.MaskShapeError,
        r"\(4, 3\)",
    ),
    "values to apply": (
        lambda: mp.apply_masks([ROWS], [ROWS]),
        errors.MaskError,
        "other than 0 and 1",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_names_its_parameter(case):
    call, error, words = CASES[case]
    with pytest.raises(error, match=words) as caught:
        call()
    assert isinstance(caught.value, mp.MultipruneError)
    assert "Rule: " in str(caught.value)


def test_a_keyword_that_nobody_knows_is_refused():
    with pytest.raises(TypeError, match=r"mask_of\(\) got an unexpected keyword argument 'score'"):
        mp.mask_of(ROWS, mp.L1Unstructured(1), score=ROWS)
    with pytest.raises(TypeError, match="unexpected keyword argument 'ammount'"):
        prune(ammount=1)


def test_old_names_go_on_with_a_warning():
    with pytest.warns(DeprecationWarning, match="pruning_method= is called method= now") as told:
        old = prune(pruning_method=mp.Identity, amount=None).masks[0]
    assert told[0].filename == __file__
    assert old.all()
    with pytest.warns(DeprecationWarning, match="scores= is called importance_scores= now"):
        old = mp.mask_of(ROWS, mp.L1Unstructured(5), scores=-ROWS)
    assert old.tolist() == mp.mask_of(ROWS, mp.L1Unstructured(5), importance_scores=-ROWS).tolist()


@pytest.mark.parametrize("kind", [list, tuple, dict])
@pytest.mark.parametrize("dtype", ["float32", "int8", "complex64", "bool"])
def test_masks_are_applied(kind, dtype):
    """What a mask keeps stays to the bit; the rest is +0, NaN and infinity included."""
    values = np.array([[-0.0, np.nan, np.inf], [-3.0, 2.0, -1.0]])
    with np.errstate(invalid="ignore"):
        tensor = values.astype(dtype)
    kept = np.array([[True, False, False], [True, False, True]])
    tensors, masks = {"a": tensor, "b": tensor}, {"a": kept.astype(np.float32), "b": None}
    if kind is not dict:
        tensors, masks = kind(tensors.values()), kind(masks.values())
    pruned = mp.apply_masks(tensors, masks)
    assert isinstance(pruned, kind)
    first, second = pruned.values() if kind is dict else pruned
    assert second is tensor
    assert first.dtype == tensor.dtype
    assert first[kept].tobytes() == tensor[kept].tobytes()
    assert first[~kept].tobytes() == bytes(first[~kept].nbytes)
    assert mp.apply_masks({"a": tensor}, {})["a"] is tensor
