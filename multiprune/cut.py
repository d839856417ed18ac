"""Room: the two numbers that a pruning is. A plan as a value; nothing executes here.

Clauses: RANK-06, RANK-07.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Cut"]


@dataclass(frozen=True)
class Cut:
    """Where a ranking is cut: entries up to (threshold, position) go, later ones are kept.

    Attributes
    ----------
    threshold : int
        Key of the last entry that goes; -1 when none does.
    position : int
        Position of the last entry with that key that goes. The last position of all when the
        whole tie class goes.
    ties : int
        How many live entries have the threshold key.
    tied_pruned : int
        How many of those go.
    count : int
        How many entries go.
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
            entries at the cut's own threshold, those up to its position go and later ones stay.
            So no array of positions is ever needed.
        """
        border = min(max(self.position + 1, start), stop)
        if start < border:
            yield start, border, self.threshold
        if border < stop:
            yield border, stop, self.threshold - 1
