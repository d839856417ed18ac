"""The traced function on a few fixed forms: each is compiled once, and then fed many values.

A form is the dtypes and shapes of the leaves, which of them have a prior mask, and the method; the
count is traced. JAX computes with 32 bits here unless a form holds wider numbers.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from cases import FLOAT8, Array, bits_of, dtype
from multiprune_conformance import oracle

FORMS = 48  # of at most 50
NARROW = ["float16", "bfloat16", "float32", *FLOAT8, "int8", "int16", "int32", "uint8", "uint16"]
NARROW += ["uint32"]
WIDE = ["float64", "int64", "uint64"]
SHAPES = [(7,), (3, 4), (2, 3, 2), (1,), (16,), (5, 1), ()]


@dataclass(frozen=True)
class Form:
    """What is compiled once."""

    leaves: tuple[tuple[str, tuple[int, ...]], ...]
    masked: tuple[bool, ...]
    signed: bool
    seed: int | None

    @property
    def is_wide(self) -> bool:
        """Whether JAX needs 64 bits for it."""
        return any(dtype(name).itemsize == 8 for name, _ in self.leaves)


def form_of(number: int) -> Form:
    """Return the form of a number; the same on every run, whatever the seed."""
    draw = random.Random(number)
    pool = [WIDE[number // 6 % 3]] if number % 6 == 5 else [NARROW[number % len(NARROW)]]
    many = 1 + number % 3
    if number % 4 == 3:
        pool = ["float16", "bfloat16", "float32"] + ["float64"] * (number % 8 == 7)
    names = [draw.choice(pool) for _ in range(many)]
    leaves = tuple((name, draw.choice(SHAPES)) for name in names)
    masked = tuple(draw.random() < 0.5 for _ in names)
    seed = draw.getrandbits(64) if number % 12 == 10 else None
    return Form(leaves, masked, seed is None and number % 5 == 1, seed)


def case_of(seed: int, number: int) -> tuple[Form, list[Array], list[Array | None], int]:
    """Return the form, the leaves, their masks and the count of a case."""
    form = form_of(number % FORMS)
    draw = random.Random(seed << 40 | number)
    tensors, masks = [], []
    for (name, shape), masked in zip(form.leaves, form.masked, strict=True):
        tensors.append(bits_of(draw, name, math.prod(shape)).reshape(shape))
        kept = draw.choice([0.0, 0.3, 0.8, 1.0])
        flat = [draw.random() < kept for _ in range(math.prod(shape))]
        masks.append(np.array(flat, dtype=bool).reshape(shape) if masked else None)
    total = sum(tensor.size for tensor in tensors)
    return form, tensors, masks, draw.randint(0, total + 1)


def told(seed: int, number: int) -> str:
    """Return a case as text."""
    form, tensors, masks, amount = case_of(seed, number)
    bits = [tensor.reshape(-1).view(np.uint8).tobytes().hex() for tensor in tensors]
    known = [None if m is None else m.tolist() for m in masks]
    return f"{form}\namount {amount}\nbytes {bits}\nmasks {known}"


class Law:
    """The masks of the traced function are the oracle's."""

    def __init__(self, seed: int) -> None:
        import jax

        config: Any = jax.config
        config.update("jax_platforms", "cpu")
        self.seed, self.jax = seed, jax
        self.compiled: dict[Form, Any] = {}

    def difference(self, number: int) -> str:
        """Return how the answers to a case differ, or nothing."""
        form, tensors, masks, amount = case_of(self.seed, number)
        live = sum(
            t.size if m is None else int(m.sum()) for t, m in zip(tensors, masks, strict=True)
        )
        asked: dict[str, Any] = {"masks": masks, "amount": min(amount, live)}
        if form.seed is None:
            expected = oracle.global_unstructured(tensors, signed=form.signed, **asked)
        else:
            shapes = [tensor.shape for tensor in tensors]
            expected = oracle.random_unstructured(shapes, seed=form.seed, **asked)
        with self.jax.enable_x64(form.is_wide):
            if form not in self.compiled:
                self.compiled[form] = self.jax.jit(_traced(form))
            found = self.compiled[form](tensors, masks, np.int32(amount))
        for place, (want, have) in enumerate(zip(expected, found, strict=True)):
            if not np.array_equal(want, np.asarray(have)):
                return f"leaf {place}: expected {want.tolist()}, got {np.asarray(have).tolist()}"
        return ""


def _traced(form: Form) -> Any:
    from multiprune_jax import L1Unstructured, RandomUnstructured, global_unstructured

    options: dict[str, Any] = {"method": L1Unstructured, "signed": form.signed}
    if form.seed is not None:
        options = {"method": RandomUnstructured, "seed": form.seed}

    def pruned(leaves: Any, masks: Any, amount: Any) -> Any:
        done = global_unstructured(
            leaves, amount=amount, masks=masks, where=lambda path, leaf: True, **options
        )
        return done.masks

    return pruned
