"""Forms that are too big to keep: their short fields stay, in any chunks."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.strategies import chunked, cuts
from tokenproxy.wire.bodyreader import BodyReader
from tokenproxy.wire.framing.form import LONGEST, FormPruner
from tokenproxy.wire.openai.form import form_fields


def part(name: str, value: bytes, more: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return b"--b0und\r\n" + head.encode() + value + b"\r\n"


def reduce(sent: bytes, places: list[int] | None = None, limit: int = 10_000) -> bytes:
    pruner = FormPruner(limit)
    for chunk in chunked(sent, places or []):
        pruner.feed(chunk)
    return pruner.take()


FILE = part("file", b'\x00"\r\n--b0un' * LONGEST, '; filename="a.wav"')
END = b"--b0und--\r\n"


def test_files_are_left_out_and_fields_stay() -> None:
    sent = part("model", b"m") + FILE + part("stream", b"true") + END
    assert reduce(sent) == part("model", b"m") + part("stream", b"true") + END


def test_what_is_cut_stays_cut() -> None:
    assert reduce(part("model", b"m") + FILE[:-9]) == part("model", b"m")
    assert reduce(part("model", b"m")[:-4]) == part("model", b"m")[:-4]


@pytest.mark.parametrize("sent", [b"--" + b"x" * 300, part("a", b"x" * 100) * 101])
def test_what_is_too_much_is_given_up(sent: bytes) -> None:
    pruner = FormPruner(10_000)
    pruner.feed(sent)
    pruner.feed(END)
    assert (pruner.too_large, pruner.take()) == (True, b"")


PARTS = st.sampled_from([part("model", b"m"), FILE, part("a", b"\r\n--b0"), b"\r\n", b"--b0", b"x"])


@given(parts=st.lists(PARTS, max_size=6), draw=st.data())
def test_any_chunking_leaves_the_same(parts: list[bytes], draw: st.DataObject) -> None:
    sent = b"--b0und\r\n" + b"".join(parts)
    assert reduce(sent, draw.draw(cuts(len(sent)))) == reduce(sent)


@given(sent=st.binary(max_size=99), draw=st.data())
def test_garbage_never_raises(sent: bytes, draw: st.DataObject) -> None:
    sent = b"--" + sent
    assert reduce(sent, draw.draw(cuts(len(sent)))) == reduce(sent)


@pytest.mark.parametrize("first", [True, False])
def test_an_upload_is_read_in_little_memory(*, first: bool) -> None:
    """25 MB, the most that the API takes, with the model before the sound or behind it."""
    fields = part("model", b"whisper-1")
    head = b'--b0und\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    sound = bytes(range(256)) * 4096
    reader = BodyReader()
    tracemalloc.start()
    reader.feed(fields + head if first else head)
    for _ in range(25):
        reader.feed(sound)
    reader.feed(b"\r\n" + (b"" if first else fields) + END)
    body = reader.take()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert form_fields(body or b"", ("model",)) == {"model": "whisper-1"}
    assert peak < 6_000_000
