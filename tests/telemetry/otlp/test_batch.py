"""Spans that wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from tokenproxy.telemetry.delivery import Delivery, sentences
from tokenproxy.telemetry.otlp.batch import Batches, Limits, limits
from tokenproxy.telemetry.otlp.request import Frame
from tokenproxy.telemetry.otlp.sender import Sender

HOUR_MS = 3_600_000


class Took(Sender):
    """Keeps what is sent, as the frame has put it together; may be held up."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.timeouts: list[float] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.over = 0
        self.delivery = Delivery("spans", "http://collector.example:4318/v1/traces")

    def send(self, body: bytes, timeout_s: float = 0.0) -> bool:
        self.sent.append(body)
        self.timeouts.append(timeout_s)
        return self.may_go.wait(10)

    def shutdown(self) -> None:
        self.over += 1


class Joined(Frame):
    """Puts nothing around the spans."""

    def __init__(self) -> None:
        """There is nothing to put."""

    def request(self, items: object) -> bytes:
        assert isinstance(items, list)
        return b"".join(items)


def opened(**more: int) -> tuple[Batches, Took]:
    took = Took()
    limits = Limits(**{"delay_ms": HOUR_MS, **more})
    return Batches(Joined(), took, limits, took.delivery.drop), took


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_full_batch_is_sent_at_once_and_the_rest_at_the_end() -> None:
    batches, took = opened(batch=3, timeout_ms=1500)
    for letter in b"abcd":
        batches.put(bytes([letter]))
    wait(lambda: took.sent == [b"abc"])
    batches.shutdown()
    batches.shutdown()
    assert (took.sent, took.over) == ([b"abc", b"d"], 1)
    assert took.timeouts == [1.5, 1.5]


def test_what_there_is_is_sent_after_the_delay() -> None:
    batches, took = opened(delay_ms=20)
    batches.put(b"a")
    wait(lambda: took.sent == [b"a"])
    time.sleep(0.1)
    batches.put(b"b")
    wait(lambda: took.sent == [b"a", b"b"])
    batches.shutdown()
    assert took.sent == [b"a", b"b"], "nothing is sent for nothing"


def test_a_full_queue_drops_the_oldest_which_is_said() -> None:
    batches, took = opened(queue=4, batch=2)
    took.may_go.clear()
    for letter in b"ab":
        batches.put(bytes([letter]))
    wait(lambda: took.sent == [b"ab"])
    for letter in b"cdefgh":
        batches.put(bytes([letter]))
    assert took.delivery.dropped == 2
    took.may_go.set()
    batches.shutdown()
    assert took.sent == [b"ab", b"ef", b"gh"]
    (sentence,) = sentences([took.delivery])
    assert sentence.startswith("telemetry: 2 spans of this run were dropped: too many waited")


def test_after_the_end_nothing_is_taken() -> None:
    batches, took = opened()
    batches.shutdown()
    batches.put(b"a")
    assert (took.sent, took.delivery.dropped) == ([], 1)


def test_many_threads_lose_nothing() -> None:
    batches, took = opened(queue=100_000, batch=7)

    def write() -> None:
        for _ in range(1000):
            batches.put(b"x")

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    batches.shutdown()
    assert sum(map(len, took.sent)) == 4000
    assert max(map(len, took.sent)) == 7


def test_the_variables_are_the_specifications() -> None:
    assert limits({}) == Limits(queue=2048, batch=512, delay_ms=5000, timeout_ms=30_000)
    env = {
        "OTEL_BSP_MAX_QUEUE_SIZE": " 10 ",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
        "OTEL_BSP_SCHEDULE_DELAY": "1",
        "OTEL_BSP_EXPORT_TIMEOUT": "2",
    }
    assert limits(env) == Limits(queue=10, batch=10, delay_ms=1, timeout_ms=2)


@pytest.mark.parametrize(
    "value",
    ["0", "-1", "1.5", "many", "\N{SUPERSCRIPT TWO}", "9" * 40, "9" * 5000],
    ids=lambda value: value[:8],
)
@pytest.mark.parametrize(
    "name", ["MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE", "SCHEDULE_DELAY", "EXPORT_TIMEOUT"]
)
def test_what_is_no_number_above_nothing_is_no_limit(name: str, value: str) -> None:
    assert limits({f"OTEL_BSP_{name}": value}) is None


def test_a_batch_fits_into_the_queue() -> None:
    assert limits({"OTEL_BSP_MAX_QUEUE_SIZE": "511"}) is None
