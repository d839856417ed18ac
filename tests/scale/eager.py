"""One case put to the oracle and to the public face of multiprune, on a framework's own arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import Case
from multiprune_conformance import oracle

import multiprune
from multiprune.errors import MultipruneError
from multiprune.plan import plan
from multiprune.question import Question

Put = Callable[[Any], Any]


def difference(case: Case, put: Put) -> str:
    """Return how the answers to a case differ, or nothing."""
    expected, got = _by_the_oracle(case), _by_us(case, put)
    if case.what == "pools" and isinstance(expected, str) and isinstance(got, str):
        return ""  # of several faults either may be named; vectors have one each
    if isinstance(expected, str) or isinstance(got, str):
        return "" if expected == got else f"expected {_shown(expected)}, got {_shown(got)}"
    for place, (want, have) in enumerate(zip(expected, got, strict=True)):
        if want.shape != have.shape or not np.array_equal(want, have):
            return f"{case.what} {place}: expected {want.tolist()}, got {have.tolist()}"
    return ""


def _shown(answer: Any) -> str:
    return answer if isinstance(answer, str) else f"masks {[mask.tolist() for mask in answer]}"


def _by_the_oracle(case: Case) -> Any:
    try:
        if case.what == "random":
            shapes = [tensor.shape for tensor in case.tensors]
            return oracle.random_unstructured(shapes, seed=case.seed, masks=case.masks, **case.goal)
        if case.what == "structured":
            return [_channels(case)]
        asked = {"masks": case.masks, "signed": case.signed, **case.goal}
        if case.what == "pools":
            seed = None if case.seed < 0 else case.seed
            return oracle.pruned(case.tensors, seed=seed, **asked, **case.where)
        if case.what == "cut":
            return [np.array(oracle.cut(case.tensors, **asked), dtype=object)]
        return oracle.global_unstructured(case.tensors, **asked)
    except oracle.Refused as refused:
        return refused.kind


def _channels(case: Case) -> Any:
    (tensor,), (mask,) = case.tensors, case.masks
    prior = np.ones(tensor.shape) if mask is None else mask
    dim, n, amount = case.channels["dim"], case.channels["n"], case.goal["amount"]
    if n is None:
        return oracle.random_structured(prior, dim, seed=case.seed, amount=amount)
    rows = np.moveaxis(np.where(prior == 1, tensor, 0), dim, 0).reshape(tensor.shape[dim], -1)
    norms = [np.linalg.norm(row, 2 if n == "fro" else n) for row in rows.astype(np.float64)]
    return oracle.structured(np.array(norms), prior, dim, amount=amount)


def _by_us(case: Case, put: Put) -> Any:
    tensors = [put(tensor) for tensor in case.tensors]
    masks = [None if mask is None else put(mask) for mask in case.masks]
    try:
        if case.what == "structured":
            (tensor,), (mask,) = tensors, masks
            return [np.asarray(multiprune.mask_of(tensor, _method(case), mask))]
        if case.what == "cut" and not _is_faulty(case):
            smallest = multiprune.L1Unstructured(signed=case.signed, **case.goal)
            (cut,) = plan(tensors, Question(smallest.target), smallest, masks).cuts
            return [np.array([cut.threshold, cut.position, cut.ties], dtype=object)]
        method: type[multiprune.PruningMethod] = multiprune.L1Unstructured
        options: dict[str, Any] = {"signed": case.signed}
        if case.what == "random" or (case.what == "pools" and case.seed >= 0):
            method, options = multiprune.RandomUnstructured, {"seed": case.seed}
        options |= {"masks": masks, **case.goal, **case.where}
        done = multiprune.global_unstructured(tensors, method, **options)
        return [np.asarray(mask) for mask in done.masks]
    except MultipruneError as error:
        return error.kind


def _is_faulty(case: Case) -> bool:
    """Whether a mask is wrong: a bare ranking takes checked ones only."""
    pairs = zip(case.tensors, case.masks, strict=True)
    return any(m is not None and (m.shape != t.shape or np.any((m != 0) & (m != 1)))
               for t, m in pairs)  # fmt: skip


def _method(case: Case) -> Any:
    amount, dim, n = case.goal["amount"], case.channels["dim"], case.channels["n"]
    if n is None:
        return multiprune.RandomStructured(amount, dim, seed=case.seed)
    return multiprune.LnStructured(amount, n, dim)


def numpy() -> Put:
    """NumPy arrays, as they are."""
    return lambda array: array


def torch() -> Put:
    """Torch tensors on the CPU, strides kept where torch has such."""
    import torch as framework

    framework.set_num_threads(1)
    known: dict[str, Any] = {}

    def put(array: Any) -> Any:
        kind = known.setdefault(array.dtype.name, getattr(framework, array.dtype.name))
        if any(stride < 0 for stride in array.strides):
            array = array.copy()
        if array.dtype.isbuiltin == 1:
            return framework.from_numpy(array)
        return framework.from_numpy(array.view(f"int{8 * array.dtype.itemsize}")).view(kind)

    return put


def jax() -> Put:
    """JAX arrays on the CPU, with 64 bits."""
    import jax as framework

    config: Any = framework.config
    config.update("jax_platforms", "cpu")
    config.update("jax_enable_x64", True)
    return framework.numpy.asarray


BACKENDS: dict[str, Callable[[], Put]] = {"numpy": numpy, "torch": torch, "jax": jax}
