"""Where a ledger is shipped to, and what of the environment cannot be followed there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.telemetry.test_ship import ROWS, entries
from tokenproxy.telemetry.otlp.outlet import OtlpOutlet
from tokenproxy.telemetry.outlet import (
    CannotShipError,
    NotDeliveredError,
    address,
    open_outlet,
    sender_id,
)
from tokenproxy.telemetry.sdk.outlet import SdkOutlet
from tokenproxy.telemetry.ship import Shipment

HERE = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("env", "way"),
    [
        ({}, OtlpOutlet),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, SdkOutlet),
        ({"OTEL_TRACES_EXPORTER": "console"}, SdkOutlet),
        ({"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "10"}, SdkOutlet),
    ],
)
def test_the_sdk_does_what_we_do_not(env: dict[str, str], way: type[object]) -> None:
    outlet = open_outlet({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, **env}, ["traces"], "me")
    assert isinstance(outlet, way)
    assert address(outlet) == ("stderr" if "OTEL_TRACES_EXPORTER" in env else HERE)
    assert outlet.spans is not None
    assert outlet.meter is None
    outlet.close()


def test_a_file_that_is_not_there_is_said() -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere",
    }
    with pytest.raises(CannotShipError, match="traces cannot be sent: /nowhere: No such file"):
        open_outlet(env, ["traces"], "me")


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({}, "set OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED is true"),
        ({"OTEL_TRACES_EXPORTER": "none"}, "OTEL_TRACES_EXPORTER is none"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "names 'zipkin', which is not supported"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
            },
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'http/json'",
        ),
    ],
)
def test_an_environment_that_cannot_be_followed(env: dict[str, str], sentence: str) -> None:
    with pytest.raises(CannotShipError, match=sentence):
        open_outlet(env, ["traces"], "me")


def test_totals_of_the_past_cannot_be_had() -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "cumulative",
    }
    open_outlet(env, ["traces"], "me").close()
    with pytest.raises(CannotShipError, match="sent as deltas"):
        open_outlet(env, ["metrics"], "me")


def test_a_collector_that_is_not_there_is_named() -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:secret@127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "300",
    }
    shipment = Shipment(env, open_outlet(env, ["traces"], "me"))
    with pytest.raises(NotDeliveredError) as refused:
        shipment.send(entries(ROWS))
    assert (
        str(refused.value)
        == "the collector at http://127.0.0.1:1 did not answer (Connection refused)"
    )


def test_a_ledger_is_one_sender(tmp_path: Path) -> None:
    one = sender_id(tmp_path / "a")
    assert one == sender_id(tmp_path / "." / "a")
    assert one != sender_id(tmp_path / "b")
