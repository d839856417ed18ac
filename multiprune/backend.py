"""The contract of a backend: what a framework must show so that its tensors can be ranked.

Only two small things differ between frameworks: how to see scores as ordered keys, and how to
count digits fast. Everything else is arithmetic on what these return. A leaf: only types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from multiprune._array import Array
from multiprune.cut import Cut
from multiprune.keys import Format
from multiprune.order import Order
from multiprune.question import Question
from multiprune.scope import Pools
from multiprune.search import Ask, Sum

__all__ = ["Backend", "Engine", "RanksItself"]


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

    def as_integers(self, condition: Array, like: Array | None = None) -> Array:
        """Return booleans as 0 and 1: new, of the dtype of `like`, or bytes to be read only."""

    def contiguous(self, column: Array) -> Array:
        """Return a column of a matrix as a contiguous array."""

    def bincount(self, digits: Array, bins: int) -> Array:
        """Count how often each digit occurs: NumPy int64, shape (bins,)."""

    def join(self, arrays: list[Array]) -> Array:
        """Concatenate small arrays of digits."""

    def where(self, condition: Array) -> Array:
        """Return the indices at which a 1-D boolean array is True."""

    def smallest(self, keys: Array, alive: Array | None, count: Any) -> Array:
        """Return of each row of keys, 2-D, its `count`-th smallest live one: shape (rows, 1).

        `count` is an int, or one for each row, shape (rows, 1); 0 asks for any key up to the first.
        """

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


class Engine(Protocol):
    """Finds the cuts of tensors, and makes masks of them."""

    def cuts(self, ask: Ask, *, total: Sum = ...) -> tuple[Cut, ...]:
        """Return the cut of each pool; see `multiprune.search.find_cuts`."""

    def keep(self, column: int, cuts: Sequence[Cut], like: Array) -> tuple[Array, int]:
        """Make one tensor's mask.

        Parameters
        ----------
        column : int
            Which tensor.
        cuts : sequence of Cut
            As `cuts` returned them.
        like : array
            The tensor that the mask is for.

        Returns
        -------
        mask : array
            True where the entry is kept, in the shape of `like`.
        pruned : int
            How many entries of it are pruned, those of the prior mask included.
        """


@runtime_checkable
class RanksItself(Protocol):
    """A backend that does not read some tensors in blocks, such as those of an accelerator."""

    def engine(
        self,
        scores: Sequence[Array],
        masks: Sequence[Array | None],
        order: Order,
        question: Question,
        pools: Pools,
    ) -> Engine | None:
        """Return what ranks these tensors, or None for those that are read in blocks.

        Parameters
        ----------
        scores, masks : sequence of array
            In the order of positions; prior masks of 0 and 1 or None.
        order : Order
        question : Question
            Its target, and its scope where pools are rows or groups.
        pools : Pools
        """
