"""The same weights under the same names: one digest, wherever and by whatever they are pruned."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from launch import HERE, PATHS, torchrun
from multiprune_checkpoints import prune_checkpoint
from multiprune_conformance import oracle
from multiprune_conformance.oracle_file import write_file
from safetensors.numpy import save_file

AMOUNT = 0.6
SHAPES = {"0.weight": (16, 24), "2.weight": (8, 16), "3.weight": (32, 8)}
ON_A_MESH = """
import sys
import jax, multiprune_jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from safetensors.flax import load_file
jax.config.update("jax_num_cpu_devices", 8)
mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ("x", "y"))
layouts = {"0.weight": P("x", "y"), "2.weight": P(None, ("x", "y")), "3.weight": P("y")}
for path in sys.argv[2:]:
    params = {
        name: jax.device_put(array, NamedSharding(mesh, layouts[name]))
        for name, array in load_file(path).items()
    }
    found = multiprune_jax.global_unstructured(params, amount=float(sys.argv[1]))
    name = path.split("/")[-1].split(".")[0] + "-mesh"
    print("digest", name, multiprune_jax.save_masks(found.masks, name))
"""


@pytest.mark.slow
def test_processes_a_mesh_and_a_file_have_one_digest(tmp_path):
    rng = np.random.default_rng(3)
    numbers = {n: (rng.standard_normal(s) * 4).round() for n, s in SHAPES.items()}
    wanted = {}
    for dtype in ("float32", "bfloat16"):  # whole numbers: hundreds tie, and positions decide
        kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
        weights = {n: a.astype(kind) for n, a in numbers.items()}
        save_file(weights, tmp_path / f"{dtype}.safetensors")
        ranked = list(weights.values())
        if dtype == "bfloat16":
            ranked = [(dtype, a.view(np.uint16)) for a in ranked]
        masks = oracle.global_unstructured(ranked, amount=AMOUNT)
        wanted[dtype] = write_file(dict(zip(SHAPES, masks, strict=True)))
    files = [str(tmp_path / f"{dtype}.safetensors") for dtype in wanted]
    told = "".join(
        torchrun(HERE / "digests.py", tmp_path, str(AMOUNT), *files, processes=processes)
        for processes in (1, 2, 4)
    )
    done = subprocess.run(
        [sys.executable, "-c", ON_A_MESH, str(AMOUNT), *files],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": PATHS},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^digest (\w+)-(\S+) (\w{64})$", told + done.stdout, flags=re.M)
    assert len(found) == 2 * (3 * 3 + 2 + 1), told
    for dtype, where, digest in found:
        assert digest.encode() in wanted[dtype], where
    for dtype, file in zip(wanted, files, strict=True):
        masks = tmp_path / f"{dtype}.masks"
        target = tmp_path / f"{dtype}-pruned.safetensors"
        prune_checkpoint(file, target, amount=AMOUNT, save_masks=masks)
        digest = next(d for kind, _, d in found if kind == dtype)
        assert digest.encode() in masks.read_bytes()
