"""Answers of models that are not Anthropic's, whole or streamed.

Which vendor made a model is not asked: an application profile's ARN does not
tell, and each vendor's counts are known by their names. Counts come from the
body; where it has none (Cohere, DeepSeek R1, embeddings), from the metrics at a
stream's end or from the headers. A stream's counts are totals so far: what a
later event states overrides.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenproxy.wire import notes
from tokenproxy.wire.bedrock.counts import (
    HEADERS,
    bill,
    counts_of,
    header_counts,
    speed_of,
    tier_of,
)
from tokenproxy.wire.bedrock.shapes import Answer, Block, ToolCall
from tokenproxy.wire.bookkeeping import add_tool_uses, keep, say
from tokenproxy.wire.dialect import Head
from tokenproxy.wire.openai.merge import merge
from tokenproxy.wire.openai.usage import Bill
from tokenproxy.wire.usage import Reading, ToolUse, UsagePart
from tokenproxy.wire.words import word


class VendorReading:
    """Gathers one answer into ``reading``.

    Args:
        reading: filled in place.
        head: of the response.
    """

    def __init__(self, reading: Reading, head: Head) -> None:
        self._reading = reading
        self._headers = head.headers
        self._usage: dict[str, Any] = {}
        self._metrics: dict[str, Any] = {}
        self._embeds = False

    def take(self, answer: Answer) -> bool:
        """Take an answer or an event. True if model, id or the kinds of counts known changed."""
        reading = self._reading
        before = reading.model, reading.response_id, len(self._usage), len(self._metrics)
        reading.model = word(answer.model) or reading.model
        reading.response_id = word(answer.id) or word(answer.response_id) or reading.response_id
        reading.stop_reason = _stop_reason(answer) or reading.stop_reason
        add_tool_uses(reading, _tool_uses(answer))
        self._usage = merge(self._usage, _usage(answer))
        self._metrics = merge(self._metrics, answer.metrics or {})
        self._embeds = self._embeds or bool(bytes(answer.embedding) or bytes(answer.embeddings))
        reading.content_started = reading.content_started or not bytes(answer.message_start)
        self._bill()
        return before != (
            reading.model,
            reading.response_id,
            len(self._usage),
            len(self._metrics),
        )

    def end(self) -> None:
        """The answer is over, as it should be."""
        self._reading.ended = True
        self._bill()
        if not self._reading.parts:
            say(self._reading, notes.USAGE_ABSENT)

    def _bill(self) -> None:
        """Bring the reading's counts up to date: a lower bound, until the end."""
        reading = self._reading
        evidence: list[dict[str, Any]] = [
            dict(usage)
            for usage in (self._usage, self._metrics, header_counts(self._headers))
            if usage
        ]
        latency = self._headers.get(f"{HEADERS}performanceconfig-latency")
        bills = [
            bill(usage, tier=tier_of(self._headers), speed=speed_of(latency)) for usage in evidence
        ]
        found = next((each for each in bills if each.part is not None), None)
        if found is None or found.part is None:
            return
        reading.usage.clear()
        for usage in evidence:
            keep(reading, usage)
        reading.parts = (found.part,)
        settle(reading, found, embeds=self._embeds)
        check_metrics(reading, self._metrics)


def settle(reading: Reading, found: Bill, *, embeds: bool = False) -> None:
    """The notes of a bill, and whether it is the last word.

    Args:
        reading: filled in place; it has the bill's part.
        found: the bill.
        embeds: the answer is an embedding, which has no output.
    """
    for note in found.notes:
        say(reading, note)
    part = found.part or UsagePart()
    stated = part.uncached_input_tokens is not None and (embeds or part.output_tokens is not None)
    whole = reading.ended and stated and found.balanced
    reading.completeness = "final" if whole else "partial"


def check_metrics(reading: Reading, metrics: dict[str, Any]) -> None:
    """Note it if AWS's own counts differ from the answer's. Several parts are not compared."""
    counted = counts_of(metrics)
    if counted is None or len(reading.parts) != 1:
        return
    [part] = reading.parts
    # OpenAI's input is counted with what came from the cache, others' without.
    whole = (part.uncached_input_tokens or 0) + (part.cache_read_input_tokens or 0)
    if counted.uncached not in (None, part.uncached_input_tokens, whole) or counted.output not in (
        None,
        part.output_tokens,
    ):
        say(reading, notes.METRICS_MISMATCH)


def tools_of(blocks: Iterable[Block]) -> list[ToolUse]:
    """The tool calls among content blocks, without those that AWS runs itself."""
    calls = (block.tool_use for block in blocks)
    return [
        tool
        for call in calls
        if call is not None and call.type != "server_tool_use" and (tool := _tool(call))
    ]


def _tool(call: ToolCall) -> ToolUse | None:
    identity, name = word(call.tool_use_id), word(call.name)
    return ToolUse(identity, name) if identity is not None and name is not None else None


def _tool_uses(answer: Answer) -> list[ToolUse]:
    message = answer.output.message if answer.output is not None else None
    blocks = list(message.content or []) if message is not None else []
    if answer.block_start is not None and answer.block_start.start is not None:
        blocks.append(answer.block_start.start)
    found = tools_of(blocks)
    for choice in answer.choices or []:
        said = choice.message or choice.delta
        for call in (said.tool_calls or []) if said is not None else []:
            identity = word(call.id)
            name = word(call.function.name) if call.function is not None else None
            if identity is not None and name is not None:
                found.append(ToolUse(identity, name))
    return found


def _stop_reason(answer: Answer) -> str | None:
    stated = [answer.stop_reason, answer.finish_reason, answer.nova_stop, answer.titan_stop]
    if answer.message_stop is not None:
        stated.append(answer.message_stop.stop_reason)
    for choice in [*(answer.choices or []), *(answer.outputs or [])]:
        stated += [choice.finish_reason, choice.stop_reason]
    stated += [result.completion_reason for result in answer.results or []]
    return next((reason for text in stated if (reason := word(text)) is not None), None)


def _usage(answer: Answer) -> dict[str, Any]:
    """The counts that the answer states, in the vendor's own names."""
    if answer.usage is not None:
        return answer.usage
    if answer.metadata is not None and answer.metadata.usage is not None:
        return answer.metadata.usage
    counts = {
        "prompt_token_count": answer.prompt_token_count,
        "generation_token_count": answer.generation_token_count,
        "inputTextTokenCount": answer.titan_input,
        "totalOutputTextTokenCount": answer.titan_output,
    }
    written = [n.token_count for n in answer.results or [] if n.token_count is not None]
    if written:
        counts["totalOutputTextTokenCount"] = sum(written)
    return {name: value for name, value in counts.items() if value is not None}
