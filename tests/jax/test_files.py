"""Masks come back: from packed files and from orbax (from a mesh: test_mesh)."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import multiprune_jax as mj
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx
from jax_nets import CONTAINERS, Nnx, equinox, nested
from multiprune_conformance.oracle_file import read_file, write_file
from multiprune_jax.paths import Tree

from multiprune.errors import MaskError, MaskShapeError
from multiprune.packed import MaskFileError

MASKS = mj.global_unstructured(nested(), amount=0.8).masks


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_masks_come_back_from_a_packed_file(make, tmp_path):
    tree, path = make(), tmp_path / "masks.safetensors"
    digest = mj.save_masks(mj.global_unstructured(tree, amount=0.8).masks, path)
    assert digest == mj.save_masks(MASKS, tmp_path / "other")  # one digest for all containers
    found = Tree(mj.load_masks(path, like=tree)).leaves
    plain = mj.load_masks(path)
    for name, mask in read_file(path.read_bytes()).items():
        assert np.array_equal(found[name], mask)
        assert np.array_equal(plain[name], mask)
        assert found[name].dtype == jnp.bool_


def test_files_of_other_writers_are_read(tmp_path):
    masks = {"a/kernel": np.ones((6, 10), dtype=bool), "empty": np.ones((0, 3), dtype=bool)}
    (tmp_path / "m").write_bytes(write_file(masks))
    assert {n: m.shape for n, m in mj.load_masks(tmp_path / "m").items()} == {
        "a/kernel": (6, 10),
        "empty": (0, 3),
    }
    with pytest.raises(MaskError, match="match no leaf of like"):
        mj.load_masks(tmp_path / "m", like=nested())
    (tmp_path / "m").write_bytes(write_file({"a/kernel": np.ones((10, 6), dtype=bool)}))
    with pytest.raises(MaskShapeError):
        mj.load_masks(tmp_path / "m", like=nested())


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "m"
    mj.save_masks(MASKS, path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(MaskFileError, match="FILE-06"):
        mj.load_masks(path)
    path.write_bytes(data[:40])
    with pytest.raises(MaskFileError, match="FILE-04"):
        mj.load_masks(path)
    from safetensors.numpy import save_file

    save_file({"a": np.zeros((2, 2), dtype=np.float32)}, path)
    with pytest.raises(MaskFileError, match="FILE-05"):
        mj.load_masks(path)


@pytest.mark.parametrize("kind", ["dict", "equinox", "nnx"])
def test_masks_survive_orbax(kind, tmp_path):
    make = {"dict": nested, "equinox": equinox, "nnx": lambda: nnx.state(Nnx(), nnx.Param)}[kind]
    pruned = mj.global_unstructured(make(), amount=0.8)
    # By name, for a tree with None has places that orbax does not store.
    state = {"params": Tree(pruned.params).leaves, "masks": Tree(pruned.masks).leaves}
    state["params"] = {n: p for n, p in state["params"].items() if isinstance(p, jax.Array)}
    if kind == "dict":
        state["tree"] = pruned.masks
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "saved", state)
        checkpointer.wait_until_finished()
        back = checkpointer.restore(tmp_path / "saved", state)
    if kind == "dict":
        assert back["tree"]["a"]["bias"] is None
    for name, mask in Tree(MASKS).leaves.items():
        assert back["masks"][name].dtype == jnp.bool_
        assert np.array_equal(back["masks"][name], mask)
    again = mj.apply_masks(make(), back["masks"])
    assert np.array_equal(Tree(again).leaves["a/kernel"], Tree(pruned.params).leaves["a/kernel"])


APART = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
import jax.numpy as jnp, multiprune, multiprune_jax as mj
from multiprune.errors import ParametersError

apart = {n: jax.device_put(jnp.ones((2, 3)), d) for n, d in zip("ab", jax.devices())}
for prune in (mj.global_unstructured, multiprune.global_unstructured):
    try:
        prune(apart, amount=0.3)
    except ParametersError as error:
        assert "different devices" in str(error) and " on ['" in str(error), error
    else:
        raise AssertionError("arrays on two devices were ranked")
# Scores and masks count as well.
together = {n: jax.device_put(jnp.ones((2, 3)), jax.devices()[0]) for n in "ab"}
for other in ({"importance_scores": apart}, {"masks": {n: a == 1 for n, a in apart.items()}}):
    try:
        mj.global_unstructured(together, amount=0.3, **other)
    except ParametersError as error:
        assert "different devices" in str(error)
    else:
        raise AssertionError(f"{list(other)} on another device were taken")
"""


def test_arrays_of_different_devices_are_refused():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", APART],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
