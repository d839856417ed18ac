"""The pruning methods, their PRUNING_TYPE, and what each ranks by.

A method is a value: how much, and by what. How entries are ranked and masked is not decided here.
Clauses: METH. Source: the classes of the same names in ``torch.nn.utils.prune``.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from multiprune._array import Array
from multiprune.amount import Target, target_of
from multiprune.draws import as_seed

__all__ = [
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningMethod",
    "RandomStructured",
    "RandomUnstructured",
]


class PruningMethod:
    """Base of all methods.

    Attributes
    ----------
    PRUNING_TYPE : {"unstructured", "structured", "global"}
        Only 'unstructured' methods can rank many tensors together.
    target : Target
        How much is pruned.
    """

    PRUNING_TYPE: ClassVar[Literal["unstructured", "structured", "global"]]
    target: Target


class L1Unstructured(PruningMethod):
    """Prune the entries of smallest magnitude.

    Parameters
    ----------
    amount : int, float or Target, optional
        How many entries, or the fraction of those still unpruned.
    sparsity : float, optional
        Target fraction of all entries, instead of `amount`.
    signed : bool
        Rank scores as they are, not by magnitude: the smallest are pruned first.

    Raises
    ------
    AmountTypeError, AmountError
        See `multiprune.amount.Target`.

    Notes
    -----
    Clauses METH-01, SCORE-04, SCORE-05. Source: ``torch.nn.utils.prune.L1Unstructured``.
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: Any = None, *, sparsity: Any = None, signed: bool = False) -> None:
        self.target, self.signed = target_of(amount, sparsity), signed


class RandomUnstructured(PruningMethod):
    """Prune entries at random.

    Parameters
    ----------
    amount, sparsity
        As for `L1Unstructured`.
    seed : int or None
        0 to 2**64 - 1. The same seed gives the same mask on every framework. None leaves the
        draws to the backend's own generator, where it has one.

    Notes
    -----
    Clauses METH-01, RAND-04, RAND-05. Source: ``torch.nn.utils.prune.RandomUnstructured``.
    """

    PRUNING_TYPE = "unstructured"

    def __init__(
        self, amount: Any = None, *, sparsity: Any = None, seed: int | None = None
    ) -> None:
        self.target = target_of(amount, sparsity)
        self.seed = None if seed is None else as_seed(seed)


class Identity(PruningMethod):
    """Prune nothing: masks that keep what prior masks keep.

    Notes
    -----
    Clause METH-03. Source: ``torch.nn.utils.prune.Identity``.
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self) -> None:
        self.target = Target(0)


class CustomFromMask(PruningMethod):
    """Prune where a given mask is 0.

    Parameters
    ----------
    mask : array
        0 and 1, or booleans, of the tensor's shape.

    Notes
    -----
    Clause METH-04. Source: ``torch.nn.utils.prune.CustomFromMask``.
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask: Array) -> None:
        self.mask = mask


class RandomStructured(PruningMethod):
    """Prune channels at random.

    Parameters
    ----------
    amount, sparsity
        As for `L1Unstructured`, counted in channels.
    dim : int
        The dimension whose indices are the channels.
    seed : int
        0 to 2**64 - 1; a channel's index is its position.

    Notes
    -----
    Clauses METH-05 to METH-09, RAND-06. Source: ``torch.nn.utils.prune.RandomStructured``.
    """

    PRUNING_TYPE = "structured"

    def __init__(
        self, amount: Any = None, dim: int = -1, *, sparsity: Any = None, seed: int
    ) -> None:
        self.target, self.dim, self.seed = target_of(amount, sparsity), dim, as_seed(seed)

    def of_channels(self) -> PruningMethod:
        """Return the method that ranks the channels, by their indices."""
        return RandomUnstructured(self.target, seed=self.seed)


class LnStructured(PruningMethod):
    """Prune the channels of smallest norm.

    Parameters
    ----------
    amount, sparsity
        As for `L1Unstructured`, counted in channels.
    n : int, float, "fro" or "nuc"
        Order of the norm; 'nuc', the sum of singular values, where a channel is a matrix.
    dim : int
        The dimension whose indices are the channels.

    Notes
    -----
    Clauses METH-05 to METH-11: norms are the framework's own, so masks are the same across
    frameworks only where norms differ by more than 1e-5 relative. Source:
    ``torch.nn.utils.prune.LnStructured``.
    """

    PRUNING_TYPE = "structured"

    def __init__(
        self,
        amount: Any = None,
        n: float | Literal["fro", "nuc"] = 2,
        dim: int = -1,
        *,
        sparsity: Any = None,
    ) -> None:
        self.target, self.n, self.dim = target_of(amount, sparsity), n, dim

    def of_channels(self) -> PruningMethod:
        """Return the method that ranks the channels, by their norms."""
        return L1Unstructured(self.target)
