"""What an answer or a transcript of the Realtime API says when it is done.

The cache is a slice of the input, and so is each kind of token; what is cached of a
kind is told apart (``cached_tokens_details``). Where it is not, though something is
cached, how much of the uncached input is audio is not known: a note says so.
"""

from __future__ import annotations

from typing import Final

from tokenproxy.wire import notes
from tokenproxy.wire.openai.audio import AUDIO_FIELDS, take_usage
from tokenproxy.wire.openai.errors import IN_STREAM, error_word, is_error
from tokenproxy.wire.openai.media import MediaReading
from tokenproxy.wire.openai.merge import lookup
from tokenproxy.wire.openai.realtime_shapes import Event, Response, StatusDetails
from tokenproxy.wire.openai.responses_items import tool_use
from tokenproxy.wire.openai.usage import bill
from tokenproxy.wire.usage import Reading
from tokenproxy.wire.words import count, word

ROLE: Final = "transcription"

_FAILED: Final = "failed"


def read_answer(reading: Reading, response: Response) -> None:
    """Settle an answer by its ``response.done``."""
    media = MediaReading(reading)
    details = response.status_details or StatusDetails()
    reading.ended = True
    reading.response_id = word(response.id) or reading.response_id
    reading.stop_reason = word(details.reason) or word(response.status)
    reading.tool_uses = tuple(
        use for item in response.output or [] if (use := tool_use(item)) is not None
    )
    if response.status == _FAILED or is_error(details.error):
        reading.error = error_word(details.error, IN_STREAM).word
    usage = response.usage
    if usage is None:
        if reading.error is None:
            media.say(notes.USAGE_ABSENT)
        return
    media.keep(usage)
    media.add(bill(usage, AUDIO_FIELDS))
    cached = count(lookup(usage, ("input_token_details", "cached_tokens")))
    split = lookup(usage, ("input_token_details", "cached_tokens_details"))
    if cached and not isinstance(split, dict):
        media.say(notes.CACHE_KINDS_UNKNOWN)


def read_transcript(reading: Reading, event: Event) -> None:
    """Settle a transcript by its last event."""
    media = MediaReading(reading)
    reading.ended = True
    reading.response_id = word(event.item_id)
    if is_error(event.error):
        media.fail(event.error)
    elif event.usage is not None or not (event.type or "").endswith(_FAILED):
        take_usage(media, event.usage, role=ROLE)
    else:
        reading.error = IN_STREAM
