"""From Anthropic's usage to billed parts: who is charged for what in one response.

``usage.iterations`` is the record of what is billed; the top-level counts are
its view on one attempt. The rules by type of entry (SDK,
``types/beta/beta_*_iteration_usage.py``; "Compaction", "Advisor tool",
"Refusals and fallback"):

=====================  ==================  ============================================
entry                  in the top level?   billed to
=====================  ==================  ============================================
``message``            yes, all summed     the call's model, or its own
``message``, declined  no                  its own model; before any output by category
``fallback_message``   yes                 its own model: the attempt that answered
``compaction``         no                  the requested model
``advisor_message``    no                  its own model
=====================  ==================  ============================================

Entries of the same role and model are one part: what the top level alone tells
(reasoning, server tools) belongs to all of them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.anthropic.attempts import Attempt, Hop, Story, attempts_of, read_chain
from tokenproxy.wire.anthropic.refusals import PLACEHOLDER_OUTPUT, billed_before_output
from tokenproxy.wire.anthropic.usage import (
    TOKENS,
    Tally,
    plus,
    settle_cache_split,
    settle_reasoning,
    tally,
)
from tokenproxy.wire.usage import UsagePart
from tokenproxy.wire.words import word

NOTHING = (None,) * len(TOKENS)


class Billing(NamedTuple):
    """Who is billed for what, and what is odd about it."""

    parts: tuple[UsagePart, ...]
    notes: tuple[str, ...]
    fallback: bool
    """Another model answered than the one asked, by the provider's word."""
    model: str | None
    """The model that answered, where a fallback names it."""


def bill(usage: Mapping[str, Any], story: Story) -> Billing:
    """The billed parts of a response.

    Args:
        usage: merged, as it holds now.
        story: what else the response told.
    """
    top = tally([usage])
    if not usage.get("iterations") and not story.hops:
        return _bill_one(usage, top, story)
    chain = read_chain(usage.get("iterations"), story)
    attempts, said = attempts_of(chain)
    drafts = _drafts(attempts, top, story, said)
    serving = [draft for draft in drafts if draft.serving]
    if serving:
        _give_top_level_details(serving[-1].total, top)
    parts: list[UsagePart] = []
    for draft in drafts:
        said += settle_cache_split(draft.total, top if draft.serving else Tally())
        said += settle_reasoning(draft.total)
        parts.append(_part(draft, usage, story, billable=_billable(draft, drafts, story, said)))
    return Billing(tuple(parts), tuple(said), chain.exists, chain.serving if chain.exists else None)


def _bill_one(usage: Mapping[str, Any], top: Tally, story: Story) -> Billing:
    """The same of a response of which nothing tells that it took more than one attempt."""
    if top.counts() == NOTHING:
        return Billing((), (), fallback=False, model=None)
    draft = _Draft(role="main", model=None, serving=True, total=top)
    said = settle_cache_split(top, top) + settle_reasoning(top)
    billable = _billable(draft, [draft], story, said)
    part = _part(draft, usage, story, billable=billable)
    return Billing((part,), tuple(said), fallback=False, model=None)


class _Draft(msgspec.Struct, kw_only=True):
    """A part while it is settled."""

    role: str
    model: str | None
    serving: bool
    total: Tally


def _drafts(attempts: Sequence[Attempt], top: Tally, story: Story, said: list[str]) -> list[_Draft]:
    """Attempts gathered by role and model, checked against the top level."""
    groups: dict[tuple[str, str | None, bool], list[Mapping[str, Any]]] = {}
    for attempt in attempts:
        if story.itemized or not attempt.serving:
            key = attempt.role, attempt.model, attempt.serving
            groups.setdefault(key, []).append(attempt.entry)
    drafts = [
        _Draft(role=role, model=model, serving=serving, total=tally(entries))
        for (role, model, serving), entries in groups.items()
    ]
    serving = [draft for draft in drafts if draft.serving]
    if serving:
        _check_sums(drafts, serving, top, said)
        if len(serving) == 1:
            _fill(serving[0].total, top)
    elif not attempts or any(top.counts()):
        if attempts and story.itemized:
            said.append(notes.ITERATIONS_WITHOUT_MESSAGE)
        if any(number is not None for number in top.counts()):
            drafts.insert(0, _top_level_draft(attempts, top, story, said))
    return drafts


def _top_level_draft(
    attempts: Sequence[Attempt], top: Tally, story: Story, said: list[str]
) -> _Draft:
    """The answering attempt by the top-level counts alone."""
    total = msgspec.structs.replace(top, server_tools=dict(top.server_tools))
    named = [attempt for attempt in attempts if attempt.serving]
    if named:
        return _Draft(role=named[-1].role, model=named[-1].model, serving=True, total=total)
    if story.hops:
        said.append(notes.FALLBACK_UNITEMIZED)
        role = "fallback_declined" if story.refused else "fallback_served"
        return _Draft(role=role, model=story.hops[-1].served, serving=True, total=total)
    return _Draft(role="main", model=None, serving=True, total=total)


def _check_sums(
    drafts: Sequence[_Draft], serving: Sequence[_Draft], top: Tally, said: list[str]
) -> None:
    """Note it if the attempts that the top level counts do not add up to it."""
    summed = _sum(serving)
    if _agree(summed, top.counts()):
        return
    with_advisor = _sum([*serving, *(draft for draft in drafts if draft.role == "advisor")])
    agrees = with_advisor != summed and _agree(with_advisor, top.counts())
    said.append(notes.ADVISOR_IN_TOP_LEVEL if agrees else notes.ITERATIONS_MISMATCH)


def _sum(drafts: Sequence[_Draft]) -> tuple[int | None, ...]:
    total: list[int | None] = [None] * len(TOKENS)
    for draft in drafts:
        total = [plus(*pair) for pair in zip(total, draft.total.counts(), strict=True)]
    return tuple(total)


def _agree(left: Sequence[int | None], right: Sequence[int | None]) -> bool:
    return all(a is None or b is None or a == b for a, b in zip(left, right, strict=True))


def _fill(total: Tally, top: Tally) -> None:
    """Take from the top level what no entry stated."""
    for field in ("uncached", "cache_read", "cache_creation", "output"):
        if getattr(total, field) is None:
            setattr(total, field, getattr(top, field))


def _give_top_level_details(total: Tally, top: Tally) -> None:
    """Reasoning and server tools of the answering attempt: entries do not carry them."""
    if top.reasoning is not None:
        total.reasoning = top.reasoning
    if top.server_tools:
        total.server_tools = dict(top.server_tools)


def _billable(
    draft: _Draft, drafts: Sequence[_Draft], story: Story, said: list[str]
) -> bool | None:
    """False or True where the provider has a rule for it; None: billed as everything is."""
    if draft.serving:
        if not story.refused or not story.silent:
            return None
        if (draft.total.output or 0) >= PLACEHOLDER_OUTPUT:
            said.append(notes.REFUSAL_OUTPUT_UNCLEAR)
            return None
        return billed_before_output(story.category)
    if draft.role != "fallback_declined" or draft.total.output != 0:
        return None
    hop = _hop_of(draft, drafts, story)
    if hop is None or not hop.category_known:
        said.append(notes.REFUSAL_CATEGORY_UNKNOWN)
        return billed_before_output(None)
    return billed_before_output(hop.category)


def _hop_of(draft: _Draft, drafts: Sequence[_Draft], story: Story) -> Hop | None:
    """The block that tells why this attempt declined: by its model's name, else by its place.

    The requested model is echoed there as the client wrote it, which may be an alias.
    """
    for hop in story.hops:
        if hop.declined is not None and hop.declined == draft.model:
            return hop
    declined = [each for each in drafts if each.role == "fallback_declined" and not each.serving]
    if len(declined) == len(story.hops):
        return story.hops[declined.index(draft)]
    return None


def _part(
    draft: _Draft, usage: Mapping[str, Any], story: Story, *, billable: bool | None
) -> UsagePart:
    own_model = draft.serving or draft.model in (None, story.model)
    total = draft.total
    return UsagePart(
        role=draft.role,
        model=draft.model,
        uncached_input_tokens=total.uncached,
        cache_read_input_tokens=total.cache_read,
        cache_creation_input_tokens=total.cache_creation,
        cache_creation_5m_input_tokens=total.cache_5m,
        cache_creation_1h_input_tokens=total.cache_1h,
        output_tokens=total.output,
        reasoning_output_tokens=total.reasoning,
        server_tool_use=total.server_tools,
        service_tier=story.service_tier or word(usage.get("service_tier")),
        # Speed is a property of an attempt: another model's is not told here.
        speed=word(usage.get("speed")) if own_model else None,
        inference_geo=word(usage.get("inference_geo")),
        billable=billable,
    )
