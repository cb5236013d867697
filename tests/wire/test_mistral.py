from __future__ import annotations

from typing import Any

import pytest

from tests.wire.fixtures.mistral import CONVERSATION, MEDIUM, named
from tests.wire.fixtures.openai_chat import completion, read_json, read_stream, usage
from tokenproxy.wire.usage import UsagePart

STARTED = named("conversation.response.started", conversation_id=CONVERSATION)
DELTA = named("message.output.delta", id="msg_1", model=MEDIUM, content="Hel")


@pytest.mark.parametrize(
    ("total", "uncached"),
    [(399, 190), (304, 95)],
)
def test_connector_tokens_are_input_where_the_total_has_them(total: int, uncached: int) -> None:
    stated = usage(95, 209, total=total, connector_tokens=95, connectors=None)
    reading = read_json(completion(stated), "mistral.chat")
    assert reading.parts == (UsagePart(uncached_input_tokens=uncached, output_tokens=209),)
    assert (reading.completeness, reading.notes) == ("final", ())


def test_a_conversation_is_named_by_itself_and_not_by_its_entries() -> None:
    reading = read_stream(STARTED + DELTA, "mistral.chat")
    assert (reading.response_id, reading.model) == (CONVERSATION, MEDIUM)
    assert reading.content_started
    assert not reading.ended


def test_a_conversation_ends_by_its_own_word() -> None:
    done = named("conversation.response.done", usage=usage(95, 209))
    reading = read_stream(STARTED + DELTA + done, "mistral.chat")
    assert (reading.ended, reading.completeness) == (True, "final")
    reading = read_stream(STARTED + DELTA, "mistral.chat")
    assert (reading.ended, reading.answered, reading.notes) == (False, False, ())


@pytest.mark.parametrize(("code", "word"), [(429, "rate_limit_error"), (3051, "server_error")])
def test_a_conversation_that_fails(code: int, word: str) -> None:
    failed = named("conversation.response.error", code=code, message="Oh.")
    reading = read_stream(STARTED + DELTA + failed, "mistral.chat")
    assert (reading.error, reading.ended) == (word, False)


def test_an_entry_that_is_no_call_is_none() -> None:
    body: dict[str, Any] = {
        "conversation_id": CONVERSATION,
        "outputs": [{"type": "tool.execution", "name": "web_search", "tool_call_id": "x"}],
        "usage": usage(1, 1),
    }
    assert read_json(body, "mistral.chat").tool_uses == ()
