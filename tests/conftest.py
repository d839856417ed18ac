"""Hypothesis profiles, the paths of helper modules, and what a machine without a GPU leaves out.

The same cases on every run in CI, more of them on demand.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent
# Never this folder itself: its folders torch and jax would pass for the frameworks.
sys.path += [str(HERE / name) for name in ("checkpoints", "conformance", "jax", "torch")]
sys.path += [str(HERE / "distributed"), str(HERE.parent / "conformance")]

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=150,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile(
    "many", parent=settings.get_profile("ci"), derandomize=False, max_examples=5_000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_collection_modifyitems(items):
    """Skip the tests of devices where no GPU is."""
    on_a_gpu = [item for item in items if HERE / "device" in item.path.parents]
    if on_a_gpu:
        import torch

        if not torch.cuda.is_available():
            for item in on_a_gpu:
                item.add_marker(pytest.mark.skip(reason="torch.cuda.is_available() is False"))
