"""What an implementation says of itself, checked before anything is asked of it."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
PROFILES = {
    "parity", "deterministic", "module", "random", "scope", "groups", "bounds", "allocation",
}  # fmt: skip
OPERATIONS = {
    "count", "prune", "counts", "cut", "structured", "draws", "promote", "pack", "read_masks",
    "module",
}  # fmt: skip
DTYPES = {
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "bfloat16", "float32", "float64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2",
    "float8_e4m3fnuz", "float8_e5m2fnuz",
}  # fmt: skip
LISTS = {"profiles": PROFILES, "operations": OPERATIONS, "dtypes": DTYPES}


class Usage(Exception):  # noqa: N818 - the user's mistake, told on one line
    """The request to the judge cannot be met; exit code 2."""


def checked(description: Any) -> Json:
    """Return a description that holds what PROTOCOL.md says.

    Raises
    ------
    Usage
        If it does not: a misspelt profile would be skipped in silence.
    """
    if not isinstance(description, dict):
        raise Usage(
            f"the implementation describes itself as {description!r}, which is not an object"
        )
    who = description.get("implementation")
    if not isinstance(who, dict) or not all(
        isinstance(who.get(part), str) for part in ("name", "version", "language")
    ):
        raise Usage(f"implementation is {who!r}; it has the texts name, version and language")
    if "profiles" not in description:
        raise Usage(f"no profiles are declared; they are some of {sorted(PROFILES)}")
    for member, known in LISTS.items():
        named = description.get(member, [])
        if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
            raise Usage(f"{member} is {named!r}; it is a list of texts")
        if unknown := sorted(set(named) - known):
            raise Usage(f"{member} has {unknown}; known are {sorted(known)}")
    return description
