"""The two numbers that the pruning of a pool is, as a value: the tie rule, and nothing else.

Clauses: RANK-06, RANK-07, TIE-01.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Cut"]


@dataclass(frozen=True)
class Cut:
    """Where the order of a pool is cut: entries up to (threshold, position) are pruned.

    Attributes
    ----------
    threshold : int
        Key of the last entry that is pruned; -1 when none is.
    position : int
        Position of the last entry with that key that is pruned. The last position of all when the
        whole tie class is.
    ties : int
        How many live entries of the pool have the threshold key.
    tied_pruned : int
        How many of those are pruned.
    count : int
        How many entries are pruned.
    live : int
        How many entries were ranked.

    Notes
    -----
    Clauses RANK-06, RANK-07.
    """

    threshold: int
    position: int
    ties: int
    tied_pruned: int
    count: int
    live: int

    @property
    def border(self) -> tuple[int, int]:
        """The (key, position) from which on entries are kept."""
        if self.tied_pruned == self.ties:  # wherever they are
            return self.threshold + 1, 0
        return self.threshold, self.position + 1

    def spans(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Split a run of positions where its threshold changes.

        Parameters
        ----------
        start, stop : int
            A run of consecutive positions.

        Yields
        ------
        start, stop, threshold : int
            Within this part an entry is kept exactly where its key is above `threshold`: among
            entries at the cut's own threshold, those up to its position are pruned and later ones
            are kept. So no array of positions is ever needed.
        """
        border = min(max(self.position + 1, start), stop)
        if start < border:
            yield start, border, self.threshold
        if border < stop:
            yield border, stop, self.threshold - 1
