"""Mutation testing of the algebra: `python conformance/mutation vectors numpy [--files keys.py]`.

`vectors` judges each mutant by the vectors alone, `numpy` by all that needs only NumPy: the
vectors, and where those see nothing, the tests of the algebra and of the NumPy backend. The package
is loaded once; each mutant is made in a forked process, and meets only what can see it. First the
right code is put to the same, in the same way: what fails on it is left out. Survivors are compared
with `survivors.txt`, where each stands with its reason. The exit code is 1 if one is new, if a
mutant could not be put into the package, or if fewer are killed than asked for.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import trials  # noqa: E402
from forks import UNPATCHED, put, sound  # noqa: E402
from mutants import ALGEBRA, NO_MASKS, ROOT, Mutant, mutants_of  # noqa: E402

ASKED = {"vectors": 0.90, "numpy": 0.97}
TESTS = ("tests/algebra", "tests/numpy", "tests/checkpoints")
# Dask is more than NumPy; and processes of their own load the right code, and see no mutant.
LEFT_OUT = [
    "--ignore=tests/algebra/test_dask.py",
    "--ignore=tests/checkpoints/cli",
    "--ignore=tests/checkpoints/test_fuzz.py",
    "--ignore=tests/checkpoints/test_memory.py",
    "--deselect=tests/checkpoints/test_outputs.py::test_a_process_killed_at_any_moment_leaves_all_whole",
]


def main() -> int:
    """Run the named suites and return the exit code."""
    parser = argparse.ArgumentParser("conformance/mutation", description=__doc__)
    parser.add_argument("suites", nargs="+", choices=list(ASKED))
    parser.add_argument("--files", nargs="*", help="rooms of the algebra, as keys.py; else all")
    parser.add_argument("--tests", nargs="*", default=TESTS, help="of `numpy`; some are quicker")
    parser.add_argument("--again", action="store_true", help="the listed survivors alone")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    dead: set[str] = set()  # what an earlier suite killed, and a later one includes
    return max([run(suite, options, dead) for suite in options.suites])


def known_survivors() -> dict[str, dict[str, str]]:
    """Return the reason of each listed survivor, by suite."""
    known: dict[str, dict[str, str]] = {suite: {} for suite in ASKED}
    path = HERE / "survivors.txt"
    suites, reason = "", ""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        if line.startswith("## "):
            suites, _, reason = line[3:].partition(": ")
        elif line.startswith("    ") and suites:
            for suite in suites.split(" and "):
                known[suite][line.strip()] = reason
    return known


def run(suite: str, options: argparse.Namespace, dead: set[str]) -> int:
    """Put all mutants to one suite, report, and return the exit code."""
    known, files = known_survivors()[suite], options.files
    paths = [p for p in sorted(ALGEBRA.glob("*.py")) if not files or p.name in files]
    mutants = [mutant for path in paths for mutant in mutants_of(path)]
    if suite == "vectors":
        blind = {*NO_MASKS}
        mutants = [m for m in mutants if not blind & {m.file, f"{m.file} {m.owner}"}]
    if options.again:
        mutants = [mutant for mutant in mutants if mutant.name in known]
    found = [(mutant, "a vector") for mutant in mutants if mutant.name in dead]
    mutants = [mutant for mutant in mutants if mutant.name not in dead]

    def use(tried: list[trials.Trial]) -> None:
        able = sound(tried)
        for name in sorted({trial.name for trial in tried} - {trial.name for trial in able}):
            print(f"left out, for it fails on the right code: {name}", file=sys.stderr)
        if not any(trial.places for trial in able):
            raise SystemExit(f"the package that is loaded is not {ALGEBRA}")
        found.extend(put(mutants, able, options.workers))

    with_trials(suite, options.tests, use, seen=bool(dead))
    dead.update(m.name for m, killer in found if killer and not killer.startswith(UNPATCHED))
    return report(suite, found, known, whole=not files and not options.again, again=options.again)


def with_trials(
    suite: str, tests: Sequence[str], use: Callable[[list[trials.Trial]], None], *, seen: bool
) -> None:
    """Call a function with the trials of a suite, less the vectors if all have seen them."""
    vectors = [] if seen else list(trials.vectors())
    if suite == "vectors":
        use(vectors)
        return
    import pytest
    from hypothesis import HealthCheck, Phase, settings

    # Nobody reads the smallest example of a mutant's failure; and a bug that so few examples do not
    # show is one that the laws find by luck.
    settings.register_profile(
        "mutation", derandomize=True, deadline=None, max_examples=25, database=None,
        phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    os.environ["HYPOTHESIS_PROFILE"] = "mutation"
    os.chdir(ROOT)
    quiet = ["-W", "ignore:Module already imported"]  # Hypothesis, for its profile
    arguments = ["-q", *quiet, "-p", "no:cacheprovider", "-p", "no:xdist", *LEFT_OUT, *tests]
    code = pytest.main(arguments, plugins=[trials.Collected(lambda tests: use(vectors + tests))])
    if code != 0:
        raise SystemExit(f"pytest ends with {code}")


def report(
    suite: str, found: list[tuple[Mutant, str]], known: dict[str, str], *, whole: bool, again: bool
) -> int:
    """Print the figures and the survivors that nobody has explained."""
    failed = [(mutant, told) for mutant, told in found if told.startswith(UNPATCHED)]
    found = [each for each in found if each not in failed]
    total, killed = Counter(m.file for m, _ in found), Counter(m.file for m, k in found if k)
    print(f"\n{suite}")
    for file in total:
        print(f"  {file:16} {killed[file]:5} of {total[file]:5} killed")
    survivors = [mutant.name for mutant, killer in found if not killer]
    told = [name for name in survivors if known.get(name, "").startswith("text")]
    counted, alive = len(found) - len(told), len(survivors) - len(told)
    share = 1 - alive / max(counted, 1)
    print(f"  all: {counted - alive} of {counted}, {share:.1%}, {len(told)} of messages aside")
    ends = [killer for _, killer in found if killer.startswith("signal")]
    broken = [killer for _, killer in found if killer.startswith("import")]
    print(f"  of the killed, {len(broken)} fail at import, {len(ends)} never end")
    fresh = [name for name in survivors if name not in known]
    for name in fresh:
        print(f"  survives without a reason: {name}")
    for mutant, why in failed:
        print(f"  {why}: {mutant.name}")
    if whole or again:
        for name in sorted(set(known) - set(survivors)):
            print(f"  is listed and does not survive: {name}")
    return 1 if failed or fresh or (whole and share < ASKED[suite]) else 0


if __name__ == "__main__":
    sys.exit(main())
