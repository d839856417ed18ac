"""How far a run is. A leaf."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """Told what is going on, by several threads. It may raise, which ends the run tidily."""

    def begin(self, stage: str, total: int) -> None:
        """Say that a stage begins, which reads `total` bytes."""

    def advance(self, count: int) -> None:
        """Say that `count` more bytes were read."""


class Silent:
    """A `Progress` that says nothing."""

    def begin(self, stage: str, total: int) -> None:
        """Say nothing."""

    def advance(self, count: int) -> None:
        """Say nothing."""
