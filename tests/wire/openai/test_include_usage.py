from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.strategies import chunked, cuts, garbage
from tokenproxy.wire.openai.include_usage import ExtraChunkRemover, ask_for_usage

TEXT = b'data: {"id":"c","choices":[{"delta":{"content":"usage"}}],"usage":null}\n\n'
EXTRA = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
FILTER = b'data: {"id":"","choices":[],"prompt_filter_results":[]}\n\n'
LAST = b'data: {"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (b'{"stream":true}', b'{"stream":true,"stream_options":{"include_usage":true}}'),
        (
            b'{"a": [1.50, "\\u00e9"], "stream": true}',
            b'{"a":[1.50, "\\u00e9"],"stream":true,"stream_options":{"include_usage":true}}',
        ),
        (
            b'{"stream":true,"stream_options":{"include_obfuscation":false},"z":1}',
            (
                b'{"stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true}'
                b',"z":1}'
            ),
        ),
        (b'{"stream":true,"stream_options":{"include_usage":false}}', None),
        (b'{"stream":true,"stream_options":{"include_usage":true}}', None),
        (b'{"stream":true,"stream_options":null}', None),
        (b'{"stream":false}', None),
        (b"{}", None),
        (b"[]", None),
        (b"\xff", None),
        (b"", None),
    ],
)
def test_only_what_the_client_left_open_is_asked_for(body: bytes, asked: bytes | None) -> None:
    assert ask_for_usage(body) == asked


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.lists(st.floats(0, 9)))))
def test_all_else_stays(body: dict[str, object]) -> None:
    body = {**body, "stream": True}
    body.pop("stream_options", None)
    asked = ask_for_usage(json.dumps(body).encode())
    assert asked is not None
    assert json.loads(asked) == {**body, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@given(data=st.data())
def test_the_extra_chunk_is_taken_out(line_end: bytes, data: st.DataObject) -> None:
    body = (FILTER + TEXT + LAST + EXTRA + DONE + b"data: cut").replace(b"\n", line_end)
    remover = ExtraChunkRemover()
    passed = b"".join(map(remover.feed, chunked(body, data.draw(cuts(len(body))))))
    passed += remover.close()
    assert passed == body.replace(EXTRA.replace(b"\n", line_end), b"")


def test_an_event_passes_with_its_last_byte() -> None:
    remover = ExtraChunkRemover()
    assert remover.feed(TEXT[:-1]) == b""
    assert remover.feed(TEXT[-1:]) == TEXT


@given(body=garbage(), data=st.data())
def test_what_is_no_event_passes(body: bytes, data: st.DataObject) -> None:
    remover = ExtraChunkRemover()
    passed = b"".join(map(remover.feed, chunked(body, data.draw(cuts(len(body))))))
    assert passed + remover.close() == body


def test_a_huge_event_is_not_held_back() -> None:
    remover = ExtraChunkRemover()
    huge = b"data: " + b"x" * 2_000_000
    assert remover.feed(huge) == huge
    assert remover.feed(b"y\n\n" + EXTRA + DONE) == b"y\n\n" + DONE
