"""Mutation testing of the algebra: `python conformance/mutation vectors numpy [--files keys.py]`.

`vectors` judges each mutant by the vectors alone, `numpy` by the tests that need only NumPy. The
package is loaded once; each mutant is made in a forked process, and meets only what can see it.
Survivors are compared with `survivors.txt`, where each stands with its reason. The exit code is 1
if one is new, or if fewer are killed than asked for.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import patch  # noqa: E402
import trials  # noqa: E402
from mutants import ALGEBRA, NO_MASKS, ROOT, Mutant, mutants_of  # noqa: E402

ASKED = {"vectors": 0.90, "numpy": 0.97}
TESTS = ("tests/algebra", "tests/numpy")
GIGABYTES = 4  # of memory for one mutant: some ask for more than there is


def main() -> int:
    """Run the named suites and return the exit code."""
    parser = argparse.ArgumentParser("conformance/mutation", description=__doc__)
    parser.add_argument("suites", nargs="+", choices=list(ASKED))
    parser.add_argument("--files", nargs="*", help="rooms of the algebra, as keys.py; else all")
    parser.add_argument("--tests", nargs="*", default=TESTS, help="of `numpy`; some are quicker")
    parser.add_argument("--again", action="store_true", help="the listed survivors alone")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    return max(run(suite, options) for suite in options.suites)


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


def run(suite: str, options: argparse.Namespace) -> int:
    """Put all mutants to one suite, report, and return the exit code."""
    known, files = known_survivors()[suite], options.files
    paths = [p for p in sorted(ALGEBRA.glob("*.py")) if not files or p.name in files]
    mutants = [mutant for path in paths for mutant in mutants_of(path)]
    if suite == "vectors":
        blind = {*NO_MASKS}
        mutants = [m for m in mutants if not blind & {m.file, f"{m.file} {m.owner}"}]
    if options.again:
        mutants = [mutant for mutant in mutants if mutant.name in known]
    found: list[tuple[Mutant, str]] = []

    def use(tried: list[trials.Trial]) -> None:
        sound = [trial for trial in tried if trial.measure(str(ALGEBRA))]
        for name in sorted({trial.name for trial in tried} - {trial.name for trial in sound}):
            print(f"left out, for it fails on the right code: {name}", file=sys.stderr)
        found.extend(put(mutants, sound, options.workers))

    with_trials(suite, options.tests, use)
    return report(suite, found, known, whole=not files and not options.again, again=options.again)


def with_trials(
    suite: str, tests: Sequence[str], use: Callable[[list[trials.Trial]], None]
) -> None:
    """Call a function with the trials of a suite."""
    if suite == "vectors":
        use(list(trials.vectors()))
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
    arguments = ["-q", *quiet, "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    code = pytest.main(arguments, plugins=[trials.Collected(use)])
    if code != 0:
        raise SystemExit(f"pytest ends with {code}")


def put(
    mutants: list[Mutant], tried: list[trials.Trial], workers: int
) -> Iterator[tuple[Mutant, str]]:
    """Put mutants to trials, several at a time; yield each with what killed it, or nothing."""
    running: dict[int, tuple[Mutant, int]] = {}
    chooser = trials.Chooser(tried)
    start, done = time.monotonic(), 0
    sys.stdout.flush()
    waiting = iter(mutants)
    while True:
        while len(running) < workers and (mutant := next(waiting, None)):
            chosen = chooser.choose(mutant.file, mutant.owner)
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(reading)
                suffer(mutant, chosen, writing)
            os.close(writing)
            running[child] = mutant, reading
        if not running:
            return
        child, status = os.wait()
        mutant, reading = running.pop(child)
        with os.fdopen(reading) as pipe:
            told = pipe.read()
        if os.WIFSIGNALED(status):
            told = f"signal {os.WTERMSIG(status)}"
        if told:
            chooser.learn(mutant.file, mutant.owner, told)
        else:
            print(f"\nsurvives: {mutant.name}", file=sys.stderr)
        done += 1
        if done % 20 == 0:
            rate = done / (time.monotonic() - start)
            print(f"\r{done} of {len(mutants)}, {rate:.1f} a second ", end="", file=sys.stderr)
        yield mutant, told


def suffer(mutant: Mutant, chosen: list[trials.Trial], writing: int) -> None:
    """In a forked process: become the mutant, meet the trials, tell the killer, and end."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # an endless loop ends here
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))
    killer = ""
    try:
        name = f"multiprune.{mutant.file.removesuffix('.py')}"
        patch.apply(name, str(ALGEBRA / mutant.file), mutant.source)
        for trial in chosen:
            signal.alarm(3 + int(20 * trial.seconds))
            if trial.fails():
                killer = trial.name
                break
    except BaseException as error:
        killer = f"{type(error).__name__}: {error}"
    with contextlib.suppress(OSError):
        os.write(writing, killer[:500].encode())
    os._exit(0)


def report(
    suite: str, found: list[tuple[Mutant, str]], known: dict[str, str], *, whole: bool, again: bool
) -> int:
    """Print the figures and the survivors that nobody has explained."""
    total, killed = Counter(m.file for m, _ in found), Counter(m.file for m, k in found if k)
    print(f"\n{suite}")
    for file in total:
        print(f"  {file:16} {killed[file]:5} of {total[file]:5} killed")
    survivors = [mutant.name for mutant, killer in found if not killer]
    told = [name for name in survivors if known.get(name, "").startswith("text")]
    counted, alive = len(found) - len(told), len(survivors) - len(told)
    share = 1 - alive / max(counted, 1)
    print(f"  all: {counted - alive} of {counted}, {share:.1%}, {len(told)} of messages aside")
    fresh = [name for name in survivors if name not in known]
    for name in fresh:
        print(f"  survives without a reason: {name}")
    if whole or again:
        for name in sorted(set(known) - set(survivors)):
            print(f"  is listed and does not survive: {name}")
    return 1 if fresh or (whole and share < ASKED[suite]) else 0


if __name__ == "__main__":
    sys.exit(main())
