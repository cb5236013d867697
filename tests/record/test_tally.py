from __future__ import annotations

from tests.record.make import RUN, call, end, part, reading
from tokenproxy.config import Summary
from tokenproxy.record.make_row import make_row
from tokenproxy.record.price import Prices
from tokenproxy.record.tally import Tally


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
        incomplete=3,
    )


def test_a_warning_is_said_once() -> None:
    tally = Tally()
    for sentence in ("b", "a", "b"):
        tally.warn(sentence)
    assert tally.summary().warnings == ("b", "a")
