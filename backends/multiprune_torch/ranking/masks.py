"""From places to masks. The algebra's ranking for our methods, torch's way for users' own.

Clauses: RANK, MASK, METH. Source: ``torch.nn.utils.prune.global_unstructured`` and
``PruningContainer.compute_mask``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch.nn.utils import prune as torch_prune

from multiprune import methods as algebra
from multiprune.backend import Engine
from multiprune.counting import Counting
from multiprune.cut import Cut
from multiprune.errors import DtypeError
from multiprune.keys import format_of, promote
from multiprune.local import Local
from multiprune.order import Order
from multiprune.plan import Plan, plan
from multiprune.question import Question
from multiprune_torch.backend import backend
from multiprune_torch.device.engine import OnDevice
from multiprune_torch.ranking.stream import Stream
from multiprune_torch.request.parameters import Place
from multiprune_torch.request.pruned import has_values

__all__ = ["Ranked", "channel_mask", "entry_masks", "mask_dtype_of", "masks_by_user_method"]


class Ranked(NamedTuple):
    """Masks, and the plan that they are made by: None where a user's method made them."""

    masks: list[torch.Tensor]
    plan: Plan | None = None


def mask_dtype_of(place: Place, wanted: torch.dtype | None) -> torch.dtype:
    """Return a mask's dtype: the wanted one, that of the present mask, or the parameter's own.

    Notes
    -----
    Clauses DEV-24, DEV-36, DEV-58: real for complex parameters; never the scores'.
    """
    if wanted is not None:
        _check_mask_dtype(place, wanted)
        return wanted
    dtype = place.orig.dtype if place.mask is None else place.mask.dtype
    return dtype.to_real() if dtype.is_complex else dtype


def _check_mask_dtype(place: Place, wanted: Any) -> None:
    known = isinstance(wanted, torch.dtype) and not wanted.is_complex
    try:
        known = known and (wanted is torch.bool or bool(format_of(str(wanted)[len("torch.") :])))
    except DtypeError:
        known = False
    if not known:
        raise DtypeError(
            f"mask_dtype={wanted!r} was given for {place}. Rule: a mask is held as booleans, or in "
            "a real dtype that has 0 and 1 [DEV-58]. Pass torch.bool or torch.uint8, or leave it "
            "out for the parameter's own."
        )


def entry_masks(
    method: algebra.PruningMethod,
    scores: Sequence[torch.Tensor],
    priors: Sequence[torch.Tensor | None],
    likes: Sequence[torch.Tensor],
    dtypes: Sequence[torch.dtype],
    question: Question | None = None,
    names: Sequence[str] | None = None,
) -> Ranked:
    """Rank entries, and return each tensor's mask.

    Parameters
    ----------
    method : PruningMethod of the algebra
        `RandomUnstructured` with ``seed=None`` draws from torch's own generator.
    scores, priors
        What is ranked, and what is pruned already.
    likes, dtypes
        Whose device and memory layout, and which dtype, each mask gets.
    question : Question, optional
        Among which entries, and within which bounds; all together, if left out.
    names : sequence of str, optional
        Of the tensors.
    """
    question = question or Question(method.target)
    if not all(map(has_values, scores)):  # for identity alone, which looks at no value
        masks = [torch.ones_like(a) if b is None else b for a, b in zip(likes, priors, strict=True)]
        return Ranked([m.to(dtype) for m, dtype in zip(masks, dtypes, strict=True)])
    if isinstance(method, algebra.RandomUnstructured) and method.seed is None:
        stream, drawn = _drawn(question, scores, priors, names)
        masks = _write(drawn, likes, dtypes)
        if any(like.numel() for like in likes) and _prunes(drawn):
            stream.commit()
        return Ranked(masks, drawn)
    ranked = plan(scores, question, method, priors, names)
    offsets = [0, *accumulate(s.numel() for s in scores)]

    def write(i: int, mask: torch.Tensor) -> bool:
        score, prior = scores[i], priors[i]
        parts = [score, mask] if prior is None else [score, mask, prior]
        fits = (
            isinstance(method, algebra.L1Unstructured)
            and isinstance(ranked.engine, Counting)
            and bool(ranked.cuts)
            and mask.dtype in _INTEGERS
            and backend.dtype_name(mask) == ranked.order.ranked.name
            and ranked.cuts[ranked.pools.of[i]].threshold < ranked.order.ranked.nan - 1
            and all(
                p.dtype == mask.dtype and p.device == mask.device and p.is_contiguous()
                for p in parts
            )
        )
        if fits:
            _write_bits(mask, score, prior, ranked.cuts[ranked.pools.of[i]], offsets[i])
        return fits

    return Ranked(_write(ranked, likes, dtypes, write), ranked)


def _drawn(
    question: Question,
    scores: Sequence[torch.Tensor],
    priors: Sequence[torch.Tensor | None],
    names: Sequence[str] | None,
) -> tuple[Stream, Plan]:
    """Rank the draws of torch's own generator."""
    fmt = promote([backend.dtype_name(s) for s in scores])
    names = [str(i) for i in range(len(scores))] if names is None else names
    shapes = [tuple(s.shape) for s in scores]
    stream, pools = Stream(getattr(torch, fmt.name)), question.pools(names, shapes)
    columns = stream.columns([s.numel() for s in scores], priors, pools.of)
    engine: Engine = Counting(columns, 64, stream.backend, pools=len(pools.sizes))
    if question.scope.is_small:
        engine = Local(columns, names, shapes, question.scope, question.target, stream.backend)
    order = Order(fmt, seed=stream.second)
    return stream, Plan(question, names, shapes, order, pools, engine)


def _prunes(plan: Plan) -> bool:
    return not plan.cuts or any(cut.count for cut in plan.cuts)


def channel_mask(
    ranks: torch.Tensor, target: Any, live: torch.Tensor, dim: int, prior: torch.Tensor
) -> torch.Tensor:
    """Keep the channels of highest rank: `prior` with whole channels along `dim` set to 0.

    Parameters
    ----------
    ranks : torch.Tensor, shape (channels,)
        Non-negative; the lowest are pruned first.
    target : Target
    live : torch.Tensor of bool, shape (channels,)
        Channels that are counted and ranked.
    dim : int
    prior : torch.Tensor
    """
    method = algebra.L1Unstructured(target)
    (keep,) = entry_masks(method, [ranks], [live], [ranks], [torch.bool]).masks
    shape = [1] * prior.dim()
    shape[dim] = -1
    return prior * keep.view(shape).to(device=prior.device, dtype=prior.dtype)


def masks_by_user_method(
    method: Any, scores: Sequence[torch.Tensor], priors: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    """Let a method of the user's choose among all live entries, joined, as torch does it."""
    container = torch_prune.PruningContainer()
    container._tensor_name = method._tensor_name = "temp"
    container.add_pruning_method(method)
    flat = torch.cat([s.reshape(-1) for s in scores])
    mask = container.compute_mask(flat, torch.cat([m.reshape(-1) for m in priors]))
    stops = list(accumulate(s.numel() for s in scores))
    starts = [0, *stops]
    return [mask[i:j].view(s.shape) for i, j, s in zip(starts, stops, scores, strict=False)]


def _write(
    plan: Plan,
    likes: Sequence[torch.Tensor],
    dtypes: Sequence[torch.dtype],
    write: Callable[[int, torch.Tensor], bool] = lambda i, mask: False,
) -> list[torch.Tensor]:
    """Carry a plan out: one mask a tensor, in its dtype, device and memory layout.

    `write` may store the mask of column i in a faster way, and says whether it did.
    """
    engine: Any = plan.engine
    wanted = list(zip(likes, dtypes, strict=True))
    masks = [torch.empty(like.shape, dtype=dtype, device=like.device) for like, dtype in wanted]
    if isinstance(engine, OnDevice):
        engine.write_all(plan.cuts, masks)
    else:
        for i, mask in enumerate(masks):
            if not write(i, mask):
                engine.write(i, plan.cuts, mask)
    for i, (like, dtype) in enumerate(wanted):
        if not like.is_contiguous():
            masks[i] = torch.empty_like(like, dtype=dtype).copy_(masks[i])
    return masks


def _write_bits(
    mask: torch.Tensor, score: torch.Tensor, prior: torch.Tensor | None, cut: Cut, offset: int
) -> None:
    """Write a float mask through its bits: compared, scaled to the pattern of 1.0, all in cache.

    Three times faster than by booleans. The bits of a NaN, whatever they are, are above any
    threshold of a number, so nothing is put in order first.
    """
    integer, one = _INTEGERS[mask.dtype]
    out, bits = mask.view(-1).view(integer), score.detach().view(-1).view(integer)
    magnitude = torch.iinfo(integer).max
    for start, stop, threshold in cut.spans(offset, offset + mask.numel()):
        for i in range(start - offset, stop - offset, backend.block_size):
            block = slice(i, min(i + backend.block_size, stop - offset))
            torch.bitwise_and(bits[block], magnitude, out=out[block])
            out[block].gt_(threshold).mul_(one)
            if prior is not None:
                out[block].bitwise_and_(prior.view(-1)[block].view(integer))


_INTEGERS = {
    dtype: (integer, int(torch.ones((), dtype=dtype).view(integer)))
    for dtype, integer in (
        (torch.float16, torch.int16),
        (torch.bfloat16, torch.int16),
        (torch.float32, torch.int32),
        (torch.float64, torch.int64),
    )
}
