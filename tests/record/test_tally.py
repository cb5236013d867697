from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.record.make import RUN, call, end, part, reading
from tokenproxy.config import Summary
from tokenproxy.record import tally as module
from tokenproxy.record.make_row import make_row
from tokenproxy.record.price import Prices
from tokenproxy.record.row import encode
from tokenproxy.record.tally import Tally, rows_of_run
from tokenproxy.wire import notes


def test_sums() -> None:
    prices, tally = Prices(), Tally()
    used = part(cache_read_input_tokens=100, cache_creation_input_tokens=10)
    unheard = reading(model="unheard-of")
    cut = reading(completeness="partial")
    for ended in (
        end(read=reading(used)),
        end("error"),
        end(read=unheard),
        end("truncated", read=cut, status_code=200),
        end("aborted", status_code=None),
        end("lost", status_code=None),
        end("complete", read=reading(completeness="none", parts=())),
    ):
        tally.count(make_row(call(ended=ended), RUN, prices))
    found = tally.summary()
    assert found.cost_usd > 0
    assert found == Summary(
        calls=7,
        failed=4,
        input_tokens=113 + 3 + 3,
        output_tokens=15,
        cache_read_input_tokens=100,
        cache_creation_input_tokens=10,
        cost_usd=found.cost_usd,
        unpriced=1,
        incomplete=4,
        warnings=(
            (
                "No price is known for unheard-of (anthropic): its calls are not in the cost"
                " (config.toml can name one)."
            ),
        ),
    )


def test_the_providers_own_figure_is_what_was_spent() -> None:
    tally = Tally()
    stated = reading(model="unheard-of", provider_cost_usd=0.25)
    tally.count(make_row(call(ended=end(read=stated)), RUN, Prices()))
    found = tally.summary()
    assert (found.cost_usd, found.unpriced, found.warnings) == (0.25, 0, ())


def test_a_model_without_a_price_is_told_once() -> None:
    tally, prices = Tally(), Prices()
    advised = reading(part(), part(model="unheard-of", role="advisor"))
    for read in (advised, advised, reading(model="never-seen")):
        tally.count(make_row(call(ended=end(read=read)), RUN, prices))
    assert tally.summary().unpriced == 3
    assert [sentence.split(":")[0] for sentence in tally.summary().warnings] == [
        "No price is known for unheard-of (anthropic)",
        "No price is known for never-seen (anthropic)",
    ]


def test_what_the_user_does_not_want_priced_is_no_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[[prices]]\nmodel = "internal"\npriced = false\n')
    monkeypatch.setenv("TOKENPROXY_CONFIG", str(file))
    tally, prices = Tally(), Prices()
    tally.declined = prices.declined
    for read in (
        reading(model="internal"),
        reading(part(model="internal"), part(model="unheard-of")),
    ):
        tally.count(make_row(call(ended=end(read=read)), RUN, prices))
    assert tally.summary().unpriced == 2
    assert tally.summary().warnings == (
        (
            "No price is known for unheard-of (anthropic): its calls are not in the cost"
            " (config.toml can name one)."
        ),
    )


def test_endless_models_without_a_price_are_told_of_a_few() -> None:
    tally, prices = Tally(), Prices()
    for number in range(module.UNPRICED_NAMED + 5):
        unheard = reading(model=f"unheard-of-{number}")
        tally.count(make_row(call(ended=end(read=unheard)), RUN, prices))
    assert len(tally.summary().warnings) == module.UNPRICED_NAMED


def test_where_nothing_has_a_price_no_model_is_told() -> None:
    tally = Tally()
    tally.no_prices = True
    tally.count(make_row(call(), RUN, None))
    assert tally.summary().unpriced == 1
    assert tally.summary().warnings == ()


def test_a_warning_is_said_once() -> None:
    tally = Tally()
    for sentence in ("b", "a", "b"):
        tally.warn(sentence)
    assert tally.summary().warnings == ("b", "a")


def test_the_rows_of_a_run_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = tmp_path / "ledger.jsonl"
    other = msgspec.structs.replace(RUN, run_id="other")
    first, second = (make_row(call(), RUN, None) for _ in range(2))
    lines = [encode(row) for row in (first, make_row(call(), other, None), second, first)]
    odd = b'{"run_id": "%s"}\n' % RUN.run_id.encode()
    ledger.write_bytes(b"".join([lines[0], odd, b"junk\n", *lines[1:3]]))
    assert rows_of_run(ledger, RUN.run_id) == [first, second]
    ledger.write_bytes(b"".join(lines))
    assert len(rows_of_run(ledger, RUN.run_id)) == 2
    monkeypatch.setattr(module, "TAIL_BYTES", len(lines[3]) + 10)
    assert rows_of_run(ledger, RUN.run_id) == [first]
    assert rows_of_run(tmp_path / "none", RUN.run_id) == []


@pytest.mark.parametrize(
    ("streams", "said"), [(0, ""), (1, "1 stream told"), (3, "3 streams told")]
)
def test_usage_that_nobody_asked_for_is_said_aloud(streams: int, said: str) -> None:
    tally = Tally()
    silent = reading(completeness="none", parts=(), notes=(notes.INCLUDE_USAGE_ABSENT,))
    for _ in range(streams):
        tally.count(make_row(call(ended=end(read=silent)), RUN, None))
    assert "".join(tally.summary().warnings).startswith(said)
    assert tally.summary().incomplete == streams
