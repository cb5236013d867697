from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.record.make import RUN, call
from tokenproxy.record import lines
from tokenproxy.record.batch import result_call_id
from tokenproxy.record.lines import iter_rows, tail_rows, verify
from tokenproxy.record.make_row import make_row
from tokenproxy.record.row import encode

LEGACY = (
    b'{"timestamp": "2026-01-24T11:42:59Z", "story_id": "US-1", "iteration": 1, '
    b'"provider": "anthropic", "model": "sonnet", "complexity": 1, "input_tokens": 10000, '
    b'"output_tokens": 2000, "cost_usd": .060000, "latency_ms": 1200, "success": true, '
    b'"fallback_used": false}\n'
)


def write(path: Path, *content: bytes) -> Path:
    path.write_bytes(b"".join(content))
    return path


def ours() -> bytes:
    return encode(make_row(call(), RUN, None))


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "provider_usage.jsonl"


def test_rows_come_in_order_with_their_numbers(ledger: Path) -> None:
    write(ledger, ours(), b"\n", b"  \r\n", ours())
    found = list(iter_rows(ledger))
    assert [line.number for line in found] == [1, 4]
    assert all(line.row is not None and not line.repaired for line in found)


def test_the_ancestors_numbers_are_understood(ledger: Path) -> None:
    (line,) = iter_rows(write(ledger, LEGACY))
    assert line.row is not None
    assert line.row["cost_usd"] == 0.06
    assert line.repaired


def test_words_are_not_mended(ledger: Path) -> None:
    (line,) = iter_rows(write(ledger, rb'{"a": "x: .5, \".5\" ,.5", "b": [.5, -.25], "c":.1}'))
    assert line.row == {"a": 'x: .5, ".5" ,.5', "b": [0.5, -0.25], "c": 0.1}


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"plain words\n", "not JSON"),
        (b"[1, 2]\n", "not a JSON object"),
        (b'"text"\n', "not a JSON object"),
        (b'{"story_id": "say "hi""}\n', "not JSON"),
        (b'{"a": NaN}\n', "not JSON"),
        (b'{"a": 1..5}\n', "not JSON"),
        (b'{"a": "\\ud800"}\n', "not JSON"),
        (b'{"a": "\xff\xfe"}\n', "not UTF-8"),
        (b'{"a": 1e999}\n', "not a row: a number in it is too large"),
        (b"\x00\x00\x00\n", "not JSON"),
        (b"[" * 100_000 + b"\n", "nested too deep"),
        (b'{"a": 1, "b', "cut short"),
        (b'{"a": 1, "b\n', "cut short"),
        (b'{"a": 1,\r\n', "cut short"),
    ],
)
def test_what_is_no_row_is_told_with_its_number(ledger: Path, raw: bytes, problem: str) -> None:
    *_, line = iter_rows(write(ledger, ours(), raw))
    assert line.number == 2
    assert line.row is None
    assert line.problem == problem


def test_a_bad_line_does_not_take_its_neighbours_along(ledger: Path) -> None:
    write(ledger, ours(), b'{"torn": \n', ours())
    assert [line.row is not None for line in iter_rows(ledger)] == [True, False, True]


def test_a_whole_row_without_newline_is_a_row_and_torn(ledger: Path) -> None:
    (line,) = iter_rows(write(ledger, ours().rstrip(b"\n")))
    assert line.row is not None
    assert line.torn


def test_a_line_that_is_too_long_is_not_held(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 64)
    write(ledger, b"x" * 1_000 + b"\n", b'{"a": 1}\n', b"y" * 64 + b"\n", b'{"b": 2}\n', b"z" * 200)
    assert [(line.number, line.row or line.problem) for line in iter_rows(ledger)] == [
        (1, "longer than any row"),
        (2, {"a": 1}),
        (3, "longer than any row"),
        (4, {"b": 2}),
        (5, "longer than any row"),
    ]


def test_a_missing_ledger_is_an_error_of_the_caller(ledger: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(iter_rows(ledger))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
@example(content=b'{"a":.}')
@example(content=b'"\\')
@example(content=b'{"a": "\\ud800"}\n')
def test_no_content_raises(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "garbage", content)
    forwards = [line.row for line in iter_rows(path) if line.row is not None]
    assert list(tail_rows(path, 10_000)) == forwards[::-1]
    verify(path)


json_objects = st.dictionaries(st.text(max_size=5), st.text() | st.integers(0, 99), max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(
        json_objects.map(lambda row: json.dumps(row).encode())
        | st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b"")),
        max_size=12,
    ),
    limit=st.integers(0, 200),
    block=st.integers(1, 64),
    longest=st.sampled_from([8, 16, 1000]),
)
def test_backwards_is_forwards_reversed(
    tmp_path: Path, content: list[bytes], limit: int, block: int, longest: int
) -> None:
    path = write(tmp_path / "mixed", *(raw + b"\n" for raw in content))
    if limit % 2:  # the last one is being written
        path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_BLOCK", block)
        patch.setattr(lines, "LONGEST_LINE", longest)
        everything = list(tail_rows(path, 10**9))
        some = list(tail_rows(path, limit))
        forwards = [line.row for line in iter_rows(path) if line.row is not None]
    assert everything == forwards[::-1]
    assert some == everything[: len(some)]


def test_the_tail_reads_no_more_than_it_is_told(ledger: Path) -> None:
    one = b'{"n": 1}\n'
    write(ledger, one * 1_000)
    assert len(list(tail_rows(ledger, 10 * len(one)))) == 9  # a first line may be cut: not read
    assert len(list(tail_rows(ledger, 10**9))) == 1_000


def test_a_sound_ledger(ledger: Path) -> None:
    found = verify(write(ledger, ours(), LEGACY, ours()))
    assert found.sound
    assert (found.rows, found.legacy, found.repaired, found.bad_lines) == (3, 1, 1, 0)
    assert not found.torn_tail


def test_what_is_wrong_is_counted_and_named(ledger: Path) -> None:
    twice = ours()
    bad_type = ours().replace(b'"iteration":3', b'"iteration":"3"')
    found = verify(write(ledger, twice, b"junk\n", twice, bad_type, b'{"cut'))
    assert not found.sound
    assert (found.rows, found.bad_lines, found.invalid) == (3, 2, 1)
    assert len(found.duplicates) == 1
    assert found.torn_tail
    assert [problem.split(":")[0] for problem in found.problems] == ["line 2", "line 4", "line 5"]


def test_an_object_without_a_rows_keys_is_no_row(ledger: Path) -> None:
    found = verify(write(ledger, b'{"a": 1}\n', b'{"timestamp": null}\n', b"{}\n", LEGACY))
    assert (found.sound, found.rows, found.legacy, found.bad_lines) == (False, 1, 1, 3)
    assert found.problems[0] == "line 1: not a row: it has none of a row's keys"


def test_a_row_of_another_tool_has_a_time_a_provider_and_a_model(ledger: Path) -> None:
    found = verify(write(ledger, LEGACY, b'{"model": "m", "cost_usd": .5}\n'))
    assert (found.sound, found.rows, found.invalid) == (False, 2, 1)
    assert found.problems == ["line 2: a row without timestamp and provider"]


def test_problems_are_named_up_to_a_hundred(ledger: Path) -> None:
    found = verify(write(ledger, b"junk\n" * 250))
    assert (found.bad_lines, len(found.problems)) == (250, 100)


def test_an_answer_that_was_fetched_again_is_no_fault(ledger: Path) -> None:
    derived = result_call_id("anthropic", "msg_01").encode()
    result = re.sub(rb'"call_id":"[^"]+"', b'"call_id":"' + derived + b'"', ours())
    found = verify(write(ledger, result, result))
    assert found.sound
    assert (found.rows, found.refetched) == (2, 1)
