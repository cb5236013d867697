"""Who calls, as Codex tells it: the headers of its requests and the metadata in them.

A session is a tree of threads. The root thread's id is the session's, and its
requests are the main agent's; a subagent is a thread of its own, whose requests
name the session, their thread and the thread that spawned it.
``x-codex-turn-metadata`` is a JSON object in a header (openai/codex,
``codex-rs``); older versions send ``session_id`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tokenproxy.wire.lenient import Lenient
from tokenproxy.wire.words import word


class TurnMetadata(msgspec.Struct):
    """``x-codex-turn-metadata``, in a header or in a request's ``client_metadata``."""

    session_id: str | None = None
    thread_id: str | None = None
    turn_id: str | None = None
    parent_thread_id: str | None = None
    subagent_kind: str | None = None
    request_kind: str | None = None


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """The thread that a request belongs to; all None for other clients."""

    session_id: str | None = None
    turn_id: str | None = None
    agent_id: str | None = None
    """The thread, where it is a subagent's."""
    parent_agent_id: str | None = None
    """The thread that spawned it, where that is a subagent's too."""
    agent_type: str | None = None
    request_class: str | None = None
    ids: frozenset[str] = frozenset()
    """Of the session and the thread."""


METADATA = Lenient(TurnMetadata)

NOBODY = Thread()
_HEADERS = frozenset(
    {
        "x-codex-turn-metadata",
        "thread-id",
        "session-id",
        "session_id",
        "x-codex-parent-thread-id",
        "x-openai-subagent",
    }
)


def read_thread(headers: Mapping[str, str]) -> Thread:
    """Read the headers (names lower-cased)."""
    if _HEADERS.isdisjoint(headers):
        return NOBODY
    get = headers.get
    metadata = get("x-codex-turn-metadata")
    told = METADATA.decode(metadata.encode(errors="replace")) if metadata is not None else None
    told = told or TurnMetadata()
    thread = word(get("thread-id")) or word(told.thread_id)
    session = word(get("session-id")) or word(get("session_id")) or word(told.session_id) or thread
    parent = word(get("x-codex-parent-thread-id")) or word(told.parent_thread_id)
    spawned = thread is not None and thread != session
    return Thread(
        session_id=session,
        turn_id=word(told.turn_id),
        agent_id=thread if spawned else None,
        parent_agent_id=parent if spawned and parent != session else None,
        agent_type=word(get("x-openai-subagent")) or word(told.subagent_kind),
        request_class=word(told.request_kind),
        ids=frozenset(one for one in (session, thread) if one),
    )
