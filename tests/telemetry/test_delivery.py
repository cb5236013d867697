"""What is said of exports that did not arrive."""

from __future__ import annotations

import pytest

from tokenproxy.telemetry.delivery import Delivery, sentences


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://me:secret@host:4318/v1/traces?k=v", "http://host:4318"),
        ("https://[::1]:4318/", "https://[::1]:4318"),
        ("http://[::1]", "http://[::1]"),
        ("host:4317", "host:4317"),
        ("http://me:secret@host:99999", "http://host:99999"),
    ],
)
def test_a_collector_is_named_by_its_address(endpoint: str, address: str) -> None:
    assert Delivery("spans", endpoint).address == address


@pytest.mark.parametrize("secret", ["secret/", "1/secret", "secret?", "1#secret", "secret@", "/x"])
def test_a_password_out_of_place_is_not_said(secret: str) -> None:
    for login in (f"me:{secret}", f"{secret}"):
        delivery = Delivery("spans", f"http://{login}rest@host:4318")
        delivery.end(delivered=False)
        (sentence,) = sentences([delivery])
        assert "secret" not in sentence


def test_what_was_not_taken_and_what_was_dropped_is_said_beside_what_was_lost() -> None:
    spans = Delivery("spans", "http://host:4318")
    spans.begin()
    spans.end(delivered=False, refusal="401 Unauthorized")
    spans.drop(1)
    spans.reject(2, "too old")
    spans.reject(1, "")
    assert sentences([spans, Delivery("metrics", "http://host:4318")]) == (
        (
            "telemetry: the collector at http://host:4318 answered 401 Unauthorized;"
            " spans of this run were not delivered"
        ),
        (
            "telemetry: the collector at http://host:4318 did not take 3 of the spans of this run:"
            " too old"
        ),
        (
            "telemetry: 1 spans of this run were dropped: too many waited at once"
            " (OTEL_BSP_MAX_QUEUE_SIZE)"
        ),
    )


def test_there_is_nothing_to_say_of_what_arrived() -> None:
    spans = Delivery("spans", "http://host:4318")
    spans.begin()
    spans.end(delivered=True)
    spans.reject(0, "do not use this version")
    assert sentences([spans]) == ()


def test_what_was_sent_as_the_time_was_up_was_not_waited_for() -> None:
    told = Delivery("spans", "http://127.0.0.1:4318")
    told.begin()
    told.sent()
    assert told.verdict == "the collector at http://127.0.0.1:4318 gave no answer"
