"""The Responses API over one WebSocket: which message belongs to which of its calls.

The rules (SDK, ``responses_client_event`` and ``responses_server_event``):

* The client's ``response.create`` asks for a response; ``generate: false`` for one
  without output, which is a call all the same. Other messages of the client ask
  for none (``response.steer``, Codex's ``response.processed``).
* The provider's messages are the events of the stream. Those of a call that was
  asked for with a ``stream_id`` repeat it: they are a lane of their own, and lanes
  are interleaved. All calls without one share a lane.
* Within a lane calls are answered in order: ``response.created`` is the next one's.
  From then on ``response.id`` names the call; events without it (items, deltas)
  belong to the lane's last.
* After ``response.incomplete`` for the reason ``steered`` the next response of the
  lane is a successor, which nobody asks for by a message, and so is any that is
  created while the lane waits for none. It inherits its predecessor's settings.
  A ``response.steer.failed`` calls the successor off.
* ``error`` with an HTTP status refuses what was asked and not yet begun; without one it
  comes out of the running response. Either ends that call.
* Codex's backend ends a response with ``response.done``, instead of the event that says
  how or behind it; it may leave its id out.
* ``codex.rate_limits`` and whatever else is no event of a response belong to no call.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from tokenproxy.wire.dialect import SocketNews
from tokenproxy.wire.openai.responses_reading import DONE, ENDS, OPENAI, Accent, ResponseReading
from tokenproxy.wire.openai.responses_request import facts_of
from tokenproxy.wire.openai.responses_shapes import EVENT, REQUEST, Event
from tokenproxy.wire.openai.responses_stream import READ, SKIPPED, is_content
from tokenproxy.wire.usage import Reading, RequestFacts
from tokenproxy.wire.words import MAX_WORD, word

_ASKS: Final = "response.create"
_CREATED: Final = "response.created"
_BEGINS: Final = frozenset({_CREATED, "response.queued", "response.in_progress"})
_STEER_FAILED: Final = "response.steer.failed"
_STEERED: Final = "steered"

_OUTPUT: Final = frozenset(name.decode() for name in SKIPPED)
"""Types of messages that tell nothing but that a response goes on."""

_ERRORS: Final = range(400, 600)
"""HTTP statuses that tell an error."""

_REMEMBERED: Final = 64
"""Ended responses whose late messages are known for what they are."""

_MAX_LANES: Final = 256
"""Idle lanes beyond these are forgotten; only what a successor would inherit is lost."""


class _Call:
    """A call that is under way."""

    def __init__(self, key: str, lane: _Lane, request: RequestFacts, accent: Accent) -> None:
        self.key = key
        self.lane = lane
        self.request = request
        self.response = ResponseReading(accent=accent)
        self.goes_on = SocketNews(key=key, event="progressed", reading=self.reading)
        """News of a message that tells nothing else."""
        self.identity: str | None = None
        """The provider's id of its response, once it has begun."""

    @property
    def reading(self) -> Reading:
        return self.response.reading


class _Lane:
    """What is under way on one lane."""

    def __init__(self) -> None:
        self.asked: deque[_Call] = deque()
        """Calls whose response has not begun."""
        self.running: _Call | None = None
        """The last whose response has, until it ends."""
        self.settings = RequestFacts(stream=True)
        """Of the last call, for a successor."""
        self.steered = False
        """The next response that begins is a successor."""

    @property
    def idle(self) -> bool:
        return not (self.asked or self.running or self.steered)


class ResponsesSocket:
    """Reads the messages of one connection."""

    def __init__(self, accent: Accent = OPENAI) -> None:
        self._accent = accent
        self._lanes: dict[str | None, _Lane] = {}
        self._open: dict[str, _Call] = {}
        """Calls under way by their keys, in the order in which they began."""
        self._by_identity: dict[str, _Call] = {}
        self._over: deque[str] = deque(maxlen=_REMEMBERED)
        """Responses that have ended: an error may be followed by ``response.failed``."""
        self._calls = 0

    def client_message(self, message: bytes) -> SocketNews | None:
        """Take a whole message from the client; news only if it asks for a response."""
        request = REQUEST.decode(message)
        if request is None or request.type != _ASKS:
            return None
        lane = self._lane(request.stream_id)
        lane.settings = msgspec.structs.replace(facts_of(request), stream=True)
        call = self._call(lane, lane.settings)
        lane.asked.append(call)
        return SocketNews(key=call.key, event="begun", request=call.request, reading=call.reading)

    def server_message(self, message: bytes) -> SocketNews | None:
        """Take a whole message from the provider."""
        event = EVENT.decode(message)
        kind = event.type if event is not None else None
        if event is None or kind is None:
            return None
        names = event.response or event.response_id or event.stream_id
        if kind in _OUTPUT and names is None:
            return self._goes_on()
        known = len(self._open)
        call = self._find(kind, event)
        if call is None:
            return None
        begun = len(self._open) > known
        name = kind.encode(errors="replace")
        if is_content(name):
            call.reading.content_started = True
        changed = name in READ and call.response.event(kind, event)
        news = SocketNews(
            key=call.key,
            event="begun" if begun else "progressed",
            request=call.request if begun else None,
            reading=call.reading,
            changed=changed or begun,
        )
        if kind in ENDS or kind == "error":
            self._end(call)
            news.event = "ended"
            news.error_status = _error_status(event)
        return news

    def _goes_on(self) -> SocketNews | None:
        """What most messages are: output of the response that runs outside of named lanes."""
        lane = self._lanes.get(None)
        if lane is None or lane.running is None:
            return None
        lane.running.reading.content_started = True
        return lane.running.goes_on

    def close(self) -> list[SocketNews]:
        """The connection is over: the calls that it leaves unended."""
        left = list(self._open.values())
        for call in left:
            call.response.cut()
        self._open.clear()
        self._by_identity.clear()
        self._lanes.clear()
        return [SocketNews(key=call.key, event="ended", reading=call.reading) for call in left]

    def _find(self, kind: str, event: Event) -> _Call | None:
        """The call that an event belongs to; it may begin with it."""
        lane = self._lanes.get(_lane_key(event.stream_id))
        if kind == "error":
            return None if lane is None else _refused(lane, _error_status(event))
        if lane is not None and kind == _STEER_FAILED:
            lane.steered = False
        response_id = event.response.id if event.response is not None else event.response_id
        identity = word(response_id)
        known = self._by_identity.get(identity or "")
        if known is not None or (identity in self._over and kind != _CREATED):
            return known
        if kind in _BEGINS:
            return self._begin(self._lane(event.stream_id), identity)
        ends = kind in ENDS and (kind != DONE or identity is not None)
        if lane is not None and ends and lane.asked and not _awaits(lane, identity):
            return self._begin(lane, identity)
        return lane.running if lane is not None and _awaits(lane, identity) else None

    def _begin(self, lane: _Lane, identity: str | None) -> _Call:
        """The lane's next call, whose response begins."""
        if lane.asked and not lane.steered:
            call = lane.asked.popleft()
        else:
            inherited = msgspec.structs.replace(lane.settings, tool_results=(), prompt_digest=None)
            call = self._call(lane, inherited)
        lane.steered = False
        lane.running = call
        call.identity = identity
        if identity is not None:
            self._by_identity[identity] = call
        return call

    def _call(self, lane: _Lane, request: RequestFacts) -> _Call:
        self._calls += 1
        call = _Call(str(self._calls), lane, request, self._accent)
        self._open[call.key] = call
        return call

    def _end(self, call: _Call) -> None:
        self._open.pop(call.key, None)
        if call.identity is not None:
            self._by_identity.pop(call.identity, None)
            self._over.append(call.identity)
        if call.lane.running is call:
            call.lane.running = None
            call.lane.steered = call.reading.stop_reason == _STEERED

    def _lane(self, stream_id: str | None) -> _Lane:
        key = _lane_key(stream_id)
        if key not in self._lanes:
            if len(self._lanes) >= _MAX_LANES:
                self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.idle}
            self._lanes[key] = _Lane()
        return self._lanes[key]


def _lane_key(stream_id: str | None) -> str | None:
    return None if stream_id is None else stream_id[:MAX_WORD]


def _awaits(lane: _Lane, identity: str | None) -> bool:
    """Whether an event of that response, or of no stated one, may be the running call's."""
    running = lane.running
    return running is not None and (identity is None or running.identity is None)


def _refused(lane: _Lane, status: int | None) -> _Call | None:
    """The call that an error ends."""
    if lane.asked and (status is not None or lane.running is None):
        return lane.asked.popleft()
    return lane.running


def _error_status(event: Event) -> int | None:
    status = event.status if event.status is not None else event.status_code
    return status if status in _ERRORS else None
