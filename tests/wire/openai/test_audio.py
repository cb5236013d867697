"""Audio: transcripts and speech, as text, as sound and as streams."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.fixtures.openai_audio import MINUTE, SPEAKER, SPOKEN, TOKENS, transcript
from tests.wire.fixtures.openai_images import form
from tests.wire.fixtures.openai_responses import SSE, event
from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire import notes
from tokenproxy.wire.dialect import Head, ResponseParser
from tokenproxy.wire.openai.audio import AUDIO
from tokenproxy.wire.usage import Reading, RequestFacts

STREAMED = SSE["content-type"]


def open_parser(
    content_type: str = "application/json", operation: str = "transcription", status: int = 200
) -> ResponseParser:
    return AUDIO.open_response(Head(status=status, content_type=content_type, operation=operation))


def read(
    sent: bytes, content_type: str = "application/json", operation: str = "transcription",
    status: int = 200,
) -> Reading:  # fmt: skip
    parser = open_parser(content_type, operation, status)
    parser.feed(sent)
    parser.close()
    parser.close()
    return parser.reading


@pytest.mark.parametrize(
    "content_type",
    ["audio/mpeg", "audio/wav", "application/octet-stream", "text/plain", "text/vtt; charset=utf-8",
     "application/x-subrip"],
)  # fmt: skip
def test_sound_and_plain_text_end_well_without_usage(content_type: str) -> None:
    parser = open_parser(content_type)
    assert parser.feed(b"data: {\x00\xff") is False
    assert parser.reading.content_started is True
    parser.close()
    parser.close()
    assert parser.reading == Reading(
        ended=True, content_started=True, notes=(notes.USAGE_NOT_OFFERED,)
    )
    assert parser.take_items() == []


@pytest.mark.parametrize("usage", [MINUTE, {"seconds": 3}, {"type": "duration"}])
def test_what_is_billed_by_duration_has_no_tokens(usage: dict[str, object]) -> None:
    reading = read(transcript(usage))
    assert (reading.parts, reading.completeness, reading.usage) == ((), "none", [usage])
    assert (reading.ended, reading.notes) == (True, (notes.BILLED_BY_DURATION,))


@pytest.mark.parametrize("usage", [None, {}, {"type": "tokens"}])
def test_a_transcript_without_counts_says_so(usage: dict[str, object] | None) -> None:
    assert read(transcript(usage)).notes == (notes.USAGE_ABSENT,)


def test_a_streamed_transcript() -> None:
    parser = open_parser(STREAMED)
    parser.feed(event("transcript.text.delta", delta="Hel"))
    assert (parser.reading.content_started, parser.reading.ended) == (True, False)
    assert parser.feed(event("transcript.text.done", text="Hello.", usage=TOKENS)) is True
    parser.close()
    assert (parser.reading.ended, parser.reading.completeness) == (True, "final")
    assert parser.reading.parts[0].modality_tokens == {"input_audio": 128}


def test_speech_is_all_audio_unless_it_says_otherwise() -> None:
    sent = event("speech.audio.done", usage=SPOKEN)
    assert read(sent, STREAMED, "speech").parts[0].modality_tokens == {"output_audio": 100}
    split = {**SPOKEN, "output_token_details": {"audio_tokens": 90, "text_tokens": 10}}
    sent = event("speech.audio.done", usage=split)
    assert read(sent, STREAMED, "speech").parts[0].modality_tokens == {"output_audio": 90}


def test_errors() -> None:
    error = {"type": "invalid_request_error", "code": "bad_audio"}
    streamed = read(event("error", error=error), STREAMED)
    assert (streamed.error, streamed.ended) == ("invalid_request_error", False)
    nameless = read(b"data: " + json.dumps({"error": error}).encode() + b"\n\n", STREAMED)
    assert (nameless.error, nameless.ended) == (streamed.error, False)
    whole = read(json.dumps({"error": error}).encode())
    assert (whole.error, whole.ended) == ("invalid_request_error", True)
    assert read(b"ID3", "audio/mpeg", "speech", 500).error == "server_error"


def test_an_event_that_cannot_be_read() -> None:
    reading = read(b"event: transcript.text.done\ndata: {oops\n\n", STREAMED)
    assert (reading.ended, reading.notes) == (
        True, (notes.EVENT_UNREADABLE, notes.USAGE_ABSENT),
    )  # fmt: skip
    assert read(b"event: transcript.text.done\ndata: {oops", STREAMED) == Reading(
        content_started=True
    )


@pytest.mark.parametrize(("sent", "said"), [(b"", ()), (b"no", (notes.BODY_UNREADABLE,))])
def test_what_is_no_answer(sent: bytes, said: tuple[str, ...]) -> None:
    assert (read(sent).ended, read(sent).notes) == (False, said)


def test_requests_are_json_or_forms() -> None:
    spoken = {"model": SPEAKER, "input": "Hello."}
    facts = AUDIO.read_request(json.dumps(spoken).encode())
    assert facts == RequestFacts(model=SPEAKER, prompt_digest=facts.prompt_digest)
    for stream_format, stream in (("sse", True), ("audio", False)):
        asked = json.dumps({**spoken, "stream_format": stream_format}).encode()
        assert AUDIO.read_request(asked).stream is stream
    sent = form(("language", "de"), ("model", "whisper-1"), ("stream", "maybe"))
    assert AUDIO.read_request(sent) == RequestFacts(model="whisper-1")


@given(
    sent=garbage(),
    before=st.sampled_from([b"", transcript(TOKENS), event("transcript.text.done", usage=TOKENS)]),
    content_type=st.sampled_from(["", STREAMED, "application/json", "audio/mpeg"]),
    operation=st.sampled_from(["transcription", "speech"]),
    status=st.sampled_from([200, 400]), draw=st.data(),
)  # fmt: skip
def test_garbage_never_raises_in_any_chunks(
    *, sent: bytes, before: bytes, content_type: str, operation: str, status: int,
    draw: st.DataObject,
) -> None:  # fmt: skip
    sent = before + sent
    parser = open_parser(content_type, operation, status)
    for chunk in chunked(sent, draw.draw(cuts(len(sent)))):
        parser.feed(chunk)
    parser.close()
    assert parser.reading == read(sent, content_type, operation, status)
    stored = msgspec.json.encode(parser.reading)
    assert msgspec.json.decode(stored, type=Reading) == parser.reading
