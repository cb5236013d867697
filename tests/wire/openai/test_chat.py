from __future__ import annotations

import pytest

from tests.wire.fixtures.openai_chat import completion, open_parser, read_json, run, text, usage
from tokenproxy.wire.openai import CHAT, EMBEDDINGS
from tokenproxy.wire.openai.errors import ErrorParser
from tokenproxy.wire.routes import dialect


@pytest.mark.parametrize(
    "name",
    [
        "openai.chat",
        "openai.embeddings",
        "deepseek.chat",
        "mistral.chat",
        "xai.chat",
        "groq.chat",
        "openrouter.chat",
        "perplexity.chat",
    ],
)
def test_each_is_found_by_its_name(name: str) -> None:
    assert dialect(name).name == name
    assert dialect(name).read_request(b'{"model":"m"}').model == "m"
    assert dialect(name).read_response_headers({"x-request-id": "r"}).request_id == "r"


def test_its_own_names() -> None:
    assert (CHAT.name, EMBEDDINGS.name) == ("openai.chat", "openai.embeddings")


def test_a_failed_response_is_an_error_whatever_it_calls_itself() -> None:
    assert isinstance(open_parser(status=500), ErrorParser)
    reading = run(open_parser(status=400), b'{"error":{"type":"x_error"}}')
    assert reading.error == "x_error"


def test_a_document_that_calls_itself_a_stream() -> None:
    reading = run(open_parser(), completion(usage(20, 7)))
    assert reading.completeness == "final"
    assert not reading.content_started


def test_a_comment_first_is_a_stream() -> None:
    reading = run(open_parser(), b": hello\n\n" + text("a"))
    assert reading.content_started


def test_blank_lines_before_a_document() -> None:
    assert read_json(b"\n\n" + completion(usage(20, 7))).completeness == "final"
