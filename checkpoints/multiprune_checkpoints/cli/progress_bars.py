"""The progress bar, on a terminal only; and where a run is asked to stop."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from multiprune_checkpoints.cli.interrupts import Stopped, stopping
from multiprune_checkpoints.progress import Progress

__all__ = ["watched"]


class _Quiet:
    """No bar."""

    def begin(self, stage: str, total: int) -> None:
        """Go on, unless asked to stop."""
        self.advance(0)

    def advance(self, count: int) -> None:
        """Go on, unless asked to stop."""
        if stopping() and threading.current_thread() is not threading.main_thread():
            raise Stopped


@contextmanager
def watched() -> Iterator[Progress]:
    """Show how far the run is while it lasts."""
    if not sys.stderr.isatty():
        yield _Quiet()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Bar(*columns, console=Console(stderr=True), transient=True) as shown:

        class Shown(_Quiet):
            task: TaskID | None = None

            def begin(self, stage: str, total: int) -> None:
                super().begin(stage, total)
                if self.task is not None:
                    shown.update(self.task, visible=False)
                self.task = shown.add_task(stage, total=total)

            def advance(self, count: int) -> None:
                super().advance(count)
                if self.task is not None:
                    shown.advance(self.task, count)

        yield Shown()
