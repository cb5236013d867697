"""OpenAI's Realtime API: who asks, what is said, what it bills."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.dialogues import (
    COMMIT,
    CREATE,
    NO_TURNS,
    SHELL,
    SILENCE,
    SPEECH,
    TRANSCRIBED,
    TRANSCRIPT,
    append,
    is_done,
    is_over,
    is_written,
    say,
)
from tests.simulator.sockets import Client
from tokenproxy.simulator.server import Simulator

PATH = "/v1/realtime?model=gpt-realtime-2"


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


@pytest.mark.parametrize(
    ("path", "model", "provider"),
    [
        (PATH, "gpt-realtime-2", "openai"),
        ("/openai/realtime?api-version=1&deployment=prod", "prod", "azure.ai.openai"),
        ("/openai/v1/realtime?model=gpt-realtime-mini", "gpt-realtime-mini", "openai"),
        ("/v1/realtime", "gpt-realtime-2", "openai"),
    ],
)
def test_the_session_names_the_model_and_every_answer_bills_it(
    path: str, model: str, provider: str
) -> None:
    with Simulator("plain") as sim, Client(sim, path) as client:
        created = client.message()
        assert (created["type"], created["session"]["model"]) == ("session.created", model)
        client.send(say("hello"), CREATE)
        client.until(is_done)
        assert set(sim.billed_by_provider()) == {(provider, model)}


@pytest.mark.parametrize("boundaries", ["", "+random:3"])
@pytest.mark.parametrize("deflate", [False, True])
def test_an_answer_to_the_client(boundaries: str, deflate: bool) -> None:
    with Simulator("stream" + boundaries) as sim, Client(sim, PATH, deflate=deflate) as client:
        assert client.message()["type"] == "session.created"
        for _ in range(2):
            client.send(say("hello"))
            added = [client.message(), client.message()]
            assert types(added) == ["conversation.item.added", "conversation.item.done"]
            client.send(CREATE)
            first = client.until(is_done)
        assert types(first)[:5] == [
            "response.created", "rate_limits.updated", "response.output_item.added",
            "conversation.item.added", "response.content_part.added",
        ]  # fmt: skip
        assert {"response.output_audio.delta", "response.output_audio_transcript.delta"} < set(
            types(first)
        )
        response = first[-1]["response"]
        said = "".join(
            e["delta"] for e in first if e["type"] == "response.output_audio_transcript.delta"
        )
        assert response["output"][0]["content"][0]["transcript"] == said
        usage = response["usage"]
        details = usage["input_token_details"]
        assert usage["input_tokens"] == details["text_tokens"] + details["audio_tokens"] == 17_060
        cached = details["cached_tokens_details"]
        assert details["cached_tokens"] == cached["text_tokens"] + cached["audio_tokens"] == 15_000
        written = usage["output_token_details"]
        assert usage["output_tokens"] == written["text_tokens"] + written["audio_tokens"] == 547
        assert [call.ended for call in sim.calls] == ["complete", "complete"]
        assert sim.billed() == sim.known()
        assert sim.billed()["gpt-realtime-2"].output == 2 * 547


def test_an_answer_in_text() -> None:
    text = {"output_modalities": ["text"]}
    with Simulator("plain") as sim, Client(sim, PATH) as client:
        client.send(CREATE | {"response": text})
        events = client.until(is_done)
        assert "response.output_text.delta" in types(events)
        assert "response.output_audio.delta" not in types(events)
        assert events[-1]["response"]["usage"]["output_token_details"] == {
            "text_tokens": 42, "audio_tokens": 0,
        }  # fmt: skip


def test_the_server_answers_when_it_hears_speech_end() -> None:
    with Simulator("plain") as sim, Client(sim, PATH) as client:
        client.send(TRANSCRIBED, append(SILENCE), append(SPEECH), append(SPEECH), append(SILENCE))
        events = client.until(is_over, count=2)
        assert types(events)[:7] == [
            "session.created", "session.updated",
            "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed", "conversation.item.added", "conversation.item.done",
        ]  # fmt: skip
        (done,) = (event for event in events if is_done(event))
        (written,) = (event for event in events if is_written(event))
        assert written["item_id"] == events[4]["item_id"]
        assert written["usage"]["total_tokens"] == 17_060 + 42
        assert done["response"]["usage"]["total_tokens"] == 17_060 + 42
        assert set(sim.billed()) == {"gpt-realtime-2", "gpt-4o-transcribe"}
        assert sim.billed() == sim.known()


def test_without_turns_the_client_commits_and_asks() -> None:
    heard = {"input": {"transcription": {"model": "whisper-1"}}}
    whisper = {"type": "session.update", "session": {"audio": heard}}
    with Simulator("plain") as sim, Client(sim, PATH) as client:
        client.send(NO_TURNS, whisper, COMMIT)
        refused = client.until(lambda e: e["type"] == "error")[-1]
        assert refused["error"]["code"] == "input_audio_buffer_commit_empty"
        client.send(append(SPEECH), append(SILENCE), COMMIT)
        assert client.until(is_written)[-1]["usage"] == {"type": "duration", "seconds": 42}
        assert len(sim.calls) == 1
        client.send(CREATE)
        client.until(is_done)
        assert sim.billed()["whisper-1"].all_input == 0


def test_a_session_of_transcription_answers_nothing() -> None:
    with Simulator("plain") as sim, Client(sim, "/v1/realtime?intent=transcription") as client:
        client.send(append(SPEECH), append(SILENCE))
        client.until(is_written)
        client.send(CREATE)
        assert client.message()["error"]["code"] == "invalid_value"
        assert set(sim.billed()) == {"gpt-4o-transcribe"}


def test_what_is_not_understood_ends_nothing() -> None:
    with Simulator("plain") as sim, Client(sim, PATH) as client:
        client.send({"type": "astonishment", "event_id": "e1"}, CREATE)
        events = client.until(is_done)
        assert (events[1]["type"], events[1]["error"]["event_id"]) == ("error", "e1")
        assert len(sim.calls) == 1


def test_an_answer_beside_the_conversation_does_not_wait() -> None:
    beside = CREATE | {"response": {"conversation": "none"}}
    with Simulator("stream") as sim, Client(sim, PATH) as client:
        client.send(CREATE, beside)
        events = client.until(is_done, count=2)
        created = [at for at, event in enumerate(events) if event["type"] == "response.created"]
        assert created[1] < next(at for at, event in enumerate(events) if is_done(event))
        assert {event["response"]["conversation_id"] is None for event in events
                if is_done(event)} == {True, False}  # fmt: skip
        assert len(sim.calls) == 2


def test_the_scripted_model_calls_the_clients_tool_once() -> None:
    tools = {"type": "session.update", "session": {"tools": [SHELL]}}
    with Simulator("agent") as sim, Client(sim, PATH) as client:
        client.send(tools, say("USE_BASH[ls -l] please"), CREATE)
        (call,) = client.until(is_done)[-1]["response"]["output"]
        assert (call["name"], call["arguments"]) == ("bash", '{"command":"ls -l"}')
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "x"}
        client.send({"type": "conversation.item.create", "item": result}, CREATE)
        (said,) = client.until(is_done)[-1]["response"]["output"]
        assert said["content"][0]["transcript"] == "All done."


@pytest.mark.parametrize(
    ("scenario", "status", "why"),
    [
        ("max-tokens", "incomplete", "max_output_tokens"),
        ("refusal", "incomplete", "content_filter"),
    ],
)
def test_an_answer_that_stops_early_is_billed(scenario: str, status: str, why: str) -> None:
    with Simulator(scenario) as sim, Client(sim, PATH) as client:
        client.send(CREATE)
        response = client.until(is_done)[-1]["response"]
        assert (response["status"], response["status_details"]["reason"]) == (status, why)
        assert response["usage"]["total_tokens"] >= 17_060


@pytest.mark.parametrize(
    ("scenario", "events", "code"),
    [("rate-limited", 2, "rate_limit_exceeded"), ("error-mid-stream", 6, "overloaded")],
)
def test_an_answer_that_fails_is_done_all_the_same(scenario: str, events: int, code: str) -> None:
    with Simulator(scenario) as sim, Client(sim, PATH) as client:
        client.message()
        client.send(CREATE)
        said = client.until(is_done)
        assert len(said) == events
        response = said[-1]["response"]
        assert (response["status"], response["usage"]) == ("failed", None)
        assert response["status_details"]["error"]["code"] == code
        assert sim.billed() == sim.known() == {}


@pytest.mark.parametrize("scenario", ["rate-limited", "error-mid-stream"])
def test_a_transcript_that_fails(scenario: str) -> None:
    with Simulator(scenario) as sim, Client(sim, "/v1/realtime?intent=transcription") as client:
        client.send(append(SPEECH), append(SILENCE))
        failed = client.until(is_written)[-1]
        assert failed["type"] == f"{TRANSCRIPT}.failed"
        assert failed["error"]["message"]


@pytest.mark.parametrize(
    ("scenario", "status"), [("websocket-refused", 426), ("unauthorized", 401)]
)
def test_a_refused_upgrade(scenario: str, status: int) -> None:
    with Simulator(scenario) as sim, Client(sim, PATH) as client:
        assert client.status == status
        assert client.body()["error"]["message"]


@pytest.mark.parametrize("scenario", ["cut-fin", "cut-reset"])
def test_a_cut_connection_is_billed_in_full(scenario: str) -> None:
    with Simulator(scenario) as sim, Client(sim, PATH) as client:
        client.send(CREATE)
        try:
            while client.receive() is not None:
                pass
        except ConnectionResetError:
            assert scenario == "cut-reset"
        sim.settle()
        (call,) = sim.calls
        assert (call.ended, call.known) == ("cut", None)
        assert call.billed[0].output == 547
