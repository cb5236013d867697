"""Answers of collectors, held to Google's own encoder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tokenproxy.telemetry.otlp.protobuf import varint
from tokenproxy.telemetry.otlp.request import Rejected, rejected


@given(st.integers(0, 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_not_taken_is_read(count: int, reason: str) -> None:
    spans, points = ExportTraceServiceResponse(), ExportMetricsServiceResponse()
    spans.partial_success.rejected_spans = count
    spans.partial_success.error_message = reason
    points.partial_success.rejected_data_points = count
    points.partial_success.error_message = reason
    for answer in (spans, points):
        assert rejected(answer.SerializeToString()) == Rejected(count, reason)


@pytest.mark.parametrize("count", [-1, -3, -(2**63)])
def test_no_number_below_zero_is_not_taken(count: int) -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = count
    assert rejected(answer.SerializeToString()) == Rejected()


@pytest.mark.parametrize("answer", [b"", b"{}", b"<html>", b"\x0a", b"\x0a\x7f", b"\x0a\x00"])
def test_no_such_message_says_nothing(answer: bytes) -> None:
    assert rejected(answer) == Rejected()


@given(st.binary())
def test_anything_is_read(answer: bytes) -> None:
    found = rejected(answer)
    assert found.count >= 0
    assert isinstance(found.reason, str)


@given(st.integers(-(2**63), 2**64 - 1))
def test_a_number_is_written_in_groups_of_seven_bits(number: int) -> None:
    written = varint(number)
    read = sum((byte & 0x7F) << 7 * at for at, byte in enumerate(written))
    assert read == number % 2**64
    assert [byte >> 7 for byte in written] == [1] * (len(written) - 1) + [0]


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1])
def test_a_number_has_64_bits(number: int) -> None:
    with pytest.raises(OverflowError):
        varint(number)
