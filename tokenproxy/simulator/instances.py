"""The least JSON value that matches a schema, for clients that ask for JSON."""

from __future__ import annotations

from typing import Any

PREFERRED = ("user", "flash")
"""Members of an enum that end a client's loop or keep it on its small model."""
SCALARS = {"string": "simulated", "boolean": False, "null": None}
DEPTH = 12
"""Levels of a schema that are followed; a recursive one ends there."""


def instance(schema: Any, root: Any = None, depth: int = DEPTH) -> Any:
    """A value that matches ``schema`` (JSON Schema, or Google's with types in capitals)."""
    if not isinstance(schema, dict) or depth == 0:
        return None
    root = schema if root is None else root
    members = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(members, list) and members:
        return next((member for member in PREFERRED if member in members), members[0])
    if (other := _other(schema, root)) is not None:
        return instance(other, root, depth - 1)
    kind = _type_of(schema)
    if kind == "object":
        return _object(schema, root, depth)
    if kind == "array":
        item = instance(schema.get("items"), root, depth - 1)
        return [item] * int(schema.get("minItems") or 0)
    return schema.get("minimum", 1) if kind in ("integer", "number") else SCALARS.get(kind, "x")


def _object(schema: dict[str, Any], root: Any, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    required = schema.get("required")
    names = required if isinstance(required, list) else list(known)
    return {str(name): instance(known.get(name, {}), root, depth - 1) for name in names}


def _type_of(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    return str(kind).lower()


def _other(schema: dict[str, Any], root: Any) -> Any:
    """The schema that ``schema`` stands for; None when it is one itself."""
    if isinstance(reference := schema.get("$ref"), str):
        return _resolved(reference, root)
    found = (schema.get(key) for key in ("anyOf", "oneOf", "allOf"))
    return next((choices[0] for choices in found if isinstance(choices, list) and choices), None)


def _resolved(reference: str, root: Any) -> Any:
    found = root
    for key in reference.removeprefix("#").split("/")[1:]:
        found = found.get(key) if isinstance(found, dict) else None
    return found
