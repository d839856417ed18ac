"""Room: the contract of a backend. What a framework must show so that its tensors can be ranked.

Only two small things differ between frameworks: how to see scores as ordered keys, and how to
count digits fast. Everything else is arithmetic on what these return. A leaf: only types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from multiprune._array import Array
from multiprune.cut import Cut
from multiprune.keys import Format
from multiprune.ranking import LiveEntries

__all__ = ["Backend", "CountsItself", "OwnEntries"]


class Backend(Protocol):
    """A framework whose tensors the algebra ranks and masks."""

    @property
    def name(self) -> str:
        """The framework as the user writes it, for example ``"torch"``."""

    @property
    def block_size(self) -> int:
        """How many entries are worked on at a time: no temporary is as large as a model."""

    @property
    def workers(self) -> int:
        """How many threads count at once."""

    @property
    def xp(self) -> Any:
        """The Array API namespace of the framework's own tensors, for norms and broadcasting."""

    def dtype_name(self, tensor: Array) -> str:
        """Return the dtype's name as NumPy and ml_dtypes write it."""

    def flat(self, tensor: Array, start: int, stop: int) -> Array:
        """Return entries `start` to `stop` in row-major order, 1-D; a view where it can be one."""

    def keys(self, block: Array, fmt: Format, *, signed: bool) -> Array:
        """Return the ordered keys of a block, ranked as `fmt`; see `multiprune.keys.order`.

        They support indexing by booleans and the operators ``>> & == >``. The modulus is ranked
        of complex entries. The result may be a view: it is not written to.
        """

    def draws(self, seed: int, start: int, stop: int) -> Array:
        """Return the random keys of positions `start` to `stop`; see `multiprune.draws`."""

    def alive(self, mask: Array) -> Array:
        """Return a block of a prior mask as booleans that index keys: True where unpruned."""

    def bincount(self, digits: Array, bins: int) -> Array:
        """Count how often each digit occurs: NumPy int64, shape (bins,)."""

    def join(self, arrays: list[Array]) -> Array:
        """Concatenate small arrays of digits."""

    def where(self, condition: Array) -> Array:
        """Return the indices at which a 1-D boolean array is True."""

    def new_mask(self, like: Array) -> Array:
        """Return an uninitialised boolean mask for `like`, row-major, fit for `write`."""

    def write(self, mask: Array, start: int, stop: int, keep: Array) -> None:
        """Store booleans as entries `start` to `stop`, in row-major order, of a `new_mask`."""

    def finish(self, mask: Array, like: Array) -> Array:
        """Return a `new_mask`, written whole, as the framework's own, in the shape of `like`."""

    def to_numpy(self, tensor: Array) -> Any:
        """Return a tensor as a NumPy array of the same dtype, ml_dtypes included."""

    def from_numpy(self, array: Any) -> Array:
        """Return a NumPy array, ml_dtypes included, as a tensor of the same dtype."""


class OwnEntries(LiveEntries, Protocol):
    """Entries that a backend counts and masks in a way of its own."""

    def keep(self, column: int, cut: Cut, like: Array) -> tuple[Array, int]:
        """Turn the cut into one column's mask; see `multiprune.counting.BlockEntries.keep`."""


@runtime_checkable
class CountsItself(Protocol):
    """A backend that does not read some tensors in blocks, such as those of an accelerator."""

    def entries(
        self,
        scores: Sequence[Array],
        masks: Sequence[Array | None],
        bits: int,
        fmt: Format,
        *,
        signed: bool,
        seed: int | None,
    ) -> OwnEntries | None:
        """Return what counts these tensors, or None for those that are read in blocks.

        Parameters
        ----------
        scores, masks : sequence of array
            In the order of positions; prior masks of 0 and 1 or None.
        bits : int
            How wide a key is.
        fmt : Format
            What the scores are ranked as.
        signed : bool
        seed : int or None
            Of random draws, which are ranked then instead of the scores.
        """
