"""Puts mutants to trials, each in a forked process of its own, several at a time.

A mutant that asks for all memory, or never ends, takes only its own process with it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NoReturn

import patch
from mutants import ALGEBRA, Mutant
from trials import Chooser, Trial

GIGABYTES = 4  # of memory for one mutant: some ask for more than there is
UNPATCHED = "not put into the package"


def sound(tried: list[Trial]) -> list[Trial]:
    """Return the trials that the right code passes, alone and where mutants meet them."""
    passing = [trial for trial in tried if trial.measure(str(ALGEBRA))]

    def fail(writing: int) -> None:
        for trial in passing:
            _bound(trial)
            if trial.fails():
                os.write(writing, f"{trial.name}\n".encode())

    child, reading = _fork(fail)
    told, status = _heard(reading), os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        raise SystemExit(f"the right code ends with signal {os.WTERMSIG(status)}")
    failing = set(told.splitlines())
    return [trial for trial in passing if trial.name not in failing]


def put(mutants: list[Mutant], tried: list[Trial], workers: int) -> Iterator[tuple[Mutant, str]]:
    """Put mutants to trials; yield each with what killed it, or nothing."""
    running: dict[int, tuple[Mutant, int]] = {}
    chooser = Chooser(tried)
    start, done = time.monotonic(), 0
    waiting = iter(mutants)
    while True:
        while len(running) < workers and (mutant := next(waiting, None)):
            chosen = chooser.choose(mutant.file, mutant.owner)
            child, reading = _fork(partial(_suffer, mutant, chosen))
            running[child] = mutant, reading
        if not running:
            return
        child, status = os.wait()
        mutant, reading = running.pop(child)
        told = _heard(reading)
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


def _suffer(mutant: Mutant, chosen: list[Trial], writing: int) -> None:
    """Become the mutant, meet the trials, and tell the killer."""
    name = f"multiprune.{mutant.file.removesuffix('.py')}"
    try:
        if not patch.apply(name, str(ALGEBRA / mutant.file), mutant.source):
            raise patch.PatchError("nothing is other than before")
    except patch.PatchError as error:
        os.write(writing, f"{UNPATCHED}: {error}".encode())
        return
    except Exception as error:
        os.write(writing, f"import: {type(error).__name__}: {error}"[:500].encode())
        return
    for trial in chosen:
        _bound(trial)
        if trial.fails():
            os.write(writing, trial.name.encode())
            return


def _bound(trial: Trial) -> None:
    """End the process by a signal if a trial takes far longer than on the right code."""
    # Processor time tells an endless loop on a busy machine too; the clock, a standstill.
    signal.setitimer(signal.ITIMER_PROF, 3 + 20 * trial.seconds)
    signal.setitimer(signal.ITIMER_REAL, 60 + 200 * trial.seconds)


def _fork(task: Callable[[int], None]) -> tuple[int, int]:
    """Run a task in a forked process; return its id, and where to hear what it writes."""
    sys.stdout.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _alone(task, writing)
    os.close(writing)
    return child, reading


def _alone(task: Callable[[int], None], writing: int) -> NoReturn:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))
    try:
        task(writing)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(writing, f"{type(error).__name__}: {error}"[:500].encode())
    os._exit(0)


def _heard(reading: int) -> str:
    with os.fdopen(reading) as pipe:
        return pipe.read()
