"""Attempts inside one Anthropic response: the entries of ``usage.iterations`` and their roles.

A fallback chain is known by a ``fallback_message`` entry (sticky routing shows
no block) or, where a stream was cut before its iterations came, by a
``fallback`` content block. In a chain a ``message`` entry of the serving model
is an earlier round of its tool loop; of any other model, an attempt that
declined. If every model declined, the last one's refusal is the
``fallback_message`` ("Refusals and fallback"; SDK,
``types/beta/beta_fallback_message_iteration_usage.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.words import word

_MAX_ROLE = 64
_MAX_ENTRIES = 1024
"""Entries of ``iterations`` that are read; a long chain of tools has some dozens."""


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """A ``fallback`` content block: one model declined, the next went on."""

    declined: str | None
    served: str | None
    category: str | None
    category_known: bool
    """The block told the refusal's trigger; a category of None is then an answer."""


class Story(msgspec.Struct, kw_only=True):
    """What a response tells beside its usage and that decides what is billed how."""

    model: str | None = None
    """Model of the message; after a ``fallback`` block, the one that went on."""
    hops: list[Hop] = msgspec.field(default_factory=list)
    refused: bool = False
    category: str | None = None
    """Policy category of the refusal that the response ended with."""
    silent: bool = True
    """No content block of the answering model was seen."""
    itemized: bool = False
    """The iterations are final; those of ``message_start`` are not."""
    service_tier: str | None = None
    """What is known of it beside the usage: results of a batch were billed as a batch."""


class Chain(NamedTuple):
    """Entries of ``iterations`` and the fallback chain that they belong to, if any."""

    entries: list[Mapping[str, Any]]
    exists: bool
    last: int
    """Index of the last ``fallback_message``; -1 if there is none."""
    serving: str | None
    """The model that answered."""
    requested: str | None
    """The model that the chain began with: the first to decline."""
    served_role: str
    cut: bool
    """There are more entries than are read."""


class Attempt(NamedTuple):
    """One entry of ``iterations``, interpreted."""

    role: str
    """As of a ``UsagePart``."""
    model: str | None
    """The model it is billed to; None: the call's own."""
    entry: Mapping[str, Any]
    serving: bool = False
    """Its tokens are in the top-level counts."""


def read_chain(iterations: Any, story: Story) -> Chain:
    """The entries of ``iterations`` (of any type, as it came) and what they are entries of."""
    listed = iterations if isinstance(iterations, list) else []
    entries: list[Mapping[str, Any]] = [entry for entry in listed if isinstance(entry, dict)]
    cut = len(entries) > _MAX_ENTRIES
    entries = entries[-_MAX_ENTRIES:]
    models = [word(entry.get("model")) for entry in entries]
    fallbacks = [at for at, entry in enumerate(entries) if entry.get("type") == "fallback_message"]
    last = fallbacks[-1] if fallbacks else -1
    serving = models[last] if fallbacks else None
    if serving is None:
        serving = (story.hops[-1].served if story.hops else None) or story.model
    requested = None
    if story.hops:
        requested = story.hops[0].declined
    elif fallbacks:
        requested = next((model for model in models[:last] if model is not None), None)
    return Chain(
        entries=entries,
        exists=bool(fallbacks or story.hops),
        last=last,
        serving=serving,
        requested=requested,
        served_role="fallback_declined" if story.refused else "fallback_served",
        cut=cut,
    )


def attempts_of(chain: Chain) -> tuple[list[Attempt], list[str]]:
    """The attempts with their roles, and notes."""
    said: list[str] = [notes.ITERATIONS_DROPPED] if chain.cut else []
    return [_attempt(at, entry, chain, said) for at, entry in enumerate(chain.entries)], said


def _attempt(at: int, entry: Mapping[str, Any], chain: Chain, said: list[str]) -> Attempt:
    kind, model = entry.get("type"), word(entry.get("model"))
    if kind == "message":
        return _message(at, entry, chain, said)
    if kind == "fallback_message":
        return Attempt(chain.served_role, chain.serving, entry, serving=True)
    if kind == "compaction":
        return Attempt("compaction", model or chain.requested, entry)
    if kind == "advisor_message":
        return Attempt("advisor", model, entry)
    said.append(notes.ITERATION_TYPE_UNKNOWN)
    return Attempt(word(kind, _MAX_ROLE) or "other", model, entry)


def _message(at: int, entry: Mapping[str, Any], chain: Chain, said: list[str]) -> Attempt:
    """A round of the answering attempt, or an attempt that declined."""
    model = word(entry.get("model"))
    if not chain.exists:
        return Attempt("main", model, entry, serving=True)
    if model == chain.serving if model is not None else at > chain.last:
        return Attempt(chain.served_role, chain.serving, entry, serving=True)
    if model is None and chain.requested is None:
        said.append(notes.DECLINED_MODEL_UNKNOWN)
    return Attempt("fallback_declined", model or chain.requested, entry)
