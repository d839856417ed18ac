"""A small validator for the JSON schemas of this suite; standard library only.

It knows the keywords that our schemas use and refuses any other, so that no rule
of a schema is passed over in silence.
"""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
KNOWN = {
    "$schema", "$id", "$defs", "$ref", "title", "description", "type", "enum", "const", "pattern",
    "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "minimum",
    "maximum", "anyOf", "uniqueItems", "minProperties", "maxLength",
}  # fmt: skip


def problems(value: Any, schema: Json, root: Json | None = None, at: str = "$") -> list[str]:
    """Return what is wrong with a value, one sentence for each fault."""
    root = schema if root is None else root
    if unknown := set(schema) - KNOWN:
        raise ValueError(f"keywords {sorted(unknown)} are not supported")
    if "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return problems(value, target, root, at)
    if "anyOf" in schema:
        tried = [problems(value, option, root, at) for option in schema["anyOf"]]
        return [] if not all(tried) else min(tried, key=len)
    faults = _scalar(value, schema, at)
    if not faults and isinstance(value, dict):
        faults += _object(value, schema, root, at)
    if not faults and isinstance(value, list):
        faults += _list(value, schema, root, at)
    return faults


def _scalar(value: Any, schema: Json, at: str) -> list[str]:
    faults = []
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        allowed = tuple(kind for name in names for kind in TYPES[name])
        # A boolean is an int in Python and nowhere else.
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            return [f"{at}: {value!r} is not of type {' or '.join(names)}"]
    if "enum" in schema and value not in schema["enum"]:
        faults.append(f"{at}: {value!r} is not one of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        faults.append(f"{at}: {value!r} is not {schema['const']!r}")
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        faults.append(f"{at}: {value!r} does not match {schema['pattern']}")
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        faults.append(f"{at}: longer than {schema['maxLength']} characters")
    if isinstance(value, int | float):
        if value < schema.get("minimum", value):
            faults.append(f"{at}: {value} is below {schema['minimum']}")
        if value > schema.get("maximum", value):
            faults.append(f"{at}: {value} is above {schema['maximum']}")
    return faults


def _object(value: Json, schema: Json, root: Json, at: str) -> list[str]:
    known = schema.get("properties", {})
    faults = [
        f"{at}: {name} is missing" for name in schema.get("required", []) if name not in value
    ]
    if len(value) < schema.get("minProperties", 0):
        faults.append(f"{at}: too few members")
    more = schema.get("additionalProperties", True)
    for name, member in value.items():
        if name in known:
            faults += problems(member, known[name], root, f"{at}.{name}")
        elif more is False:
            faults.append(f"{at}: {name} is unknown")
        elif isinstance(more, dict):
            faults += problems(member, more, root, f"{at}.{name}")
    return faults


def _list(value: list[Any], schema: Json, root: Json, at: str) -> list[str]:
    faults = []
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        faults.append(f"{at}: {len(value)} items")
    if schema.get("uniqueItems") and len({repr(item) for item in value}) < len(value):
        faults.append(f"{at}: items repeat")
    if "items" in schema:
        for place, item in enumerate(value):
            faults += problems(item, schema["items"], root, f"{at}[{place}]")
    return faults
