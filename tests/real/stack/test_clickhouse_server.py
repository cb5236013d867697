"""The door before chdb lets through what ClickHouse itself would take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.stack.clickhouse import ClickHouse

VALUES = ["plain", "two\n\nlines", "; -- no end", ""]


def native(values: list[str]) -> bytes:
    """A block of one column of strings, in ClickHouse's format Native of revision 0."""
    block = bytes([1, len(values), 1]) + b"a" + b"\x06String"
    return block + b"".join(bytes([len(value)]) + value.encode() for value in values)


def test_data_may_hold_any_bytes(tmp_path: Path) -> None:
    with ClickHouse(tmp_path, database="default") as clickhouse:
        clickhouse.ask("CREATE TABLE taken (a String) ENGINE = MergeTree ORDER BY tuple()")
        clickhouse.ask("INSERT INTO taken (a) FORMAT Native", native(VALUES))
        assert [row["a"] for row in clickhouse.ask("SELECT a FROM taken")] == VALUES
        with pytest.raises(AssertionError, match="need a FORMAT"):
            clickhouse.ask("INSERT INTO taken (a) VALUES", b"('lost')")
