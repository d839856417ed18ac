"""From raw figures to what a row says: medians, ratios, and whether the target is reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.cases import Measurement

MIB = 1 << 20
#: Raw figures: measurement key, then side, then one dict per run.
Raw = Mapping[str, Mapping[str, list[dict[str, Any]]]]


@dataclass(frozen=True)
class Outcome:
    """What one row says.

    Parameters
    ----------
    ours, theirs : str
        The figure of multiprune and that of torch, as shown.
    ratio : float, optional
        How many times better than torch.
    least : float, optional
        The ratio to reach, where the target is one.
    target : str
        The target in words; empty where there is none.
    reached : bool, optional
        Whether the target is reached; None where there is none.
    bar : float, optional
        What the plot shows, where that is not the ratio.
    """

    ours: str
    theirs: str = ""
    ratio: float | None = None
    least: float | None = None
    target: str = ""
    reached: bool | None = None
    bar: float | None = None


def _seconds(raw: Raw, key: str, side: str, turn: int = 0) -> float:
    return float(median(run["seconds"][turn] for run in raw[key][side]))


def faster(key: str, least: float | None = None) -> Callable[..., Outcome]:
    """Read the time of both sides; `least` is the ratio to reach, if any."""

    def read(raw: Raw, _: Mapping[str, Measurement]) -> Outcome:
        ours, theirs = _seconds(raw, key, "multiprune"), _seconds(raw, key, "torch")
        ratio = theirs / ours
        target = f"{least:g} times faster" if least else ""
        reached = ratio >= least if least else None
        return Outcome(_time(ours), _time(theirs), ratio, least, target, reached)

    return read


def beside(key: str, peer: str, least: float) -> Callable[..., Outcome]:
    """Read the time beside a peer that is not torch's own pruning."""

    def read(raw: Raw, _: Mapping[str, Measurement]) -> Outcome:
        ours, theirs = _seconds(raw, key, "multiprune"), _seconds(raw, key, peer)
        ratio = theirs / ours
        target = f"{least:g} times faster"
        return Outcome(_time(ours), _time(theirs), ratio, least, target, ratio >= least)

    return read


def bounds(raw: Raw, _: Mapping[str, Measurement]) -> Outcome:
    """Read the time with bounds in times without."""
    pairs = zip(raw["bounds"]["multiprune"], raw["bounds"]["free"], strict=True)
    ratio = median(held["seconds"][0] / free["seconds"][0] for held, free in pairs)
    free = _seconds(raw, "bounds", "free")
    return Outcome(
        f"{ratio:.2f} times {_time(free)}",
        target="at most 1.5 times without",
        reached=ratio <= 1.5,
    )


def floor(raw: Raw, _: Mapping[str, Measurement]) -> Outcome:
    """Read the time in floors: what writing the outputs alone takes."""
    ours, theirs = (_seconds(raw, "100m", side) for side in ("multiprune", "torch"))
    floor = _seconds(raw, "floor", "alone")
    return Outcome(
        f"{ours / floor:.2f} floors of {_time(floor)}",
        f"{theirs / floor:.1f} floors",
        target="at most 2.5 floors",
        reached=ours <= 2.5 * floor,
        bar=theirs / floor,
    )


def memory(raw: Raw, _: Mapping[str, Measurement]) -> Outcome:
    """Read the peak above the model, of the worst run."""
    copies, over = {}, 0.0
    for side in ("torch", "multiprune"):
        run = max(raw["100m"][side], key=lambda run: run["peak"][0])
        copies[side] = run["peak"][0] / run["weights"]
        over = (run["peak"][0] - 2 * run["weights"]) / MIB
    return Outcome(
        f"{copies['multiprune']:.2f} copies (2 {'+' if over >= 0 else '-'} {abs(over):.0f} MiB)",
        f"{copies['torch']:.1f} copies",
        copies["torch"] / copies["multiprune"],
        target="2 copies + 64 MiB",
        reached=over <= 64,
    )


def huge(raw: Raw, sizes: Mapping[str, Measurement]) -> Outcome:
    """Read the time per entry of the largest model, relative to the 100 M one."""
    huge, large = (
        _seconds(raw, key, "multiprune") / sizes[key].entries * 1e9 for key in ("1g", "100m")
    )
    return Outcome(
        f"{_time(_seconds(raw, '1g', 'multiprune'))}, {huge / large:.2f} per entry",
        target="1.3 per entry of 100 M",
        reached=huge <= 1.3 * large,
    )


def rounds(turn: int) -> Callable[..., Outcome]:
    """Read a later round relative to the first in the same process."""

    def read(raw: Raw, _: Mapping[str, Measurement]) -> Outcome:
        first, later = (_seconds(raw, "rounds", "multiprune", place) for place in (0, turn))
        ratio = _seconds(raw, "rounds", "torch", turn) / later
        theirs = _seconds(raw, "rounds", "torch", turn) / _seconds(raw, "rounds", "torch")
        return Outcome(
            f"{_time(later)}, {later / first:.2f} of round 1",
            f"{theirs:.2f} of round 1",
            ratio,
            target="1.3 of round 1",
            reached=later <= 1.3 * first,
        )

    return read


def growth(raw: Raw, _: Mapping[str, Measurement]) -> Outcome:
    """Compare what is allocated after the fifth round with what is after the first."""
    grown = {
        side: median((run["live"][-1] - run["live"][0]) / run["weights"] for run in runs)
        for side, runs in raw["rounds"].items()
    }
    return Outcome(
        f"{grown['multiprune']:+.2f} copies",
        f"{grown['torch']:+.2f} copies",
        target="no growth (0.05 copies)",
        reached=grown["multiprune"] <= 0.05,
    )


def fifth_peak(raw: Raw, _: Mapping[str, Measurement]) -> Outcome:
    """Read the peak of the fifth round above the unpruned model."""
    ours, theirs = (
        max(run["peak"][-1] / run["weights"] for run in raw["rounds"][side])
        for side in ("multiprune", "torch")
    )
    return Outcome(f"{ours:.2f} copies", f"{theirs:.1f} copies", theirs / ours)


def forward(batch: int, phase: str) -> Callable[..., Outcome]:
    """Read a pruned layer in use, relative to the dense one."""

    def read(raw: Raw, _: Mapping[str, Measurement]) -> Outcome:
        ours, theirs, dense = (
            median(run[phase] for run in raw[f"forward{batch}"][side])
            for side in ("multiprune", "torch", "dense")
        )
        target, reached = "", None
        if phase == "train":
            target, reached = "at most torch's", ours <= theirs
        elif batch == 1:
            target, reached = "1.1 of dense", ours <= 1.1 * dense
        return Outcome(
            f"{_time(ours)}, {ours / dense:.2f} of dense",
            f"{_time(theirs)}, {theirs / dense:.2f} of dense",
            theirs / ours,
            target=target,
            reached=reached,
        )

    return read


def per_module(raw: Raw, sizes: Mapping[str, Measurement]) -> Outcome:
    """Read what pruning adds to the evaluation of one small layer among many."""
    ours, theirs, dense = (
        median(run["eval"] for run in raw["modules"][side])
        for side in ("multiprune", "torch", "dense")
    )
    layers = sizes["modules"].job["layers"]
    added, by_torch = ((each - dense) / layers for each in (ours, theirs))
    return Outcome(
        f"{added * 1e6:+.1f} µs",
        f"{by_torch * 1e6:+.1f} µs",
        target="5 µs more than dense",
        reached=added <= 5e-6,
    )


def copies(raw: Raw, _: Mapping[str, Measurement]) -> Outcome:
    """Read the time in copies of the weights on their device."""
    copy = _seconds(raw, "copy", "alone")
    ours, theirs = (_seconds(raw, "100m", side) / copy for side in ("multiprune", "torch"))
    return Outcome(f"{ours:.1f} copies of {_time(copy)}", f"{theirs:.1f} copies")


def in_jax(ours: str, peer: str, least: float) -> Callable[..., Outcome]:
    """Read the time of one of our ways in JAX beside that of a peer."""

    def read(raw: Raw, _: Mapping[str, Measurement]) -> Outcome:
        mine, theirs = (_seconds(raw, "jax", side) for side in (ours, peer))
        target = f"{least:g} times faster"
        ratio = theirs / mine
        return Outcome(_time(mine), _time(theirs), ratio, least, target, ratio >= least)

    return read


def memory_in_jax(raw: Raw, _: Mapping[str, Measurement]) -> Outcome:
    """Read the peak above the params, of the worst run, in what is returned."""
    over = {
        side: max(run["peak"][0] - run["returned"] for run in raw["jax"][side]) / MIB
        for side in ("eager", "top_k")
    }
    returned = raw["jax"]["eager"][0]["returned"] / MIB
    return Outcome(
        f"returned {over['eager']:+.0f} MiB",
        f"returned {over['top_k']:+.0f} MiB",
        (returned + over["top_k"]) / (returned + over["eager"]),
        target="returned + 64 MiB",
        reached=over["eager"] <= 64,
    )


def compiling(raw: Raw, _: Mapping[str, Measurement]) -> Outcome:
    """Read the time of compiling, relative to a comparison with a known threshold."""
    ours, known = (_seconds(raw, "jax-compile", side) for side in ("multiprune", "known"))
    return Outcome(
        f"{_time(ours)}, {ours / known:.1f} of known",
        _time(known),
        target="4 of known",
        reached=ours <= 4 * known,
    )


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"
