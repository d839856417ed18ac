"""The same pruning on several backends, and a verdict.

Arrays with names go to every backend through NumPy, which all of them can read; there they are
ranked, and the masks are compared bit by bit with those of the first.
Clauses: RANK-06, TIE-01, TIE-04, TIE-05, FILE-03.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any, Protocol, runtime_checkable

from multiprune._array import Array
from multiprune.errors import BackendError, MaskShapeError, ParametersTypeError
from multiprune.methods import L1Unstructured
from multiprune.named import named
from multiprune.packed import digest, pack
from multiprune.plan import Plan, plan
from multiprune.question import Question
from multiprune.registry import backend_named, backend_of
from multiprune.verdict import (
    DIFFERENT,
    IDENTICAL,
    OUTSIDE_TIES,
    Difference,
    Outcome,
    Verification,
)

__all__ = ["Peer", "verify"]


@runtime_checkable
class Peer(Protocol):
    """Another library under the name of a backend, such as torch's own: it makes masks its way.

    Of a `multiprune.backend.Backend` only the two conversions are asked.
    """

    def to_numpy(self, tensor: Array) -> Any:
        """Return a tensor as a NumPy array of the same dtype."""

    def from_numpy(self, array: Any) -> Array:
        """Return a NumPy array, ml_dtypes included, as a tensor of the same dtype."""

    def global_masks(self, tensors: Mapping[str, Array], amount: float) -> Mapping[str, Array]:
        """Return one mask of 0 and 1 for each tensor."""


@dataclass(frozen=True)
class _Run:
    outcome: Outcome
    masks: Mapping[str, Any]
    values: Mapping[str, Any]


def verify(
    params: Mapping[str, Array],
    *,
    amount: Any = None,
    sparsity: Any = None,
    backends: Sequence[str],
) -> Verification:
    """Prune the same arrays by magnitude on several backends, and compare their masks.

    Parameters
    ----------
    params : mapping of arrays
        Arrays of any one framework by name. They are ranked in the code-point order of the names.
    amount, sparsity
        As in `multiprune.global_unstructured`.
    backends : sequence of str
        For example ``["numpy", "torch", "jax"]``; the others are compared with the first.

    Returns
    -------
    Verification

    Raises
    ------
    ParametersTypeError
        If `params` is not a mapping (a TypeError).
    BackendError
        If a backend is unknown, or its framework is not installed (a LookupError).
    DtypeError
        If a backend does not take a dtype (a TypeError).

    Notes
    -----
    Clauses RANK-06, TIE-01, TIE-04. *identical outside the ties*: masks differ only where entries
    have exactly the score at the cut, which other libraries leave open (TIE-05).
    """
    if not isinstance(params, Mapping):
        raise ParametersTypeError(
            f"params are a {type(params).__name__}. Rule: arrays have names, so that every backend "
            "ranks them in the same order [TIE-04]. Pass a dict from names to arrays."
        )
    if isinstance(backends, str) or not backends:
        raise ParametersTypeError(
            f"backends={backends!r} was given. Rule: it is a list of names, the first of which "
            'the others are compared with. Write backends=["numpy", "jax"], for example.'
        )
    tensors = named(params)
    source = _convertible(backend_of(tensors.values[0]), "the arrays' own")
    host = {n: source.to_numpy(t) for n, t in zip(tensors.names, tensors.values, strict=True)}
    rule = L1Unstructured(amount, sparsity=sparsity)
    ranked = plan(list(host.values()), Question(rule.target), rule)
    (cut,) = ranked.cuts
    runs: list[_Run] = []
    for name in backends:
        run = _run(name, host, rule, cut.count)
        runs.append(run if not runs else _compared(run, runs[0], ranked, cut.threshold))
    return Verification([run.outcome for run in runs], sum(ranked.pools.sizes))


def _run(name: str, host: Mapping[str, Any], rule: L1Unstructured, count: int) -> _Run:
    """Prune on one backend."""
    backend = _convertible(backend_named(name), name)
    tensors = {n: backend.from_numpy(array) for n, array in host.items()}
    threshold = ""
    started = perf_counter()
    if isinstance(backend, Peer):
        masks_found: Mapping[str, Array] = backend.global_masks(tensors, count)
        seconds = perf_counter() - started
    else:
        ranked = plan(list(tensors.values()), Question(rule.target), rule)
        (cut,) = ranked.cuts
        kept = [ranked.keep(i, t)[0] for i, t in enumerate(tensors.values())]
        masks_found = dict(zip(tensors, kept, strict=True))
        seconds = perf_counter() - started
        threshold = hex(cut.threshold) if cut.count else "none"
    masks = {n: backend.to_numpy(mask) == 1 for n, mask in masks_found.items()}
    packed = {n: (mask.shape, pack(mask.tobytes())) for n, mask in masks.items()}
    pruned = sum(mask.size - int(mask.sum()) for mask in masks.values())
    root = name.partition(".")[0]
    try:
        release = version(root)
    except PackageNotFoundError:
        release = "unknown"
    outcome = Outcome(name, release, pruned, threshold, digest(packed), seconds, IDENTICAL)
    return _Run(outcome, masks, {n: backend.to_numpy(t) for n, t in tensors.items()})


def _convertible(backend: Any, name: str) -> Any:
    if not (hasattr(backend, "to_numpy") and hasattr(backend, "from_numpy")):
        raise BackendError(
            f"backend {name} does not convert arrays to and from NumPy's. Rule: what is compared "
            "goes from framework to framework through NumPy. Give the backend to_numpy and "
            "from_numpy, or pass NumPy arrays."
        )
    return backend


def _compared(run: _Run, first: _Run, ranked: Plan, threshold: int) -> _Run:
    """Judge the masks of one backend beside those of the first."""
    entries: Any = ranked.engine
    differing, first_difference = 0, None
    for column, name in zip(entries.columns, run.masks, strict=True):
        mine, theirs = (r.masks[name].reshape(-1) for r in (run, first))
        if mine.shape != theirs.shape:
            raise MaskShapeError(
                f"{run.outcome.backend} returned a mask of {mine.size} entries for {name}, which "
                f"has {theirs.size}. Rule: a mask has the shape of its tensor [MASK-04]."
            )
        for start in range(0, column.size, entries.backend.block_size):
            stop = min(start + entries.backend.block_size, column.size)
            differs = mine[start:stop] != theirs[start:stop]
            differing += int(differs.sum())
            if first_difference is None and differs.any():
                untied = entries.backend.where(differs & (column.keys(start, stop) != threshold))
                if len(untied):
                    first_difference = _difference(name, start + int(untied[0]), first, run)
    if not differing:
        return run
    verdict = OUTSIDE_TIES if first_difference is None else DIFFERENT
    judged = replace(run.outcome, verdict=verdict, differing=differing, difference=first_difference)
    return replace(run, outcome=judged)


def _difference(name: str, index: int, *runs: _Run) -> Difference:
    entries = [run.values[name].reshape(-1)[index : index + 1].tobytes() for run in runs]
    # Most significant byte first, as numbers are written.
    left, right = (f"0x{entry[::-1].hex()}" for entry in entries)
    kept = [bool(run.masks[name].reshape(-1)[index]) for run in runs]
    return Difference(name, index, (left, right), (kept[0], kept[1]))
