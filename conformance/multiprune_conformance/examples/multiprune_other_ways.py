"""multiprune on NumPy by other ways: files, blocks, threads.

`--adapter multiprune_conformance.examples.multiprune_other_ways:OtherWays`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from multiprune_numpy import backend

import multiprune
from multiprune_conformance.examples.multiprune_arrays import Json, OnNumpy
from multiprune_conformance.oracle_encoding import SETTINGS


class OtherWays(OnNumpy):
    """NumPy by other ways, which lead to the same masks.

    Blocks of five entries dealt to two threads, as large models have them; `mask_of` for a tensor
    alone; a tuple for a list; amounts as arrays without dimensions.
    """

    name = "NumPy, other ways"

    def run(self, operation: str, request: Json) -> Json:
        """Answer one request, the backend's blocks being small."""
        kind = type(backend)
        before = kind.block_size, kind.workers
        kind.block_size, kind.workers = 5, 2
        try:
            return super().run(operation, request)
        finally:
            kind.block_size, kind.workers = before

    def goal(self, request: Json) -> Json:
        """Return amount and sparsity, numbers as arrays (AMT-07)."""
        plain = super().goal(request)
        fits = {k: v for k, v in plain.items() if type(v) in {int, float} and abs(v) < 2**63}
        return plain | {name: np.array(value) for name, value in fits.items()}

    def prune(self, tensors: Any, method: Any, scores: Any, masks: Any, options: Json) -> Any:
        """Prune arrays together, a single one by itself."""
        if isinstance(tensors, dict):
            return super().prune(tensors, method, scores, masks, options)
        alone = len(tensors) == 1 and not {"scope", "dim", *SETTINGS} & {*options}
        if alone and method.PRUNING_TYPE == "unstructured":
            return [multiprune.mask_of(tensors[0], method(**options), masks[0])]
        masks_made = super().prune(tuple(tensors), method, scores, tuple(masks), options)
        if not isinstance(masks_made, tuple):
            raise TypeError(f"a tuple came back as {type(masks_made).__name__}")
        return masks_made
