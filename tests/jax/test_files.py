"""Masks come back: from packed files, from orbax, and from a mesh."""

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
    digest = mj.save_masks(path, mj.global_unstructured(tree, amount=0.8).masks)
    assert digest == mj.save_masks(tmp_path / "other", MASKS)  # one digest for all containers
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
    mj.save_masks(path, MASKS)
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
    with pytest.raises(MaskFileError, match="FILE-04"):
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


MESH = """
import math, re, jax, numpy as np
jax.config.update("jax_num_cpu_devices", 8)
import jax.numpy as jnp, multiprune_jax as mj
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from multiprune.errors import ParametersError

rng = np.random.default_rng(0)
params = {
    "a": jnp.asarray(rng.integers(-9, 9, (16, 8)), jnp.float32),
    "b": jnp.asarray(rng.integers(-9, 9, (8, 24)), jnp.bfloat16),
}
mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ("x", "y"))
sharding = {"a": NamedSharding(mesh, P("y", "x")), "b": NamedSharding(mesh, P(None, ("x", "y")))}
sharded = jax.device_put(params, sharding)
want = mj.global_unstructured(params, amount=0.5)
put = jax.device_put(want.masks, sharding)
for prior in (None, "masks"):
    masks = None if prior is None else want.masks
    there = None if prior is None else put
    expected = mj.global_unstructured(params, amount=0.3, masks=masks)
    got = mj.global_unstructured(sharded, amount=0.3, masks=there)
    count = expected.report.pruned - (0 if masks is None else want.report.pruned)
    inside = jax.jit(lambda p, m, k: mj.global_unstructured(p, amount=k, masks=m))(
        sharded, there, count
    )
    assert got.report == expected.report, (got.report, expected.report)
    for name in params:
        for found in (got, inside):
            assert np.array_equal(found.masks[name], expected.masks[name])
            assert np.array_equal(found.params[name], expected.params[name])
            assert found.masks[name].sharding.is_equivalent_to(sharding[name], 2), name
# Between devices go counts, one a device: never weights, keys or masks.
hlo = jax.jit(lambda p: mj.global_unstructured(p, amount=100)).lower(sharded).compile().as_text()
sent = re.findall(r"= (\\w+)\\[([0-9,]*)\\]\\S* all-\\w+", hlo)
assert sent and all(kind == "u32" for kind, _ in sent), sent
assert all(math.prod(map(int, shape.split(","))) <= 8 for _, shape in sent if shape), sent
assert "all-to-all" not in hlo and "collective-permute" not in hlo
apart = {n: jax.device_put(p, jax.devices()[i]) for i, (n, p) in enumerate(params.items())}
try:
    mj.global_unstructured(apart, amount=0.3)
except ParametersError as error:
    assert "different devices" in str(error) and "a on" in str(error)
else:
    raise AssertionError("arrays on two devices were ranked")
"""


def test_sharded_trees_are_ranked_where_they_are():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", MESH],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
