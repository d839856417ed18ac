"""A request to stop, from Ctrl-C or the system, passed on to every thread."""

from __future__ import annotations

import os
from types import FrameType

__all__ = ["STOPPED", "Stopped", "stop", "stopping"]

STOPPED = 130


class Stopped(BaseException):
    """The user, or the system, asked the command to stop."""


_asked_to_stop = False


def stopping() -> bool:
    """Whether the command was asked to stop: told to the threads, which signals do not reach."""
    return _asked_to_stop


def stop(number: int, frame: FrameType | None) -> None:
    """Stop the command; a handler of signals."""
    global _asked_to_stop
    if _asked_to_stop:  # asked twice: at once, and the next run clears what is left
        os._exit(STOPPED)
    _asked_to_stop = True
    raise Stopped
