"""A torch archive (``.pt``, ``.pth``) as a `SourceFile`. Where its tensors lie; no torch."""

from __future__ import annotations

from math import prod
from pathlib import Path

from multiprune_checkpoints.errors import CheckpointError
from multiprune_checkpoints.formats.dtypes import BITS, NAMES
from multiprune_checkpoints.formats.elsewhere import what_it_is
from multiprune_checkpoints.formats.source import SourceFile, Stored
from multiprune_checkpoints.formats.torch_pickle import WIDTHS, OtherTensor, SavedTensor, tensors_of
from multiprune_checkpoints.formats.zip_members import Member, ZipLayout, members_of

__all__ = ["STATE", "open_torch"]

STATE = "the state of an optimizer"
_LONGEST_PICKLE = 32 << 20


def open_torch(path: Path, number: int = 0) -> tuple[SourceFile, list[Stored]]:
    """Open a torch archive and find its tensors.

    Parameters
    ----------
    path : Path
    number : int
        Which file of its checkpoint it is.

    Returns
    -------
    SourceFile
    list of Stored
        In the order of the pickle; names of nested dicts and lists are joined by dots.

    Raises
    ------
    CheckpointError
        If it is damaged, of the old format without an archive, or asks for code to run.
    """
    source = SourceFile(path)
    try:
        if source.size >= 4 and source.read(0, 4) != b"PK\3\4":
            raise CheckpointError(
                f"{path} is not an archive. Rule: torch files are zips, as torch.save writes "
                "them since 1.6. Load it with torch and save its state_dict again."
                f"{what_it_is(path)}"
            )
        members = members_of(source)
        source.layout = ZipLayout(members)
        return source, _tensors(source, members, number)
    except BaseException:
        source.close()
        raise


def _tensors(source: SourceFile, members: list[Member], number: int) -> list[Stored]:
    places = {member.name: member for member in members}
    pickles = [member for member in members if member.name.endswith("/data.pkl")]
    if len(pickles) != 1 or not pickles[0].stored or pickles[0].size > _LONGEST_PICKLE:
        raise _broken(source.path, "it has no data.pkl of at most 32 MiB")
    root = pickles[0].name.removesuffix("data.pkl")
    order = places.get(f"{root}byteorder")
    if (
        order is not None
        and source.read(order.start, min(order.stop, order.start + 8)) != b"little"
    ):
        raise _broken(source.path, "its numbers are big-endian")
    text = source.read(pickles[0].start, pickles[0].stop)
    try:
        tensors = tensors_of(text)
    except CheckpointError as error:
        raise CheckpointError(f"{source.path}: {error}") from None
    except Exception as error:  # what a pickle can do wrong has no list
        raise _broken(source.path, f"{type(error).__name__}: {str(error)[:200]}") from None
    stored: dict[str, Stored] = {}
    for name, tensor, is_state in tensors:
        if is_state:
            source.no_weights[name] = STATE
        if isinstance(tensor, OtherTensor):
            source.no_weights[name] = f"{tensor.what}, no dense array"
            continue
        if name in stored:
            raise _broken(source.path, f"two tensors would be called {name[:100]!r}")
        try:
            member = places[f"{root}data/{tensor.storage.key}"]
            stored[name] = _stored(name, tensor, member, number)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _broken(source.path, f"tensor {name[:100]!r}: {str(error)[:200]}") from None
    return _without_overlaps(list(stored.values()))


def _stored(name: str, tensor: SavedTensor, member: Member, number: int) -> Stored:
    """Place a tensor in its file; one that is not row by row gets a dtype that is not ranked."""
    shape, stride = tuple(tensor.shape), tuple(tensor.stride)
    numbers = (*shape, *stride, tensor.offset)
    if len(shape) != len(stride) or any(
        type(n) is not int or not 0 <= n < 1 << 62 for n in numbers
    ):
        raise ValueError(f"shape {shape}, stride {stride}, offset {tensor.offset}")
    code = NAMES.get(tensor.dtype)
    width = BITS[code] // 8 if code else WIDTHS.get(tensor.dtype, 1)
    reach = sum((n - 1) * step for n, step in zip(shape, stride, strict=True)) + 1
    start = member.start + tensor.offset * width
    stop = start + (reach * width if prod(shape) else 0)
    if not member.stored or stop > member.stop:
        raise ValueError(f"it ends at byte {stop - member.start} of {member.size}")
    steps, step = [], 1
    for n in reversed(shape):
        steps.append(step)
        step *= n
    plain = all(n == 1 or a == b for n, a, b in zip(shape, stride, reversed(steps), strict=True))
    dtype = tensor.dtype if plain or not prod(shape) else f"{tensor.dtype} (strided)"
    return Stored(name, dtype, shape, number, start, stop)


def _without_overlaps(tensors: list[Stored]) -> list[Stored]:
    """Give tensors that share a part of their bytes a dtype that is not ranked."""
    shared: set[tuple[int, int, int]] = set()
    end, last = -1, None
    for tensor in sorted(tensors, key=lambda t: (t.start, -t.stop)):
        if tensor.size == 0:
            continue
        if last and tensor.start < end and tensor.place != last.place:
            shared |= {tensor.place, last.place}
        if tensor.stop > end:
            end, last = tensor.stop, tensor
    return [
        Stored(t.name, f"{t.dtype} (shared)", t.shape, t.file, t.start, t.stop)
        if t.size and t.place in shared
        else t
        for t in tensors
    ]


def _broken(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be read: {what}. Rule: it is a file that torch.save wrote. It is damaged "
        "or hostile."
    )
