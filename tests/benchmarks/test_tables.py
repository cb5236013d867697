from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.figures import Figure
from benchmarks.plot import plot
from benchmarks.results import Results
from benchmarks.tables import number, shown, table, tables
from tests.benchmarks.samples import results, sample

MEASURED = results(
    sample("direct", 400.0),
    sample("nginx", 300.0, cpu_s_per_1000=0.016),
    sample("tokenproxy", 150.0, cpu_s_per_1000=0.097),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.0123"), (1.5, "1.5"), (99.96, "100"), (45669.4, "45,669")],
)
def test_a_number_has_three_figures(value: float, text: str) -> None:
    assert number(value) == text


def test_a_figure_is_shown_with_its_spread() -> None:
    assert shown(Figure(2, 1, 3), " ms") == "2 ms (1 to 3)"
    assert shown(Figure(2, 2, 2), " ms") == "2 ms"
    assert shown(None) == "-"


def test_a_table_is_markdown_that_is_straight_in_a_terminal() -> None:
    assert table("T", ["a", "bbb"], [["cc", "d"]]).splitlines() == [
        "### T", "", "| a  | bbb |", "|----|-----|", "| cc | d   |",
    ]  # fmt: skip
    assert table("T", ["a"], []) == ""


def test_all_that_was_measured_is_told() -> None:
    text = tables(MEASURED)
    assert "| SSE, 200 chunks | 16      | 400    | 300   | 150" in text
    assert "| 0.5 x" in text  # the bar
    assert "| 16    | 97 " in text  # microseconds a chunk
    assert "nginx 1.22.1" in text
    assert "disturbed" not in text
    assert "busy" not in text


def test_a_busy_machine_and_who_was_left_out_are_told() -> None:
    noisy = results(
        sample("direct", foreign_share=0.5),
        sample("nginx"),
        notes=["Without mitmdump: why."],
        faults=["sse through nginx, 16 streams: 1 calls failed"],
    )
    noisy.machine |= {"busy": True, "load_before": 7.5}
    text = tables(noisy)
    assert "was busy before the run: load 7.5" in text
    assert "1 of 2 measurements were disturbed: other processes took up to 50%" in text
    assert "Without mitmdump: why." in text
    assert "**Failed:** sse through nginx, 16 streams: 1 calls failed." in text


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    place = tmp_path / "new" / "results.json"
    MEASURED.write(place)
    assert Results.read(place) == MEASURED


def test_the_picture_has_a_bar_a_peer_and_is_whole() -> None:
    root = ET.fromstring(plot(MEASURED))  # noqa: S314 - our own text
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("SSE, 200 chunks, x16") == 2  # throughput and cost
    assert "0.375" in texts
    assert "97" in texts
