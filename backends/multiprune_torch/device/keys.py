"""Scores as ordered keys on an accelerator, in integers of torch: all of them signed.

Clauses: NUM, TYPE-09.
"""

from __future__ import annotations

import torch

from multiprune.errors import DtypeError
from multiprune.keys import Format

__all__ = ["SIGNED", "device_keys", "is_plain"]

SIGNED = {8: torch.int8, 16: torch.int16, 32: torch.int32, 64: torch.int64}


def is_plain(fmt: Format, *, signed: bool) -> bool:
    """Whether keys are the bits of floats without their sign."""
    return fmt.kind == "float" and fmt.bits > 8 and not signed


def device_keys(
    block: torch.Tensor,
    fmt: Format,
    *,
    signed: bool,
    clamp: bool = True,
    into: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the ordered keys of a block, as new integers of torch; see `multiprune.keys.order`.

    Parameters
    ----------
    block : torch.Tensor
        Of the dtype that `fmt` says, real.
    fmt : Format
    signed : bool
    clamp : bool
        Whether every NaN gets the same key; if not, its key is at least that.
    into : torch.Tensor, optional
        Takes the keys of plain floats of its width.

    Returns
    -------
    torch.Tensor of int32 or int64
        With room for marks above the key.

    Raises
    ------
    DtypeError
        Where a key needs all 64 bits (a TypeError).
    """
    if is_plain(fmt, signed=signed):
        bits = block.view(SIGNED[fmt.bits])
        if into is not None:
            keys = torch.bitwise_and(bits, fmt.sign - 1, out=into)
        elif fmt.bits == 16:
            keys = bits.to(torch.int32).bitwise_and_(fmt.sign - 1)
        else:
            keys = bits & (fmt.sign - 1)
        return keys.clamp_(max=fmt.nan) if clamp else keys
    if fmt.bits == 64:
        raise DtypeError(
            f"{fmt.name} scores (signed={signed}) are on {block.device}. Rule: off the CPU "
            "integers and signed scores of 64 bits are not ranked: torch has no unsigned ones. "
            "Move the scores to the CPU, or convert them to float32."
        )
    if fmt.kind == "uint":
        return block.to(torch.int64)
    if fmt.kind == "int":
        wide = block.to(torch.int64)
        return wide + fmt.sign if signed else wide.abs()
    bits = block.view(SIGNED[fmt.bits]).to(torch.int64)
    keys = bits & (fmt.sign - 1)
    if fmt.fnuz:  # the bits of -0 are the one NaN
        keys = torch.where((bits & (2 * fmt.sign - 1)) == fmt.sign, fmt.nan, keys)
    else:
        keys.clamp_(max=fmt.nan)
    if not signed:
        return keys
    return torch.where((bits < 0) & (keys < fmt.nan), fmt.sign - keys, fmt.sign + keys)
