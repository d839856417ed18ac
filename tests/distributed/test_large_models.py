"""What large models send, by the code's own exchanges: a dozen small sums, whatever their size."""

from __future__ import annotations

import pytest

from benchmarks.sharded import MODELS, Normal, traffic
from multiprune.keys import format_of


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_dozen_sums_of_128_kib_together(model, dtype):
    parameters, tensors, _ = MODELS[model]
    for replicas in (False, True):
        entries = Normal(int(parameters), format_of(dtype))
        ledger, cut = traffic(entries, tensors, replicas=replicas)
        assert cut.count == round(0.8 * parameters)
        assert ledger.calls <= 12
        assert ledger.sent <= 128 << 10
