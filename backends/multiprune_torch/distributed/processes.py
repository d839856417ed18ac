"""What processes tell each other. Sums of counters, and whether all may go on.

A pruning is a few all-reduces of a few integers: no weight, key or mask is ever sent. Writing a
file of masks sends their bits, a piece at a time.
Clauses: SHARD-04, SHARD-05.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import distributed

from multiprune_torch.errors import ProcessesError

__all__ = ["Processes", "together"]

_NOBODY = 1 << 62


class Processes:
    """The processes of a group, as seen from one of them.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup, optional
        All processes by default.

    Attributes
    ----------
    rank : int
        This process among all.
    calls, sent : int
        How many all-reduces there were, and of how many bytes.
    """

    def __init__(self, group: Any = None) -> None:
        self.group = distributed.group.WORLD if group is None else group
        self.rank = distributed.get_rank()
        only_devices = distributed.get_backend(self.group) == "nccl"
        self.device = torch.device("cuda" if only_devices else "cpu")
        self.calls = self.sent = 0

    def __len__(self) -> int:
        return distributed.get_world_size(self.group)

    @property
    def ranks(self) -> set[int]:
        """The ranks of the group's processes among all."""
        return set(distributed.get_process_group_ranks(self.group))

    @property
    def leads(self) -> bool:
        """Whether this is the first process of the group."""
        return distributed.get_rank(self.group) == 0

    def sum(self, numbers: Sequence[int]) -> list[int]:
        """Add integers of 64 bits over all processes."""
        return self._reduce(numbers, distributed.ReduceOp.SUM)

    def sum_bytes(self, piece: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Add bytes in which no two processes have a bit in common."""
        vector = torch.from_numpy(piece).to(self.device)
        distributed.all_reduce(vector, group=self.group)
        return vector.cpu().numpy()

    def minimum(self, numbers: Sequence[int]) -> list[int]:
        """Return the smallest of each integer over all processes."""
        return self._reduce(numbers, distributed.ReduceOp.MIN)

    def gather(self, value: Any) -> list[Any]:
        """Return what each process gave: for errors only, where length is no matter."""
        objects: list[Any] = [None] * distributed.get_world_size(self.group)
        distributed.all_gather_object(objects, value, group=self.group)
        return objects

    @contextmanager
    def together(self) -> Iterator[dict[str, str]]:
        """Raise on every process what is raised inside on any.

        Yields
        ------
        dict of str
            What is put there, text by subject, must be the same on every process.

        Raises
        ------
        ProcessesError
            If it is not (a RuntimeError).

        Notes
        -----
        Clause SHARD-05. Inside, processes must not exchange anything.
        """
        texts: dict[str, str] = {}
        error: Exception | None = None
        try:
            yield texts
        except Exception as raised:
            error = raised
        print_ = 0 if error else _fingerprint(texts)
        failed, low, high = self.minimum([self.rank if error else _NOBODY, print_, -print_])
        if failed < _NOBODY:
            raise self._first_error(error) from error
        if low != -high:
            raise _difference(self.gather((self.rank, texts)))

    def _first_error(self, error: Exception | None) -> Exception:
        """Return the error of the lowest rank that has one."""
        for rank, raised in self.gather((self.rank, _portable(error))):
            if raised is not None:
                first: Exception = pickle.loads(raised)
                first.add_note(f"Raised by rank {rank}; nothing is changed on any rank.")
                return first
        raise AssertionError("a process failed and had no error")

    def _reduce(self, numbers: Sequence[int], how: Any) -> list[int]:
        vector = torch.tensor(numbers, dtype=torch.int64, device=self.device)
        distributed.all_reduce(vector, op=how, group=self.group)
        self.calls, self.sent = self.calls + 1, self.sent + 8 * len(numbers)
        sums: list[int] = vector.tolist()
        return sums


def together(processes: Processes | None) -> AbstractContextManager[dict[str, str]]:
    """Return `Processes.together`; of one process alone nothing is asked."""
    return nullcontext({}) if processes is None else processes.together()


def _fingerprint(texts: dict[str, str]) -> int:
    """Return 62 bits that are equal for equal texts."""
    return int.from_bytes(hashlib.sha256(repr(texts).encode()).digest()[:8], "big") >> 2


def _portable(error: Exception | None) -> bytes | None:
    """Pickle an error, or if it cannot travel, one that says the same."""
    if error is None:
        return None
    dump: Callable[[Any], bytes] = pickle.dumps
    try:
        portable = dump(error)
        pickle.loads(portable)
    except Exception:
        return dump(ProcessesError(f"{type(error).__name__}: {error}"))
    return portable


def _difference(told_by_rank: list[tuple[int, dict[str, str]]]) -> ProcessesError:
    """Say what two processes do not agree on: the first subject, and in it the first line."""
    (first, ours), *others = told_by_rank
    other, theirs = next((rank, texts) for rank, texts in others if texts != ours)
    for subject, text in ours.items():
        if theirs.get(subject) != text:
            lines, foreign = text.split("\n"), theirs.get(subject, "").split("\n")
            differ = (i for i, (a, b) in enumerate(zip(lines, foreign, strict=False)) if a != b)
            at = next(differ, min(len(lines), len(foreign)))
            one, two = ((t[at] if at < len(t) else "none more") for t in (lines, foreign))
            return ProcessesError(
                f"the processes disagree on {subject}: rank {first} has {one}, rank {other} has "
                f"{two}. Rule: every process makes the same call [SHARD-05]; nothing is changed. "
                "Pass the same arguments, and build the same model, on all of them."
            )
    raise AssertionError("two processes differ in nothing")
