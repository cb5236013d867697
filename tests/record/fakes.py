"""A dialect and a sink to test with."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row
from tokenproxy.wire.dialect import Dialect, Head, ResponseParser
from tokenproxy.wire.usage import RequestFacts, ResponseFacts


class FakeDialect:
    """Its requests are the facts themselves, as JSON."""

    name = "fake"

    def read_request(self, body: bytes) -> RequestFacts:
        return RequestFacts(**json.loads(body))

    def read_response_headers(self, headers: Mapping[str, str]) -> ResponseFacts:
        raise NotImplementedError

    def open_response(self, head: Head) -> ResponseParser:
        raise NotImplementedError


def fake_dialect(_: str) -> Dialect:
    return FakeDialect()


class Remembering:
    """A sink that keeps what it is told."""

    def __init__(self, *sentences: str) -> None:
        self.told: list[tuple[Call, Row | None]] = []
        self.ends: list[IterationEnd | None] = []
        self.unread: list[tuple[str, str]] = []
        self.runs: list[str] = []
        """Whose recovered calls it was told of."""
        self.over: list[set[str]] = []
        """Of each recovery, which runs are over."""
        self.earlier: list[Row] = []
        """Rows of its own run that it was told of as of a resumed one."""
        self.sentences = sentences

    def call(self, call: Call, row: Row | None) -> None:
        self.told.append((call, row))

    def recovered(self, run: RunContext, call: Call, row: Row) -> None:
        self.told.append((call, row))
        self.runs.append(run.run_id)

    def recovery_done(self, over: Collection[str]) -> None:
        self.over.append(set(over))

    def resumed(self, rows: Sequence[Row]) -> None:
        self.earlier += rows

    def passed(self, provider: str, server_address: str) -> None:
        self.unread.append((provider, server_address))

    def finish(self, end: IterationEnd | None) -> tuple[str, ...]:
        self.ends.append(end)
        return self.sentences

    @property
    def rows(self) -> list[Row]:
        return [row for _, row in self.told if row is not None]
