"""The ledger row as JSON Schema (draft 2020-12), made from :class:`Row` itself.

The committed copy is ``docs/ledger.schema.json``; a test holds it to this one.
Write it anew with ``tokenproxy ledger schema > docs/ledger.schema.json``.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import textwrap
from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from tokenproxy.record.call import Outcome
from tokenproxy.record.row import SCHEMA, Row, RowPart, ToolDuration
from tokenproxy.wire.usage import Completeness

SCHEMA_ID = "urn:tokenproxy:usage:1"

_NARROWER: Mapping[str, Mapping[str, Any]] = {
    "timestamp": {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
    "schema": {"const": SCHEMA},
    "outcome": {"enum": list(get_args(Outcome))},
    "completeness": {"enum": list(get_args(Completeness))},
    "latency_ms": {"minimum": 0},
    "trace_id": {"pattern": "^[0-9a-f]{32}$"},
    "span_id": {"pattern": "^[0-9a-f]{16}$"},
}
"""What the Python types do not say."""


def row_schema() -> dict[str, Any]:
    """The schema of one line. Keys that it does not name are allowed: readers must skip them."""
    _, components = msgspec.json.schema_components([Row], ref_template="#/$defs/{name}")
    row = components.pop("Row")
    structs: dict[str, type[msgspec.Struct]] = {
        "Row": Row,
        "RowPart": RowPart,
        "ToolDuration": ToolDuration,
    }
    for struct_name, schema in (("Row", row), *components.items()):
        docs = field_docs(structs[struct_name])
        for name, field in schema["properties"].items():
            _require_value(field)
            if name in docs:
                field["description"] = docs[name]
            if name.endswith(("_tokens", "_bytes")):
                field["minimum"] = 0
        schema["additionalProperties"] = True
    for name, narrower in _NARROWER.items():
        row["properties"][name].update(narrower)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **row,
        "title": "Row of tokenproxy's ledger",
        "$defs": components,
    }


def schema_text() -> str:
    """The schema as it is published: indented JSON with a final newline."""
    return json.dumps(row_schema(), indent=2) + "\n"


def field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The text that stands under each field in the source, on one line."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(struct)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    docs = {}
    for field, text in itertools.pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            docs[field.target.id] = " ".join(text.value.value.split())
    return docs


def _require_value(field: dict[str, Any]) -> None:
    """Optional means that the key may be absent, not that its value may be null."""
    field.pop("default", None)
    choices = [choice for choice in field.pop("anyOf", []) if choice != {"type": "null"}]
    if choices:
        field.update(choices[0])
