"""Laws at scale: `python tests/scale numpy torch jax jit --cases 200000 --seed 1`.

Each case is put to the oracle and to a backend. The first difference ends the run with exit code 1
and the command that shows it again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import eager
import jitted
from cases import case_of

STEP = 1000


def main() -> int:
    """Run the laws of the named backends and return the exit code."""
    parser = argparse.ArgumentParser("tests/scale", description=__doc__)
    parser.add_argument("backends", nargs="+", choices=[*eager.BACKENDS, "jit"])
    parser.add_argument("--cases", type=int, default=10_000, help="how many for each backend")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="this one alone, and show it")
    options = parser.parse_args()
    numbers = range(options.cases) if options.case is None else [options.case]
    for backend in options.backends:
        differs = _law(backend, options.seed)
        start = shown = time.monotonic()
        for done, number in enumerate(numbers):
            if fault := differs(number):
                print(f"\n{backend}, case {number}: {fault}")
                print(_description(backend, options.seed, number))
                print(f"again: {_again(backend, options.seed, number)}")
                return 1
            if done % STEP == 0 and time.monotonic() - shown > 1:
                shown = time.monotonic()
                rate = done / (shown - start)
                print(f"\r{backend} {done:,} cases, {rate:,.0f} a second", end="", flush=True)
        seconds = time.monotonic() - start
        print(f"\r{backend}: {len(numbers):,} cases, seed {options.seed}, 0 differences, "
              f"{seconds:.0f} s")  # fmt: skip
        if options.case is not None:
            print(_description(backend, options.seed, options.case))
    return 0


def _law(backend: str, seed: int) -> Callable[[int], str]:
    """Return a function that tells how a case differs."""
    if backend == "jit":
        return jitted.Law(seed).difference
    put = eager.BACKENDS[backend]()
    return lambda number: eager.difference(case_of(seed, number), put)


def _description(backend: str, seed: int, number: int) -> str:
    return jitted.told(seed, number) if backend == "jit" else str(case_of(seed, number))


def _again(backend: str, seed: int, number: int) -> str:
    return f"python tests/scale {backend} --seed {seed} --case {number}"


if __name__ == "__main__":
    sys.exit(main())
