"""The conditions of the tables as code: True, False, or None where nothing tells.

``general.toml`` has each in the specification's words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.telemetry.receiver import Span


@dataclass(frozen=True)
class Evidence:
    """What is known of a span from elsewhere."""

    span: Span
    row: dict[str, Any] | None = None
    """The ledger's row of the same call."""
    asked: frozenset[str] | None = None
    """Attributes that the request asked for; None if nobody wrote that down."""
    streaming: bool | None = None
    """Whether the request asked for a stream, likewise."""

    @property
    def said(self) -> dict[str, Any]:
        return self.span.attributes


@dataclass(frozen=True)
class Question:
    """One attribute of one span."""

    attribute: str
    evidence: Evidence
    cut_is_error: bool = field(default=False)
    """Whether the dialect wants ``error`` where a reason is missing."""


Condition = Callable[[Question], bool | None]


def _row(key: str, *, final: bool = False) -> Condition:
    def condition(question: Question) -> bool | None:
        row = question.evidence.row
        if row is None:
            return None
        return row.get(key) is not None and (not final or row["completeness"] == "final")

    return condition


def _said(name: str) -> Condition:
    return lambda question: name in question.evidence.said


def _failed(question: Question) -> bool | None:
    row, said = question.evidence.row, question.evidence.said
    if row is not None:
        return not row["success"]
    if said.get("tokenproxy.span.role") == "iteration":
        return bool(said.get("tokenproxy.exit_status"))
    status = said.get("http.response.status_code")
    return status >= 400 if isinstance(status, int) else None


def _asked(question: Question) -> bool | None:
    asked = question.evidence.asked
    return None if asked is None else question.attribute in asked


def _streaming(question: Question) -> bool | None:
    row = question.evidence.row
    if row is not None and row.get("stream"):
        return True
    return question.evidence.streaming


def _stopped(question: Question) -> bool | None:
    row = question.evidence.row
    if row is None:
        return None
    if row["completeness"] == "final" and row.get("stop_reason"):
        return True
    return bool(question.cut_is_error and row.get("response_id") and row["outcome"] != "complete")


def _first_chunk(question: Question) -> bool | None:
    row = question.evidence.row
    if row is None or row.get("ttft_ms") is None:
        return None if row is None else False
    return bool(row.get("stream")) or question.evidence.streaming


def _responded(question: Question) -> bool | None:
    return _row("status_code")(question)


def _retried(question: Question) -> bool | None:
    row = question.evidence.row
    return None if row is None else bool(row.get("attempt"))


def _api_typed(question: Question) -> bool | None:
    row = question.evidence.row
    return None if row is None else row["operation"] in ("chat", "responses", "compact")


def _named(question: Question) -> bool | None:
    said = question.evidence.said
    role = said.get("tokenproxy.span.role")
    return role != "agent" or "tokenproxy.agent.type" in said


def _identified(question: Question) -> bool | None:
    return question.evidence.said.get("tokenproxy.span.role") == "agent"


CONDITIONS: dict[str, Condition] = {
    "always": lambda _: True,
    "never": lambda _: False,
    "unusual_port": lambda _: None,
    "failed": _failed,
    "session": _row("session_id"),
    "asked": _asked,
    "model_asked": _row("requested_model"),
    "streaming": _streaming,
    "addressed": _said("server.address"),
    "stopped": _stopped,
    "answered_id": _row("response_id"),
    "answered_model": lambda _: None,
    "first_chunk": _first_chunk,
    "input_counted": _row("input_tokens"),
    "output_counted": _row("output_tokens", final=True),
    "cache_read": _row("cache_read_input_tokens"),
    "cache_written": _row("cache_creation_input_tokens"),
    "reasoned": _row("reasoning_output_tokens", final=True),
    "compacted": _said("tokenproxy.context_compacted"),
    "tier_stated": _row("service_tier"),
    "api_typed": _api_typed,
    "agent_named": _named,
    "agent_identified": _identified,
    "agent_executes": lambda _: None,
    "responded": _responded,
    "retried": _retried,
}
