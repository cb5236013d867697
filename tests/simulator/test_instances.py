from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tokenproxy.simulator.instances import instance

ROUTER = {
    "type": "object",
    "properties": {
        "reasoning": {"type": "string"},
        "model_choice": {"type": "string", "enum": ["pro", "flash"]},
    },
    "required": ["reasoning", "model_choice"],
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (ROUTER, {"reasoning": "simulated", "model_choice": "flash"}),
        ({"enum": ["model", "user"]}, "user"),
        ({"const": 7}, 7),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": ["null", "number"], "minimum": 3}, 3),
        ({"type": "boolean"}, False),
        ({"type": "null"}, None),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"}, "simulated"),
        ({"properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]}, {"a": "simulated"}),
        ({}, "x"),
    ],
)
def test_the_least_value_matches(schema: Any, value: Any) -> None:
    assert instance(schema) == value
    jsonschema.validate(value, schema)


def test_types_in_capitals() -> None:
    schema = {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}, "s": {"type": "STRING"}}}
    assert instance(schema) == {"n": 1, "s": "simulated"}


def test_a_recursive_schema_ends() -> None:
    node: Any = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    value = instance(node)
    depth = 0
    while value is not None:
        value, depth = value["next"], depth + 1
    assert depth == 6
