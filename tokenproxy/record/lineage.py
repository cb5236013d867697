"""Which call repeats which: retries and fallbacks within a run.

A call repeats the latest *failed* call that had ended before it began and

1. asked the same (equal digest of the conversation), however it failed; or
2. was in the same lane, where a lane is one agent's calls of one class in one
   turn of a session, if the client counts this one as a retry, or if it was the
   lane's last call and failed by the provider's fault. A call that the client
   left by itself is repeated only by one that asks the same.

   Where the client names no turn, a lane is as long as the session, and its next
   call need not be a repetition; it is taken for one only if it soon asks another
   model (a fallback: Claude Code words the conversation anew for some models).

A failed call is repeated once: the next repetition repeats the repetition, so
that ``retry_of`` makes a chain.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from tokenproxy.record.call import Call, CallStart, Outcome
from tokenproxy.wire.usage import RequestFacts

REMEMBERED = 512
"""Failed calls and lanes kept in mind; more are open at once only in a gateway."""

PROVIDERS_FAULT: frozenset[Outcome] = frozenset({"error", "truncated", "lost"})

FALLBACK_WITHIN_NS = 60 * 10**9
"""Unix nanoseconds: how soon after a failure another model is asked by a client without turns."""

type _Lane = tuple[str, str | None, str | None, str | None, bool]
"""Session, agent, turn, class, and whether tools are offered: a title asked for beside an
agent's own call offers none."""


class Link(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a call hangs together with earlier ones."""

    attempt: int | None = None
    retry_of: str | None = None
    fallback_used: bool = False
    """Another model or provider is asked than at the chain's beginning."""
    first_provider: str | None = None
    first_model: str | None = None
    """What the chain's first call asked for."""


class _Past(msgspec.Struct, frozen=True):
    """What is kept of an ended call."""

    call_id: str
    ended_ns: int
    outcome: Outcome
    model: str | None
    """The model asked for."""
    link: Link


class Lineage:
    """The calls of a run that later ones may repeat. Memory is bounded."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, _Past] = OrderedDict()
        """The last failed call that asked this, by digest."""
        self._lanes: OrderedDict[_Lane, _Past] = OrderedDict()
        """The last call of each lane, however it ended."""
        self._failed_in_lane: OrderedDict[_Lane, _Past] = OrderedDict()
        """The last call of each lane that failed by the provider's fault."""
        self._repeated: OrderedDict[str, None] = OrderedDict()

    def begun(self, start: CallStart, request: RequestFacts) -> Link:
        """Link a call whose request is known. Asked once for every call."""
        counted = start.attribution.attempt
        past = self._find(start, request)
        if past is None:
            return Link(
                attempt=counted or 0, first_provider=start.provider, first_model=request.model
            )
        _keep(self._repeated, past.call_id, None)
        first_provider, first_model = past.link.first_provider, past.link.first_model
        other = first_provider != start.provider or (
            None not in (first_model, request.model) and first_model != request.model
        )
        return Link(
            attempt=counted or (past.link.attempt or 0) + 1,
            retry_of=past.call_id,
            fallback_used=other,
            first_provider=first_provider,
            first_model=first_model,
        )

    def ended(self, call: Call, link: Link) -> None:
        """Remember how a call ended."""
        past = _Past(
            call.start.call_id, call.end.ended_ns, call.end.outcome, call.request.model, link
        )
        failed = call.end.outcome != "complete"
        digest = call.request.prompt_digest
        if failed and digest is not None:
            _keep(self._failed, digest, past)
        lane = _lane(call.start, call.request)
        if lane is not None:
            _keep(self._lanes, lane, past)
            if call.end.outcome in PROVIDERS_FAULT:
                _keep(self._failed_in_lane, lane, past)

    def _find(self, start: CallStart, request: RequestFacts) -> _Past | None:
        candidates = []
        if request.prompt_digest is not None:
            candidates.append(self._failed.get(request.prompt_digest))
        lane = _lane(start, request)
        if lane is not None:
            if (start.attribution.attempt or 0) > 0:
                candidates.append(self._failed_in_lane.get(lane))
            last = self._lanes.get(lane)
            if last is not None and last.outcome in PROVIDERS_FAULT:
                turned = start.attribution.turn_id is not None
                soon = start.started_ns - last.ended_ns < FALLBACK_WITHIN_NS
                if turned or (soon and request.model != last.model):
                    candidates.append(last)
        possible = [
            past
            for past in candidates
            if past is not None
            and past.ended_ns <= start.started_ns
            and past.call_id not in self._repeated
        ]
        return max(possible, key=lambda past: past.ended_ns, default=None)


def _lane(start: CallStart, request: RequestFacts) -> _Lane | None:
    who = start.attribution
    session = who.session_id or request.session_id
    if session is None:
        return None
    return session, who.agent_id, who.turn_id, who.request_class, request.offers_tools


def _keep[K, V](memory: OrderedDict[K, V], key: K, value: V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
