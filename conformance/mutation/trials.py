"""What kills a mutant: single trials, each with the functions that it runs through.

A trial is a vector put to an adapter, or a test of pytest. Knowing which functions each one runs
through, a mutant meets only those that can see it, the quickest first.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from patch import clear_caches

Place = tuple[str, str]


@dataclass
class Trial:
    """One thing that may fail.

    Attributes
    ----------
    fails : callable
        Runs it and tells whether it failed.
    files : set of str, optional
        The only files whose mutants it is put to.
    places : set
        (file, function) of the algebra that it runs through.
    """

    name: str
    fails: Callable[[], bool]
    files: frozenset[str] | None = None
    seconds: float = 0.0
    places: set[Place] = field(default_factory=set)

    def measure(self, folder: str) -> bool:
        """Run it once on the right code, note what it takes and touches, and say if it passes."""

        def note(frame: Any, event: str, _: Any) -> None:
            code = frame.f_code
            if event == "call" and code.co_filename.startswith(folder):
                file = code.co_filename.rpartition("/")[2]
                self.places.add((file, code.co_qualname.partition(".<locals>")[0]))

        clear_caches()  # or only the first to ask for something is seen asking
        threading.setprofile(note)
        sys.setprofile(note)
        start = time.process_time()  # of a busy machine, too
        try:
            failed = self.fails()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
        self.seconds = time.process_time() - start
        return not failed


class Chooser:
    """Chooses the trials for a mutant: first those that killed its like, then the quickest."""

    def __init__(self, trials: list[Trial]) -> None:
        self.trials = trials
        self.kills: Counter[tuple[str, str]] = Counter()

    def choose(self, file: str, owner: str) -> list[Trial]:
        """Return the trials that can see a mutant of a function."""
        meant = [trial for trial in self.trials if trial.files is None or file in trial.files]
        # What is not a function is read without a call: all may see it.
        seeing = [trial for trial in meant if (file, owner) in trial.places] or meant
        like = f"{file} {owner}"
        return sorted(
            seeing,
            key=lambda t: (-self.kills[like, t.name], -self.kills[file, t.name], t.seconds),
        )

    def learn(self, file: str, owner: str, killer: str) -> None:
        """Note what killed a mutant."""
        self.kills[f"{file} {owner}", killer] += 1
        self.kills[file, killer] += 1


def vectors() -> Iterator[Trial]:
    """Return every vector on every array adapter that needs only NumPy."""
    from multiprune_conformance.examples.multiprune_arrays import OnNumpy, OnStrict
    from multiprune_conformance.examples.multiprune_other_ways import OtherWays
    from multiprune_conformance.examples.multiprune_shards import InShards
    from multiprune_conformance.judge import judge
    from multiprune_conformance.loader import Suite, load

    suite = load()
    # What only large models or plain namespaces meet is put to the rooms that know of it.
    plain = "keys.py plain.py plan.py _array.py masks.py structured.py pruning.py draws.py "
    plain += "ranking.py registry.py"
    other = "counting.py cut.py amount.py plan.py pruning.py named.py"
    shards = "counting.py ranking.py draws.py"
    meant = {OtherWays: other, InShards: shards, OnStrict: plain}

    def trial(adapter: Any, vector: Any) -> Trial:
        alone = Suite(suite.version, (vector,), suite.notes, suite.clauses)
        name = f"{adapter.name} {vector['id']}"
        files = frozenset(meant[type(adapter)].split()) if type(adapter) in meant else None
        return Trial(name, lambda: not judge(alone, adapter, {}).green, files)

    for adapter in (OnNumpy(), OtherWays(), InShards(), OnStrict()):
        verdicts = judge(suite, adapter, {}).verdicts
        for vector in [each.vector for each in verdicts if each.verdict != "skip"]:
            yield trial(adapter, vector)


class Collected:
    """A plugin of pytest that hands the collected tests over instead of running them."""

    def __init__(self, use: Callable[[list[Trial]], None]) -> None:
        self.use = use

    def pytest_runtestloop(self, session: Any) -> bool:
        """Make trials of the tests."""
        from _pytest.runner import runtestprotocol

        def trial(item: Any) -> Trial:
            def fails() -> bool:
                reports = runtestprotocol(item, log=False, nextitem=None)
                return any(report.failed for report in reports)

            return Trial(item.nodeid, fails)

        self.use([trial(item) for item in session.items])
        return True
