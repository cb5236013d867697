"""How each trap's rule may be broken, as data: what stands in the code, and what breaks it.

A rule is worded as it should be; its mutant does otherwise. ``python -m
tests.mutants`` tries them, ``test_mutants.py`` holds them to the code.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """One way to break one rule."""

    trap: str
    """``T01``, as in the names of its tests."""
    rule: str
    """What the mutant breaks."""
    file: str
    old: str
    """Stands once in the file."""
    new: str
    tests: str
    select: str = ""
    """Tests that must notice it, as of pytest's ``-k``; empty: those of the trap."""

    @property
    def selected(self) -> str:
        """The tests that must notice it."""
        return self.select or f"test_{self.trap.lower()}_"

    def applied_to(self, source: str) -> str:
        """The file with the rule broken."""
        if source.count(self.old) != 1:
            raise LookupError(f"stands not once in {self.file}: {self.old!r}")
        return source.replace(self.old, self.new)


_ANTHROPIC: Final = "tests/wire/test_traps.py"
_OPENAI: Final = "tests/wire/test_traps_openai.py"
_RESPONSES: Final = "tests/wire/test_traps_responses.py"
_GOOGLE: Final = "tests/wire/test_traps_google.py"
_BEDROCK: Final = "tests/wire/test_traps_bedrock.py"
_PRICES: Final = "tests/record/test_traps.py"
_ROWS: Final = "tests/record/test_traps_rows.py"
_PROXY: Final = "tests/proxy/test_traps.py"

MUTANTS: Final = (
    Mutant(
        trap="T01", rule="a delta's counts override the start's",
        file="tokenproxy/wire/anthropic/usage.py", tests=_ANTHROPIC,
        old="**{key: value for key, value in update.items() if _is_stated(key, value)},",
        new="**{key: (held.get(key) or 0) + value if key in TOKENS else value"
        " for key, value in update.items() if _is_stated(key, value)},",
    ),
    Mutant(
        trap="T02", rule="a delta's input holds too, not the start's alone",
        file="tokenproxy/wire/anthropic/usage.py", tests=_ANTHROPIC,
        old="if _is_stated(key, value)},",
        new="if _is_stated(key, value) and not (held and key == 'input_tokens')},",
    ),
    Mutant(
        trap="T02", rule="searches that a delta tells are taken",
        file="tokenproxy/wire/anthropic/parts.py", tests=_ANTHROPIC,
        old="server_tool_use=total.server_tools,",
        new="server_tool_use={},",
    ),
    Mutant(
        trap="T03", rule="null states nothing",
        file="tokenproxy/wire/anthropic/usage.py", tests=_ANTHROPIC,
        old="return count(value) is not None if key in TOKENS else value is not None",
        new="return True",
    ),
    Mutant(
        trap="T03", rule="0 is a statement",
        file="tokenproxy/wire/anthropic/usage.py", tests=_ANTHROPIC,
        old="return count(value) is not None if key in TOKENS else value is not None",
        new="return bool(value)",
    ),
    Mutant(
        trap="T03", rule="a gateway's 0 is none",
        file="tokenproxy/wire/anthropic/reading.py", tests=_ANTHROPIC,
        old="        if self._first_party:",
        new="        if True:",
    ),
    Mutant(
        trap="T03", rule="what only the start says survives",
        file="tokenproxy/wire/anthropic/usage.py", tests=_ANTHROPIC,
        old="        **held,\n",
        new="        **{key: held[key] for key in held if key in TOKENS},\n",
    ),
    Mutant(
        trap="T04", rule="the last output counts, not the first",
        file="tokenproxy/wire/anthropic/usage.py", tests=_ANTHROPIC,
        old="if _is_stated(key, value)},",
        new="if _is_stated(key, value) and not (key == 'output_tokens' and held.get(key))},",
    ),
    Mutant(
        trap="T04", rule="the placeholder goes when a final count came",
        file="tokenproxy/wire/anthropic/reading.py", tests=_ANTHROPIC,
        old="placeholder = None if self._is_final() else self._placeholder",
        new="placeholder = self._placeholder",
    ),
    Mutant(
        trap="T05", rule="a content block adds nothing",
        file="tokenproxy/wire/anthropic/reading.py", tests=_ANTHROPIC,
        old="        self._story.silent = False\n",
        new="        self._story.silent = False\n"
        "        if self._usage:\n            self._usage['input_tokens'] *= 2\n",
    ),
    Mutant(
        trap="T05", rule="a start that is repeated adds nothing",
        file="tokenproxy/wire/anthropic/reading.py", tests=_ANTHROPIC,
        old="            self._take_usage({}, message.usage)\n            self._placeholder",
        new="            sums = {key: (self._usage.get(key) or 0) + n\n"
        "                    for key, n in message.usage.items()}\n"
        "            self._take_usage({}, sums)\n            self._placeholder",
    ),
    Mutant(
        trap="T06", rule="compactions are counted",
        file="tokenproxy/wire/anthropic/parts.py", tests=_ANTHROPIC,
        old="        if story.itemized or not attempt.serving:",
        new="        if attempt.serving or attempt.role == 'advisor':",
    ),
    Mutant(
        trap="T06", rule="advisors are counted",
        file="tokenproxy/wire/anthropic/parts.py", tests=_ANTHROPIC,
        old="        if story.itemized or not attempt.serving:",
        new="        if attempt.serving or attempt.role == 'compaction':",
    ),
    Mutant(
        trap="T06", rule="an advisor is billed as its own model",
        file="tokenproxy/wire/anthropic/attempts.py", tests=_ANTHROPIC,
        old='return Attempt("advisor", model, entry)',
        new='return Attempt("advisor", None, entry)',
    ),
    Mutant(
        trap="T07", rule="sticky routing is known by the iterations alone",
        file="tokenproxy/wire/anthropic/attempts.py", tests=_ANTHROPIC,
        old="exists=bool(fallbacks or story.hops),",
        new="exists=bool(story.hops),",
    ),
    Mutant(
        trap="T07", rule="a fallback is known by its block if the stream is cut",
        file="tokenproxy/wire/anthropic/attempts.py", tests=_ANTHROPIC,
        old="exists=bool(fallbacks or story.hops),",
        new="exists=bool(fallbacks),",
    ),
    Mutant(
        trap="T07", rule="a part is priced as its own model",
        file="tokenproxy/record/make_row.py", tests=_ROWS,
        old="prices.cost(seller, part.model or priced, part,",
        new="prices.cost(seller, priced, part,",
    ),
    Mutant(
        trap="T07", rule="a fallback is priced as the model that served",
        file="tokenproxy/record/make_row.py", tests=_PRICES,
        old="prices.cost(seller, part.model or priced, part,",
        new="prices.cost(seller, call.request.model or priced, part,",
    ),
    Mutant(
        trap="T08", rule="a decline before output is not billed",
        file="tokenproxy/wire/anthropic/parts.py", tests=_ANTHROPIC,
        old='    if draft.role != "fallback_declined" or draft.total.output != 0:',
        new="    if True:",
    ),
    Mutant(
        trap="T08", rule="a decline in mid-output is billed",
        file="tokenproxy/wire/anthropic/parts.py", tests=_ANTHROPIC,
        old=" or draft.total.output != 0:",
        new=":",
    ),
    Mutant(
        trap="T08", rule="the category decides",
        file="tokenproxy/wire/anthropic/refusals.py", tests=_ANTHROPIC,
        old='    "cyber": False,',
        new='    "cyber": True,',
    ),
    Mutant(
        trap="T08", rule="what is not billed is in no sum of tokens",
        file="tokenproxy/record/make_row.py", tests=_ROWS,
        old="    billed = [part for part in reading.parts if part.billable is not False]",
        new="    billed = list(reading.parts)",
    ),
    Mutant(
        trap="T08", rule="what is not billed costs nothing",
        file="tokenproxy/record/price.py", tests=_ROWS,
        old="if part.billable is False or ",
        new="if ",
    ),
    Mutant(
        trap="T09", rule="an advisor that the top level includes counts once",
        file="tokenproxy/wire/anthropic/parts.py", tests=_ANTHROPIC,
        old="        if getattr(total, field) is None:",
        new="        if True:",
    ),
    Mutant(
        trap="T09", rule="that it does is said",
        file="tokenproxy/wire/anthropic/parts.py", tests=_ANTHROPIC,
        old="notes.ADVISOR_IN_TOP_LEVEL if agrees else notes.ITERATIONS_MISMATCH",
        new="notes.ITERATIONS_MISMATCH",
    ),
    Mutant(
        trap="T10", rule="an aborted stream is a lower bound",
        file="tokenproxy/wire/anthropic/reading.py", tests=_ANTHROPIC,
        old='return "final" if stated and self._is_final() else "partial"',
        new='return "final" if stated else "partial"',
    ),
    Mutant(
        trap="T10", rule="usage is told when it comes, not at the end",
        file="tokenproxy/wire/anthropic/stream.py", tests=_ANTHROPIC,
        old="    message.start(event.message)\n    return True",
        new="    message.start(event.message)\n    return False",
    ),
    Mutant(
        trap="T10", rule="a cut stream of Gemini's is a lower bound",
        file="tokenproxy/wire/google/meter.py", tests=_GOOGLE,
        old='"final" if bill.whole and reading.ended else "partial"',
        new='"final" if bill.whole else "partial"',
    ),
    Mutant(
        trap="T11", rule="what is compressed is decoded",
        file="tokenproxy/wire/decoding.py", tests=_ANTHROPIC,
        old="return Decoder([_STAGES[name]() for name in reversed(wanted)], limit)",
        new="return Decoder([], limit)",
    ),
    Mutant(
        trap="T11", rule="chunks are one stream, not one each",
        file="tokenproxy/wire/decoding.py", tests=_ANTHROPIC,
        old="        if len(data) <= self._step:",
        new="        self._member = self._open()\n        if len(data) <= self._step:",
    ),
    Mutant(
        trap="T11", rule="the last encoding is undone first",
        file="tokenproxy/wire/decoding.py", tests=_ANTHROPIC,
        old="for name in reversed(wanted)]",
        new="for name in wanted]",
    ),
    Mutant(
        trap="T11", rule="a second member is read too",
        file="tokenproxy/wire/decoding.py", tests=_ANTHROPIC,
        old="                self._member = self._open()\n",
        new="                break\n",
    ),
    Mutant(
        trap="T11", rule="a flushed event is known at once",
        file="tokenproxy/wire/decompress.py", tests=_ANTHROPIC,
        old="            full = len(piece) == _PIECE\n            yield piece",
        new="            full = len(piece) == _PIECE\n"
        "            held = getattr(self, 'held', b'') + piece\n"
        "            self.held = b'' if stream.eof else held\n"
        "            yield held if stream.eof else b''",
    ),
    Mutant(
        trap="T12", rule="a request is decoded by its encoding",
        file="tokenproxy/wire/bodyreader.py", tests=_ANTHROPIC,
        old="self._decoder = open_decoder(content_encoding)",
        new='self._decoder = open_decoder("")',
    ),
    Mutant(
        trap="T12", rule="zstd is an encoding",
        file="tokenproxy/wire/decoding.py", tests=_ANTHROPIC,
        old='    "zstd": _zstd,\n',
        new="",
    ),
    Mutant(
        trap="T12", rule="the encoding reaches whoever reads the request",
        file="tokenproxy/record/account.py", tests=_ROWS,
        old="read_facts(dialect, body, encoding, ",
        new='read_facts(dialect, body, "", ',
    ),
    Mutant(
        trap="T13", rule="a line that a chunk cuts is kept",
        file="tokenproxy/wire/framing/sse.py", tests=_ANTHROPIC,
        old="                self._keep_piece(chunk[position:])",
        new="                pass",
    ),
    Mutant(
        trap="T13", rule="keys are looked for in events, not in chunks",
        file="tokenproxy/wire/framing/events.py", tests=_OPENAI,
        old="        changed = False\n        for event in self._events.events(data):",
        new="        changed = False\n"
        "        if self.reading.content_started and b'usage' not in data:\n"
        "            return changed\n        for event in self._events.events(data):",
    ),
    Mutant(
        trap="T13", rule="Gemini's events are kept over chunks",
        file="tokenproxy/wire/framing/sse.py", tests=_GOOGLE,
        old="                self._keep_piece(chunk[position:])",
        new="                pass",
    ),
    Mutant(
        trap="T14", rule="cache reads are inside the prompt",
        file="tokenproxy/wire/openai/usage.py", tests=_OPENAI,
        old="return self.input - (self.cache_read or 0) - (self.cache_write or 0)",
        new="return self.input - (self.cache_write or 0)",
    ),
    Mutant(
        trap="T14", rule="cache writes are inside the prompt",
        file="tokenproxy/wire/openai/usage.py", tests=_OPENAI,
        old="return self.input - (self.cache_read or 0) - (self.cache_write or 0)",
        new="return self.input - (self.cache_read or 0)",
    ),
    Mutant(
        trap="T14", rule="in the Responses API too",
        file="tokenproxy/wire/openai/usage.py", tests=_RESPONSES,
        old="return self.input - (self.cache_read or 0) - (self.cache_write or 0)",
        new="return self.input",
    ),
    Mutant(
        trap="T14", rule="in Gemini's prompt too",
        file="tokenproxy/wire/google/usage.py", tests=_GOOGLE,
        old="uncached = counts.prompt - (cached or 0) + ",
        new="uncached = counts.prompt + ",
    ),
    Mutant(
        trap="T15", rule="reasoning is inside the output",
        file="tokenproxy/wire/openai/usage.py", tests=_OPENAI,
        old='        if "reasoning" in outside:',
        new="        if True:",
    ),
    Mutant(
        trap="T15", rule="also where no total says so",
        file="tokenproxy/wire/openai/fields.py", tests=_OPENAI,
        old='    reasoning_nesting: Nesting = "inside"',
        new='    reasoning_nesting: Nesting = "outside"',
    ),
    Mutant(
        trap="T15", rule="in the Responses API too",
        file="tokenproxy/wire/openai/usage.py", tests=_RESPONSES,
        old='        if "reasoning" in outside:',
        new="        if True:",
    ),
    Mutant(
        trap="T15", rule="in the Responses API too, without a total",
        file="tokenproxy/wire/openai/fields.py", tests=_RESPONSES,
        old='    reasoning_nesting: Nesting = "inside"',
        new='    reasoning_nesting: Nesting = "outside"',
    ),
    Mutant(
        trap="T16", rule="xAI's reasoning is added",
        file="tokenproxy/wire/openai/usage.py", tests=_OPENAI,
        old="            self.output = plus(self.output, self.reasoning)",
        new="            pass",
    ),
    Mutant(
        trap="T16", rule="also where no total says so",
        file="tokenproxy/wire/xai.py", tests=_OPENAI,
        old='    reasoning_nesting="outside",',
        new='    reasoning_nesting="inside",',
    ),
    Mutant(
        trap="T16", rule="not where the total has it inside",
        file="tokenproxy/wire/xai.py", tests=_OPENAI,
        old='    reasoning_nesting="outside",',
        new='    reasoning_nesting="always_outside",',
    ),
    Mutant(
        trap="T16", rule="a total that fits neither way makes a lower bound",
        file="tokenproxy/wire/openai/usage.py", tests=_OPENAI,
        old="            self._doubt(notes.TOTAL_MISMATCH)\n",
        new="",
    ),
    Mutant(
        trap="T17", rule="chunks are not summed",
        file="tokenproxy/wire/google/usage.py", tests=_GOOGLE,
        old="                last[key] = stated\n",
        new="                last[key] = stated + last.get(key, 0)\n",
    ),
    Mutant(
        trap="T17", rule="thoughts are counted",
        file="tokenproxy/wire/google/usage.py", tests=_GOOGLE,
        old="return (self.visible or 0) + (self.thoughts or 0)",
        new="return self.visible or 0",
    ),
    Mutant(
        trap="T17", rule="thoughts are not counted twice",
        file="tokenproxy/wire/google/usage.py", tests=_GOOGLE,
        old="return left if inside else None",
        new="return self.stated_output() if inside else None",
    ),
    Mutant(
        trap="T17", rule="a last chunk's 0 erases no cache hit",
        file="tokenproxy/wire/google/usage.py", tests=_GOOGLE,
        old="if stated is not None and (stated or not last.get(key)):",
        new="if stated is not None:",
    ),
    Mutant(
        trap="T17", rule="what a last chunk leaves out is not erased",
        file="tokenproxy/wire/google/usage.py", tests=_GOOGLE,
        old="last, most = dict(self.last), dict(self.most)",
        new="last, most = {}, dict(self.most)",
    ),
    Mutant(
        trap="T17", rule="what tools fed back is input",
        file="tokenproxy/wire/google/usage.py", tests=_GOOGLE,
        old=" - (cached or 0) + (counts.tools or 0)",
        new=" - (cached or 0)",
    ),
    Mutant(
        trap="T17", rule="counts that do not add up are a lower bound",
        file="tokenproxy/wire/google/usage.py", tests=_GOOGLE,
        old="    if not balanced:\n",
        new="    if output is None:\n        output, balanced = counts.stated_output(), True\n"
        "    if not balanced:\n",
    ),
    Mutant(
        trap="T18", rule="a miss is no cache write",
        file="tokenproxy/wire/deepseek.py", tests=_OPENAI,
        old="    cache_write=(),",
        new="    cache_write=(_MISS,),",
    ),
    Mutant(
        trap="T18", rule="nor is it through a relay",
        file="tokenproxy/wire/openai/fields.py", tests=_OPENAI,
        old='        ("cache_creation_input_tokens",),\n',
        new='        ("cache_creation_input_tokens",),\n        ("prompt_cache_miss_tokens",),\n',
    ),
    Mutant(
        trap="T18", rule="a hit is a cache read",
        file="tokenproxy/wire/openai/fields.py", tests=_OPENAI,
        old='        ("prompt_cache_hit_tokens",),\n',
        new="",
    ),
    Mutant(
        trap="T19", rule="a stream without usage says why",
        file="tokenproxy/wire/openai/chat_stream.py", tests=_OPENAI,
        old="absent=notes.INCLUDE_USAGE_ABSENT)",
        new="absent=notes.USAGE_ABSENT)",
    ),
    Mutant(
        trap="T19", rule="what the client said about it is known",
        file="tokenproxy/wire/openai/chat_request.py", tests=_OPENAI,
        old="options.include_usage if options is not None else None,",
        new="bool(options and options.include_usage),",
    ),
    Mutant(
        trap="T19", rule="a usage chunk without choices counts",
        file="tokenproxy/wire/openai/accent.py", tests=_OPENAI,
        old="        usage=answer.usage,",
        new="        usage=answer.usage if answer.choices else None,",
    ),
    Mutant(
        trap="T19", rule="a chunk that we asked for does not reach the client",
        file="tokenproxy/wire/openai/include_usage.py", tests=_OPENAI,
        old="            if not _is_extra(event):",
        new="            if True:",
    ),
    Mutant(
        trap="T19", rule="what the client has said stays",
        file="tokenproxy/wire/openai/include_usage.py", tests=_OPENAI,
        old=' or "include_usage" in options:',
        new=":",
    ),
    Mutant(
        trap="T20", rule="a compaction is a call",
        file="tokenproxy/wire/providers.py", tests=_RESPONSES,
        old='        Endpoint("POST", f"{prefix}/responses/compact", _RESPONSES, "compact"),\n',
        new="",
    ),
    Mutant(
        trap="T20", rule="a GET is a replay, not a call",
        file="tokenproxy/wire/providers.py", tests=_RESPONSES,
        old='f"{prefix}/responses/{{}}", _RESPONSES, "responses", "replay"),',
        new='f"{prefix}/responses/{{}}", _RESPONSES, "responses"),',
    ),
    Mutant(
        trap="T20", rule="a look at what is not done yet counts nothing",
        file="tokenproxy/wire/openai/responses_reading.py", tests=_RESPONSES,
        old="        if response.status in _PENDING:",
        new="        if False:",
    ),
    Mutant(
        trap="T20", rule="a cut background stream goes on",
        file="tokenproxy/wire/openai/responses_reading.py", tests=_RESPONSES,
        old="        if self._background and not self.reading.ended:",
        new="        if False:",
    ),
    Mutant(
        trap="T20", rule="an answer that is fetched again has no second row",
        file="tokenproxy/record/seen.py", tests=_ROWS,
        old="                if key in self._seen:",
        new="                if False:",
    ),
    Mutant(
        trap="T20", rule="an answer that was polled has no second row",
        file="tokenproxy/record/account.py", tests=_ROWS,
        old="and not self._seen.new(provider, [end.reading])",
        new="and not [end.reading]",
    ),
    Mutant(
        trap="T20", rule="a look that tells no usage stands for no other",
        file="tokenproxy/record/account.py", tests=_ROWS,
        old="        elif pending.start.replayable and end.reading.parts:",
        new="        elif pending.start.replayable:",
    ),
    Mutant(
        trap="T20", rule="an answer fetched before its row is written has one",
        file="tokenproxy/record/account.py", tests=_ROWS,
        old="            self._seen.remember(provider, end.reading)",
        new="            pass",
    ),
    Mutant(
        trap="T21", rule="each response of a socket is a call",
        file="tokenproxy/wire/openai/websocket.py", tests=_RESPONSES,
        old="        self.response = ResponseReading(accent=accent)",
        new="        shared = vars(lane).setdefault('shared', ResponseReading(accent=accent))\n"
        "        self.response = shared",
    ),
    Mutant(
        trap="T21", rule="a lane's messages are its own call's",
        file="tokenproxy/wire/openai/websocket.py", tests=_RESPONSES,
        old="    return None if stream_id is None else stream_id[:MAX_WORD]",
        new="    return None",
    ),
    Mutant(
        trap="T21", rule="calls are answered in order",
        file="tokenproxy/wire/openai/websocket.py", tests=_RESPONSES,
        old="            call = lane.asked.popleft()",
        new="            call = lane.asked.pop()",
    ),
    Mutant(
        trap="T21", rule="a steered response has a successor, which is billed",
        file="tokenproxy/wire/openai/websocket.py", tests=_RESPONSES,
        old="        if kind in _BEGINS:",
        new="        if kind in _BEGINS and lane is not None and lane.asked:",
    ),
    Mutant(
        trap="T21", rule="a successor takes nobody's place",
        file="tokenproxy/wire/openai/websocket.py", tests=_RESPONSES,
        old="        if lane.asked and not lane.steered:",
        new="        if lane.asked:",
    ),
    Mutant(
        trap="T21", rule="a successor may be called off",
        file="tokenproxy/wire/openai/websocket.py", tests=_RESPONSES,
        old="        if lane is not None and kind == _STEER_FAILED:",
        new="        if False:",
    ),
    Mutant(
        trap="T21", rule="what was refused has ended",
        file="tokenproxy/wire/openai/websocket.py", tests=_RESPONSES,
        old='        if kind in ENDS or kind == "error":',
        new="        if kind in ENDS:",
    ),
    Mutant(
        trap="T22", rule="writes by time to live stand in cacheDetails",
        file="tokenproxy/wire/bedrock/counts.py", tests=_BEDROCK,
        old='    _split_writes(counts, usage.get("cacheDetails"))',
        new="    _split_writes(counts, None)",
    ),
    Mutant(
        trap="T22", rule="an hour's writes are not five minutes'",
        file="tokenproxy/wire/bedrock/counts.py", tests=_BEDROCK,
        old="            counts.cache_1h = plus(counts.cache_1h, tokens)",
        new="            counts.cache_5m = plus(counts.cache_5m, tokens)",
    ),
    Mutant(
        trap="T22", rule="input excludes the cache",
        file="tokenproxy/wire/bedrock/counts.py", tests=_BEDROCK,
        old="        uncached_input_tokens=counts.uncached,",
        new="        uncached_input_tokens=(counts.uncached or 0) - (counts.cache_read or 0),",
    ),
    Mutant(
        trap="T22", rule="a chunk is read wherever its padding stands",
        file="tokenproxy/wire/bedrock/invoke.py", tests=_BEDROCK,
        old="        chunk = PAYLOAD.decode(payload)",
        new="        chunk = PAYLOAD.decode(payload) if payload.startswith(b'{\"bytes') else None",
    ),
    Mutant(
        trap="T22", rule="an event is read wherever its padding stands",
        file="tokenproxy/wire/bedrock/converse.py", tests=_BEDROCK,
        old="        answer = SHAPE.decode(payload)",
        new="        answer = None if payload.startswith(b'{\"p') else SHAPE.decode(payload)",
    ),
    Mutant(
        trap="T22", rule="an exception in mid-stream is an error",
        file="tokenproxy/wire/bedrock/stream.py", tests=_BEDROCK,
        old='        if kind in ("exception", "error"):',
        new='        if kind == "error":',
    ),
    Mutant(
        trap="T22", rule="an exception in mid-stream is no end",
        file="tokenproxy/wire/bedrock/stream.py", tests=_BEDROCK,
        old="            self.reading.error = error_word(told) or _UNNAMED",
        new="            self.reading.error = error_word(told) or _UNNAMED\n"
        "            self.reading.ended = True",
    ),
    Mutant(
        trap="T22", rule="the metrics are not added",
        file="tokenproxy/wire/bedrock/invoke.py", tests=_BEDROCK,
        old="                self._use_metrics(self._metrics)",
        new="                self.reading.parts += self.reading.parts",
    ),
    Mutant(
        trap="T23", rule="count_tokens is no call",
        file="tokenproxy/wire/providers.py", tests=_ANTHROPIC,
        old='f"{prefix}/v1/messages/count_tokens", _MESSAGES, "count_tokens", "count"),',
        new='f"{prefix}/v1/messages/count_tokens", _MESSAGES, "count_tokens"),',
    ),
    Mutant(
        trap="T23", rule="what count_tokens answers is no usage",
        file="tokenproxy/wire/anthropic/messages.py", tests=_ANTHROPIC,
        old='        if head.operation == "count_tokens":',
        new="        if False:",
    ),
    Mutant(
        trap="T23", rule="countTokens is no call",
        file="tokenproxy/wire/providers.py", tests=_GOOGLE,
        old='f"{prefix}{{model}}:countTokens", _GENERATE, "count_tokens", "count"),',
        new='f"{prefix}{{model}}:countTokens", _GENERATE, "count_tokens"),',
    ),
    Mutant(
        trap="T23", rule="what countTokens answers is no usage",
        file="tokenproxy/wire/google/generate_content.py", tests=_GOOGLE,
        old='        if head.operation == "count_tokens":',
        new="        if False:",
    ),
    Mutant(
        trap="T23", rule="responses/input_tokens is no call",
        file="tokenproxy/wire/providers.py", tests=_RESPONSES,
        old='f"{prefix}/responses/input_tokens", _RESPONSES, "count_tokens", "count"),',
        new='f"{prefix}/responses/input_tokens", _RESPONSES, "count_tokens"),',
    ),
    Mutant(
        trap="T23", rule="what responses/input_tokens answers is no usage",
        file="tokenproxy/wire/openai/responses.py", tests=_RESPONSES,
        old='        if head.operation == "count_tokens":',
        new="        if False:",
    ),
    Mutant(
        trap="T23", rule="a count leaves no row",
        file="tokenproxy/record/ended.py", tests="tests/record/test_account.py",
        select="test_counting_tokens_leaves_a_span_and_no_row",
        old="        case _:\n            return ()",
        new="        case _:\n            return (call,)",
    ),
    Mutant(
        trap="T24", rule="an unknown model has no price",
        file="tokenproxy/record/price.py", tests=_OPENAI,
        old="        if rates is None:\n            return None",
        new="        if rates is None:\n            return _FREE",
    ),
    Mutant(
        trap="T24", rule="a row with an unpriced part has no cost",
        file="tokenproxy/record/make_row.py", tests=_PRICES,
        old="        if cost is None:\n            return None",
        new="        if cost is None:\n            continue",
    ),
    Mutant(
        trap="T24", rule="the summary counts what has no price",
        file="tokenproxy/record/tally.py", tests=_PRICES,
        old="            self._unpriced += 1",
        new="            self._unpriced += 0",
    ),
    Mutant(
        trap="T25", rule="an event is read at its end, not at the next one's beginning",
        file="tokenproxy/wire/framing/sse.py", tests=_ANTHROPIC,
        old="        if not line:\n            self._dispatch(events)\n            return",
        new='        if self._has_data and line.startswith((b"event:", b"data:")):\n'
        "            self._dispatch(events)\n        if not line:\n            return",
    ),
    Mutant(
        trap="T25", rule="Gemini's too",
        file="tokenproxy/wire/framing/sse.py", tests=_GOOGLE,
        old="        if not line:\n            self._dispatch(events)\n            return",
        new='        if self._has_data and line.startswith((b"event:", b"data:")):\n'
        "            self._dispatch(events)\n        if not line:\n            return",
    ),
    Mutant(
        trap="T25", rule="an answer is passed on while it comes",
        file="tokenproxy/proxy/lane/exchange.py", tests=_PROXY,
        old="        if used or raw:\n            self._give(",
        new='        raw, data = getattr(self, "held", b"") + raw + data[:used], b""\n'
        "        self.held = raw\n        if body.over:\n            self._give(",
    ),
    Mutant(
        trap="T25", rule="a chunk is passed on before it is read",
        file="tokenproxy/proxy/tap.py", tests=_PROXY,
        old="                self._call_soon(self._read_unread)",
        new="                self._read_unread()",
    ),
)  # fmt: skip
