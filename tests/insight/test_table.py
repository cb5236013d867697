from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.insight.rows import Row, failed, row, write
from tokenproxy.insight.query import open_ledger
from tokenproxy.insight.question import dimension
from tokenproxy.insight.report import Report, make_report
from tokenproxy.insight.table import print_table, write_csv
from tokenproxy.insight.terminal import open_console

ROWS = [
    row("a", latency_ms=1_234.0),
    row("b", story_id="a very long story id, \x1b[31mred\nand on", cost_usd=12.345),
    row("c", story_id="", completeness="partial", outcome="aborted", success=False),
    row("d", story_id="", cost_usd=None),
    failed("e"),
]


def make(tmp_path: Path, rows: list[Row], *by: str) -> Report:
    with open_ledger([write(tmp_path / "l.jsonl", rows)]) as ledger:
        return make_report(ledger, [dimension(name) for name in by])


def printed(report: Report, width: int | None = None) -> str:
    out = io.StringIO()
    print_table(report, Console(file=out, width=width) if width else open_console(out))
    return out.getvalue()


def test_a_table_as_it_is_read(tmp_path: Path) -> None:
    assert printed(make(tmp_path, [ROWS[0], failed("e")], "story"), 90).splitlines() == [
        "Story  Calls  Failed  Input  Uncached  Cached  Written  Output     Cost    p50    p95",
        "US-7       2       1  17.1k        12   15.0k     2.0k      55  $0.0145  1.2 s  1.2 s",
    ]


def test_several_lines_have_a_total_and_what_it_leaves_out(tmp_path: Path) -> None:
    lines = printed(make(tmp_path, ROWS, "story")).splitlines()
    assert lines[1].startswith(r"a very long story id, \x1b[31mred\nand on      1 ")
    assert lines[2].startswith("—  ")
    assert lines[4].split()[:4] == ["Total", "5", "2", "68.2k"]
    assert lines[5:] == [
        "Without a known price and not in the cost: 1 call.",
        "Told no usage, or not all of it: 1 call; the sums are lower bounds.",
    ]


def test_sums_of_money_have_their_points_in_line(tmp_path: Path) -> None:
    costs = [12_345.678, 0.0000123, 0.5, None]
    rows = [
        row(f"c{number}", story_id=f"s{number}", cost_usd=cost) for number, cost in enumerate(costs)
    ]
    lines = printed(make(tmp_path, rows, "story")).splitlines()
    start = lines[0].index("Cost") + len("Cost")
    shown = [line[:start] for line in lines[1:6]]
    points = {line.index(".", line.index("$")) for line in shown if "$" in line}
    assert [line.split()[-1] for line in shown if "$" in line] == [
        "$12,345.68", "$0.5000", "$0.000012", "$12,346.18",
    ]  # fmt: skip
    assert len(points) == 1


def test_calls_without_a_price_have_a_column_and_no_cost(tmp_path: Path) -> None:
    rows = [row("a"), row("b", model="unheard-of", cost_usd=None)]
    assert [line.rstrip() for line in printed(make(tmp_path, rows, "model"), 84).splitlines()] == [
        "Model            Calls  Input  Cached  Written  Output     Cost  Unpriced     p95",
        "claude-opus-5-5      1  17.1k   15.0k     2.0k      55  $0.0145            200 ms",
        "unheard-of           1  17.1k   15.0k     2.0k      55                  1  200 ms",
        "Total                2  34.1k   30.0k     4.1k     110  $0.0145         1  200 ms",
        "Without a known price and not in the cost: 1 call.",
    ]


def test_without_dimensions_there_is_the_total(tmp_path: Path) -> None:
    lines = printed(make(tmp_path, [row("a")])).splitlines()
    assert lines[0].split()[0] == "Calls"
    assert lines[1].split()[0] == "1"
    assert len(lines) == 2


@pytest.mark.parametrize("width", [30, 60, 80, 100, 200])
def test_a_narrow_terminal_costs_columns_never_digits(tmp_path: Path, width: int) -> None:
    text = printed(make(tmp_path, ROWS, "story", "model"), width)
    lines = text.splitlines()
    table = lines[: next(i for i, line in enumerate(lines) if line.startswith("Without"))]
    assert all(cell_len(line) <= width for line in table)
    total = table[-1].split()[1:]
    assert total[0] == "5"
    assert not any("…" in word for word in total)
    if width >= 60:
        assert "$12.37" in total


def test_no_colour_into_a_pipe(tmp_path: Path) -> None:
    assert "\x1b" not in printed(make(tmp_path, ROWS, "story"))


def test_csv_has_every_column_in_full(tmp_path: Path) -> None:
    report = make(tmp_path, ROWS, "story")
    out = io.StringIO()
    write_csv(report, out)
    found = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [line["story"] for line in found] == [line.keys[0] for line in report.lines]
    by_story = {line["story"]: line for line in found}
    assert by_story["US-7"]["input_tokens"] == "17060"
    assert by_story["US-7"]["reasoning_output_tokens"] == ""
    assert by_story["US-7"]["cost_usd"] == "0.0145"
    assert re.fullmatch(r"[a-z0-9_,]+", out.getvalue().splitlines()[0])


def test_long_names_are_cut_in_the_middle_on_a_narrow_terminal_only(tmp_path: Path) -> None:
    model, provider = "hf:" + "m" * 78 + "-v2", "gateway.of.a.very.long.example.com:8443"
    report = make(tmp_path, [row("a", model=model, provider=provider)], "model", "provider")
    narrow = printed(report, 100).splitlines()
    assert all(cell_len(line) <= 100 for line in narrow)
    assert re.match(r"hf:m+…m+-v2  gat\S*…\S*8443  ", narrow[1])
    assert printed(report).splitlines()[1].startswith(f"{model}  {provider}  ")


def test_a_terminal_without_unicode_cuts_names_in_ascii(tmp_path: Path) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    report = make(tmp_path, [row("a", model="m" * 84)], "model")
    print_table(report, Console(file=out, width=60))
    lines = raw.getvalue().decode("ascii").splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert re.match(r"m+\.\.\.m+  ", lines[1])
