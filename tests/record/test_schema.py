from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from tests.record.make import RUN, call, end, part, reading
from tokenproxy.record.make_row import make_row
from tokenproxy.record.price import Prices
from tokenproxy.record.row import Row, RowPart, encode
from tokenproxy.record.schema import field_docs, row_schema, schema_text

COMMITTED = Path(__file__).parents[2] / "docs" / "ledger.schema.json"


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = row_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture(scope="module")
def good() -> dict[str, Any]:
    prices = Prices()
    prices.load()
    row = make_row(
        call(ended=end(read=reading(part(), part(role="advisor", model="claude-fable-5-2")))),
        RUN,
        prices,
    )
    loaded: dict[str, Any] = json.loads(encode(row))
    return loaded


def test_the_committed_schema_is_the_generated_one() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == schema_text()


def test_rows_validate(validator: jsonschema.Draft202012Validator, good: dict[str, Any]) -> None:
    validator.validate(good)
    failed = json.loads(encode(make_row(call(ended=end("aborted")), RUN, None)))
    validator.validate(failed)


def test_later_keys_are_allowed(
    validator: jsonschema.Draft202012Validator, good: dict[str, Any]
) -> None:
    validator.validate(good | {"invented_later": 1})


@pytest.mark.parametrize(
    "wrong",
    [
        {"timestamp": "2026-11-22 00:54:55"},
        {"input_tokens": None},
        {"input_tokens": -1},
        {"cost_usd": "0.1"},
        {"outcome": "fine"},
        {"completeness": "estimated"},
        {"schema": "tokenproxy.usage/2"},
        {"trace_id": "xyz"},
        {"success": 1},
        {"parts": [{"output_tokens": -1}]},
    ],
)
def test_wrong_rows_do_not(
    validator: jsonschema.Draft202012Validator, good: dict[str, Any], wrong: dict[str, Any]
) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(good | wrong)


@pytest.mark.parametrize("missing", ["timestamp", "success", "call_id", "completeness"])
def test_required_keys_are_required(
    validator: jsonschema.Draft202012Validator, good: dict[str, Any], missing: str
) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({key: value for key, value in good.items() if key != missing})


@pytest.mark.parametrize("struct", [Row, RowPart])
def test_every_field_is_described(struct: type[msgspec.Struct]) -> None:
    assert set(field_docs(struct)) == set(struct.__struct_fields__)
    properties = (
        row_schema()["properties"]
        if struct is Row
        else row_schema()["$defs"]["RowPart"]["properties"]
    )
    assert all(field.get("description") for field in properties.values())
