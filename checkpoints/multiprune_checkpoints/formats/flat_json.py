"""JSON that nests two levels, read from bytes by a grammar as narrow as its use.

A JSON parser builds whatever a file asks for, and a hundred megabytes of ``[[],[],...`` ask for
gigabytes. Here a file's size bounds what is built: pairs are handed out one by one.
Standard library only; no file is opened here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from multiprune_checkpoints.errors import CheckpointError

__all__ = ["pairs", "strings", "value"]

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"')
_FLAT = re.compile(rb"\{[^{}]*+\}|\[[^\[\]{}]*+\]|[^\s,{}\[\]]++")
_LONGEST_STRING, _LONGEST_NEST, _MOST_PAIRS = 1 << 24, 1 << 16, 1 << 19


def pairs(text: bytes, start: int, where: str) -> Iterator[tuple[str, int, int]]:
    """Walk over the pairs of the object that begins at `start`.

    Parameters
    ----------
    text : bytes
        All of the JSON.
    start : int
        Where the object's brace is.
    where : str
        What is read, for messages.

    Yields
    ------
    key : str
    start, stop : int
        Where the value is: a string, a number, or an object or array that nests no further
        (of an object that holds strings with braces only the start is right; see `strings`).

    Raises
    ------
    CheckpointError
        If the text is not such an object, names a key twice, or ends early.
    """
    names: set[str] = set()
    at = _expect(text, _space(text, start), b"{", where)
    if text[at : at + 1] == b"}":
        _end(text, start, at + 1, where)
        return
    while True:
        name, at = _string(text, at, where)
        if name in names:
            raise CheckpointError(
                f"{where} names {name[:100]!r} twice. Rule: names are unique, for nobody can tell "
                "which one is meant. Write the file again."
            )
        names.add(name)
        if len(names) > _MOST_PAIRS:
            raise _broken(where, f"it has more than {_MOST_PAIRS:,} pairs")
        at = _expect(text, _space(text, at), b":", where)
        stop = _value_end(text, at, where)
        yield name, at, stop
        at = _space(text, stop)
        if text[at : at + 1] == b"}":
            _end(text, start, at + 1, where)
            return
        at = _expect(text, at, b",", where)


def strings(text: bytes, start: int, stop: int, where: str) -> dict[str, str]:
    """Read an object whose values are strings; `start` and `stop` as `pairs` gave them."""
    parsed = {}
    for name, begin, end in pairs(text[start:stop], 0, where):
        item = value(text[start + begin : start + end], where)
        if not isinstance(item, str):
            raise _broken(where, f"{name[:100]!r} is {item!r:.50}, not text")
        parsed[name] = item
    return parsed


def value(text: bytes, where: str) -> Any:
    """Read one small value.

    Raises
    ------
    CheckpointError
        If it is too long, is not JSON, or repeats a key.
    """
    if len(text) > (_LONGEST_NEST if text[:1] in b"{[" else _LONGEST_STRING):
        raise _broken(where, f"one value takes {len(text):,} bytes")
    try:
        parsed = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
        if isinstance(parsed, str):
            parsed.encode()  # half a surrogate pair can be escaped, but is not text
    except (ValueError, RecursionError) as error:
        raise _broken(where, f"{error} in {text[:60]!r}") from None
    return parsed


def _unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(items)
    if len(mapping) != len(items):
        raise ValueError(f"a key is repeated among {[key for key, _ in items][:10]}")
    return mapping


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _value_end(text: bytes, at: int, where: str) -> int:
    opening = text[at : at + 1]
    if opening == b'"':
        return _string_end(text, at, where)
    inside = _space(text, at + 1)
    if opening == b"{" and text[inside : inside + 1] in (b'"', b"}"):
        return _object_end(text, inside, where)
    match = _FLAT.match(text, at)
    if not match:
        raise _broken(where, f"there is {text[at : at + 20]!r} where a flat value should be")
    return match.end()


def _object_end(text: bytes, at: int, where: str) -> int:
    """Find the end of an object behind its brace: past strings, which may hold braces."""
    while text[at : at + 1] != b"}":
        at = _string_end(text, at, where)
        at = _expect(text, _space(text, at), b":", where)
        if text[at : at + 1] == b'"':
            at = _string_end(text, at, where)
        elif flat := _FLAT.match(text, at):
            at = flat.end()
        else:
            raise _broken(where, f"there is {text[at : at + 20]!r} where a flat value should be")
        at = _space(text, at)
        if text[at : at + 1] != b"}":
            at = _expect(text, at, b",", where)
    return at + 1


def _string(text: bytes, at: int, where: str) -> tuple[str, int]:
    stop = _string_end(text, at, where)
    return value(text[at:stop], where), stop


def _string_end(text: bytes, at: int, where: str) -> int:
    match = _STRING.match(text, at)
    if not match:
        raise _broken(where, f"there is {text[at : at + 20]!r} where a name should be")
    return match.end()


def _space(text: bytes, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _expect(text: bytes, at: int, token: bytes, where: str) -> int:
    if text[at : at + 1] != token:
        raise _broken(where, f"there is {text[at : at + 20]!r} where {token.decode()} should be")
    return _space(text, at + 1)


def _end(text: bytes, start: int, at: int, where: str) -> None:
    if _space(text, at) != len(text):
        raise _broken(where, f"{text[at : at + 20]!r} follows the end")


def _broken(where: str, what: str) -> CheckpointError:
    return CheckpointError(
        f"{where} cannot be read: {what}. Rule: it is a JSON object that nests as the format says. "
        "The file is damaged, or no checkpoint."
    )
