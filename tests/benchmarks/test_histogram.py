from __future__ import annotations

import itertools

import pytest

from benchmarks.histogram import bucket, middle_ns, quantile_ms


@pytest.mark.parametrize("ns", [0, 1, 63, 64, 65, 127, 128, 1_000, 123_456, 10**9, 3 * 10**11])
def test_what_stands_for_a_bucket_is_close_to_what_is_in_it(ns: int) -> None:
    assert middle_ns(bucket(ns)) == pytest.approx(ns, rel=0.012, abs=0.6)


def test_buckets_are_one_after_the_other() -> None:
    found = [bucket(ns) for ns in range(1 << 14)]
    assert all(later - earlier in (0, 1) for earlier, later in itertools.pairwise(found))


def test_a_quantile_is_the_value_that_so_many_do_not_exceed() -> None:
    counts: dict[int, int] = {}
    for milliseconds in range(1, 101):
        index = bucket(milliseconds * 1_000_000)
        counts[index] = counts.get(index, 0) + 1
    assert quantile_ms(counts, 0.5) == pytest.approx(50, rel=0.02)
    assert quantile_ms(counts, 0.99) == pytest.approx(99, rel=0.02)
    assert quantile_ms(counts, 1.0) == pytest.approx(100, rel=0.02)


def test_of_nothing_there_is_no_quantile() -> None:
    assert quantile_ms({}, 0.5) is None
