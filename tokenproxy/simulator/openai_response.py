"""One response of the Responses API: its object, its events, and what is sent of them.

Events are numbered from 0; the object and the terminal event state the usage.
Source: openai-python ``types/responses``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tokenproxy.simulator import openai_usage
from tokenproxy.simulator.messages import Json, Known, Message, Tokens, plain_id
from tokenproxy.simulator.openai_chat import CREATED, served_model
from tokenproxy.simulator.openai_items import item_events, items_of
from tokenproxy.simulator.reply import Piece, Request
from tokenproxy.simulator.wires import sse

TERMINAL = {"max_tokens": "incomplete", "failed": "failed"}
"""Stop reason -> status; any other is completed."""


FAILED = {"code": "server_error", "message": "The model failed."}


class Made(msgspec.Struct, frozen=True):
    """A response and all that can be sent of it."""

    final: Json
    events: tuple[Json, ...]
    tokens: Tokens

    @classmethod
    def of(cls, request: Request, message: Message) -> Made:
        """The response that says ``message``."""
        body = request.json
        tokens = msgspec.structs.replace(
            openai_usage.billed(message.top, request.target.flavour), model=served_model(request)
        )
        if body.get("generate") is False:
            tokens = msgspec.structs.replace(tokens, output=0, thinking=0)
        status = TERMINAL.get(message.stop_reason, "completed")
        items = [] if body.get("generate") is False else items_of(message)
        final: Json = {
            "id": plain_id("resp"),
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "background": body.get("background") is True,
            "completed_at": CREATED + 3,
            "error": FAILED if status == "failed" else None,
            "incomplete_details": {"reason": "max_output_tokens"}
            if status == "incomplete"
            else None,
            "instructions": None,
            "max_output_tokens": None,
            "model": tokens.model,
            "output": items,
            "parallel_tool_calls": True,
            "previous_response_id": body.get("previous_response_id"),
            "reasoning": {"effort": "medium", "summary": None},
            "service_tier": "default",
            "store": body.get("store", True),
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": None if status == "failed" else usage_of(tokens, request.target.flavour),
            "metadata": {},
        }
        events = tuple(_numbered(_events(final, pads=_pads(body))))
        return cls(final, events, tokens)

    @property
    def id(self) -> str:
        """The response's id."""
        return str(self.final["id"])

    def pending(self, status: str) -> Json:
        """The object before there is an answer."""
        return _pending(self.final, status)

    def pieces(self, events: Sequence[Json]) -> tuple[Piece, ...]:
        """``events`` as server-sent events."""
        return tuple(Piece(sse(event, event["type"]), known=self._known(event)) for event in events)

    def messages(self, body: Json) -> tuple[Piece, ...]:
        """The events as text messages, with the lane of the message that asked."""
        limits: Json = {
            "type": "codex.rate_limits",
            "plan_type": "plus",
            "rate_limits": {
                "allowed": True,
                "limit_reached": False,
                "primary": {"used_percent": 3, "window_minutes": 300, "reset_at": CREATED + 9000},
                "secondary": None,
            },
        }
        lane = lane_of(body)
        sent = [
            Piece(msgspec.json.encode(event | lane), known=self._known(event))
            for event in self.events
        ]
        return (*sent[:-1], Piece(msgspec.json.encode(limits)), sent[-1])

    def _known(self, event: Json) -> Known | None:
        states = isinstance(event.get("response"), dict) and event["response"]["usage"]
        return Known((self.tokens,), final=True) if states else None


def lane_of(body: Json) -> Json:
    """What a server's message echoes of the client's."""
    return {"stream_id": body["stream_id"]} if "stream_id" in body else {}


def usage_of(tokens: Tokens, flavour: str) -> Json:
    """The ``usage`` object: reasoning is always within ``output_tokens`` here."""
    usage: Json = {
        "input_tokens": tokens.all_input,
        "input_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write,
            "cache_write_tokens_details": {
                "ttl_30m_tokens": tokens.cache_write_30m,
                "ttl_12h_tokens": 0,
            },
        },
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.thinking or 0},
        "total_tokens": tokens.all_input + tokens.output,
    }
    if tokens.cost_usd is not None and flavour == "xai":
        usage["cost_in_usd_ticks"] = int(tokens.cost_usd / openai_usage.TICKS)
    elif tokens.cost_usd is not None and flavour == "openrouter":
        usage |= {"cost": float(tokens.cost_usd), "is_byok": False}
    return usage


def _events(final: Json, *, pads: bool) -> Iterator[Json]:
    yield {"type": "response.created", "response": _pending(final, "in_progress")}
    yield {"type": "response.in_progress", "response": _pending(final, "in_progress")}
    for index, item in enumerate(final["output"]):
        for at, event in enumerate(item_events(index, item)):
            if pads and str(event["type"]).endswith(".delta"):
                yield event | {"obfuscation": "x" * ((at * 5) % 13)}
            else:
                yield event
    yield {"type": f"response.{final['status']}", "response": final}


def _numbered(events: Iterator[Json]) -> Iterator[Json]:
    return (event | {"sequence_number": number} for number, event in enumerate(events))


def _pending(final: Json, status: str) -> Json:
    return final | {"status": status, "output": [], "usage": None, "completed_at": None}


def _pads(body: Json) -> bool:
    options = body.get("stream_options")
    return not (isinstance(options, dict) and options.get("include_obfuscation") is False)
