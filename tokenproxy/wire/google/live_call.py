"""One generation of a Live session, gathered message by message."""

from __future__ import annotations

from typing import Literal

from tokenproxy.wire.dialect import SocketNews
from tokenproxy.wire.google.live_shapes import ServerMessage
from tokenproxy.wire.google.reading import ContentReading
from tokenproxy.wire.google.shapes import Candidate, Chunk
from tokenproxy.wire.google.usage import Names
from tokenproxy.wire.usage import Reading, RequestFacts

NAMES = Names(
    output=("responseTokenCount", "candidatesTokenCount"),
    output_details=("responseTokensDetails", "candidatesTokensDetails"),
)
"""The Live API's words for its counts."""


class LiveCall:
    """What is known of one generation."""

    def __init__(self, key: str, request: RequestFacts) -> None:
        self.request = request
        self.reading = Reading()
        self._key = key
        self._content = ContentReading(self.reading, names=NAMES)
        self._metered = False

    @property
    def over(self) -> bool:
        """Whether nothing of it is to come."""
        return self.reading.ended and self._metered

    def take(self, message: ServerMessage) -> bool:
        """Take a message from the provider. True if the usage changed."""
        content = message.server_content
        candidate = Candidate()
        if content is not None:
            candidate = Candidate(
                content=content.model_turn,
                finish_reason=content.turn_complete_reason,
                grounding_metadata=content.grounding_metadata,
            )
        spoken = content is not None and content.output_transcription is not None
        if spoken or message.tool_call is not None:
            self.reading.content_started = True
        calls = message.tool_call.function_calls if message.tool_call is not None else None
        self._content.add_tool_uses(calls or [])
        if message.tool_call is not None or (content is not None and content.turn_complete):
            self.reading.ended = True
        self._metered = self._metered or message.usage_metadata is not None
        return self._content.take(
            Chunk(
                candidates=[candidate], usage_metadata=message.usage_metadata, error=message.error
            )
        )

    def news(
        self,
        event: Literal["begun", "progressed", "ended"],
        request: RequestFacts | None = None,
        *,
        changed: bool = False,
        error_status: int | None = None,
    ) -> SocketNews:
        """What a message means for it."""
        return SocketNews(
            key=self._key,
            event=event,
            request=request,
            reading=self.reading,
            changed=changed,
            error_status=error_status,
        )
