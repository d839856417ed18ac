"""Each error has the kind of the specification, and is the builtin that torch raises there."""

from __future__ import annotations

import numpy as np
import pytest

import multiprune as mp
from multiprune import errors, mask_file, packed

KINDS = {
    errors.AmountTypeError: ("amount-type", TypeError),
    errors.AmountError: ("amount-out-of-range", ValueError),
    errors.SparsityError: ("sparsity-below-current", ValueError),
    errors.PruningTypeError: ("pruning-type", TypeError),
    errors.DtypeError: ("dtype", TypeError),
    errors.ParametersTypeError: ("parameters-type", TypeError),
    errors.ScoresTypeError: ("scores-type", TypeError),
    errors.ScoresError: ("scores-keys", ValueError),
    errors.ScoresShapeError: ("scores-shape", ValueError),
    errors.MaskError: ("mask-values", ValueError),
    errors.MaskShapeError: ("mask-shape", ValueError),
    errors.DimError: ("dim", IndexError),
    errors.StructureError: ("not-structured", ValueError),
    errors.NormError: ("norm", ValueError),
    errors.SeedError: ("seed", ValueError),
    errors.ParametersError: ("parameters-empty", ValueError),
    errors.BackendError: ("backend", LookupError),
    packed.MaskFileError: ("mask-file", ValueError),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda c: c.__name__)
def test_an_error_has_its_kind_and_its_builtin(kind):
    name, builtin = KINDS[kind]
    error = kind("text")
    assert error.kind == kind.kind == name
    assert isinstance(error, errors.MultipruneError)
    assert isinstance(error, builtin)
    assert str(error) == "text"
    assert errors.MultipruneError("text").kind == "error"


def test_methods_have_the_types_of_torch():
    types = {
        mp.L1Unstructured: "unstructured",
        mp.RandomUnstructured: "unstructured",
        mp.Identity: "unstructured",
        mp.CustomFromMask: "global",
        mp.LnStructured: "structured",
        mp.RandomStructured: "structured",
    }
    assert {method: method.PRUNING_TYPE for method in types} == types


def test_structured_methods_take_a_sparsity():
    rows = np.array([[1.0, 1], [4, 4], [2, 2], [3, 3]])
    prior = np.array([[0, 0], [1, 1], [1, 1], [1, 1]])
    kept = mp.mask_of(rows, mp.LnStructured(sparsity=0.5, dim=0), prior)
    assert kept[:, 0].tolist() == [False, True, False, True]
    drawn = mp.mask_of(rows, mp.RandomStructured(sparsity=0.5, dim=0, seed=1), prior)
    assert (int(drawn.sum()), bool(drawn[0].any())) == (4, False)
    random = mp.RandomUnstructured(sparsity=0.5, seed=1)
    assert int(mp.mask_of(rows, random, prior).sum()) == 4


def test_the_norm_is_euclidean_by_default():
    rows = np.array([[3.0, 4.0], [0.0, 4.7]])  # 5 and 4.7; by cubes it is 4.5 and 4.7
    assert mp.mask_of(rows, mp.LnStructured(1, dim=0))[:, 0].tolist() == [True, False]


def test_many_blocks_of_a_packed_mask():
    bits = np.random.default_rng(0).random(200_003) < 0.3
    bytes_ = packed.pack(bits.tobytes())
    assert bytes_ == np.packbits(bits, bitorder="little").tobytes()
    assert packed.unpack(bytes_, bits.size) == bits.tobytes()
    assert packed.unpack(bytearray(bytes_), bits.size) == bits.tobytes()
    assert packed.pack(memoryview(bits)) == bytes_


def test_shapes_of_a_mask_file_are_lists_of_integers():
    tensors, metadata = mask_file.encode({"é": ((2, 0), b""), "a": ((), b"\x01")})
    assert "é" in metadata["shapes"]
    assert mask_file.decode(tensors, metadata) == {"a": ((), b"\x01"), "é": ((2, 0), b"")}
    for wrong in ("", '{"é":[2,0.0],"a":[]}', '{"é":[2,-0.5],"a":[]}', '{"é":[-2,0],"a":[]}', "[]"):
        with pytest.raises(packed.MaskFileError, match="shapes"):
            mask_file.decode(tensors, metadata | {"shapes": wrong})
    without = {name: value for name, value in metadata.items() if name != "shapes"}
    with pytest.raises(packed.MaskFileError, match="shapes"):
        mask_file.decode(tensors, without)
