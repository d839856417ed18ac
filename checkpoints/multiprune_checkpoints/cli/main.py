"""The door of the command. Runs it, and turns what goes wrong into a line and a number.

Exit codes: 0 done, 1 done and something differs, 2 refused or failed, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from multiprune_checkpoints.cli.interrupts import STOPPED, Stopped, stop

__all__ = ["main"]

ERROR = 2


def main(arguments: list[str] | None = None) -> None:
    """Run the command and leave the process with its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):  # first of all: imports take their time, too
        signal.signal(number, stop)
    try:
        _run(arguments)
        sys.stdout.flush()
    except (Stopped, KeyboardInterrupt):
        _fail("stopped. The input is as it was; nothing is half written.", STOPPED)
    except BrokenPipeError:  # the reader of our output has left; that is no news
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        _fail(_explain(error))


def _run(arguments: list[str] | None) -> None:
    try:
        from cyclopts import CycloptsError

        from multiprune_checkpoints.cli.app import app
    except ImportError as error:
        _fail(f"the command needs {error.name}. Install it: pip install 'multiprune[cli]'.")
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        _fail(f"{error}\nSee multiprune --help.")


def _explain(error: Exception) -> str:
    """Say what went wrong; only a fault of ours is raised again, with its trace."""
    from multiprune import MultipruneError

    if isinstance(error, MultipruneError):
        return str(error)
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return f"{error.strerror or error}:{where or ' while writing'}. Nothing is half written."
    if isinstance(error, MemoryError):
        return "memory ran out. Nothing is half written."
    raise error


def _fail(message: str, code: int = ERROR) -> NoReturn:
    print(f"multiprune: {message}", file=sys.stderr)
    raise SystemExit(code)
