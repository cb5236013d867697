"""OpenAI's ``usage`` object, and everyone's who writes it with an accent: counts to a part.

The rules (SDK, ``types/completion_usage.py``, ``types/responses/response_usage.py``):

* The input includes what was read from and written to the cache: both are
  slices of it, charged instead of it. Uncached is what they leave.
* The output includes reasoning.
* ``total_tokens`` is input and output. It is the check: providers differ in
  what they count inside what, and change it without notice, so each response is
  read in the way in which its own numbers balance. First everything inside,
  as OpenAI has it; then reasoning, cache or an accent's own counts beside
  the number that should hold them. If nothing balances, the numbers stay as they
  are, the reading is a lower bound at best, and a note says so.
* Without a total there is nothing to check by: the provider's convention stands.
* A count that is out of range costs itself only. More cached than input, or more
  reasoning than output, cannot be a part of it and is left out.

What differs between providers is data: :class:`~tokenproxy.wire.openai.fields.Fields`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final, NamedTuple

from tokenproxy.wire import notes
from tokenproxy.wire.bookkeeping import MAX_TOOLS
from tokenproxy.wire.openai.fields import CHAT_FIELDS, Fields, Nesting
from tokenproxy.wire.openai.merge import Path, lookup, plus
from tokenproxy.wire.usage import UsagePart
from tokenproxy.wire.words import count, word

_KINDS: Final = ("audio", "image", "video")
_REQUESTS: Final = "_requests"


class Bill(NamedTuple):
    """What a usage object says, and what is odd about it."""

    part: UsagePart | None
    """None: nothing that is counted was stated."""
    notes: tuple[str, ...] = ()
    balanced: bool = True
    """The numbers agree with each other, as far as there are any to compare."""


def bill(
    usage: Mapping[str, Any],
    fields: Fields = CHAT_FIELDS,
    *,
    service_tier: str | None = None,
    model: str | None = None,
    role: str = "main",
) -> Bill:
    """The part that a usage object is billed as.

    Args:
        usage: as the provider sent it, or merged.
        fields: where this provider states what.
        service_tier: stated beside the usage; the usage's own word comes first.
        model: the one that this part is billed to, if it is not the call's own.
        role: of the part.
    """
    found = _Counts(usage, fields)
    found.nest()
    if not found.any():
        return Bill(None, found.notes, balanced=not found.notes)
    part = UsagePart(
        role=role,
        model=model,
        uncached_input_tokens=found.uncached(),
        cache_read_input_tokens=found.cache_read,
        cache_creation_input_tokens=found.cache_write,
        cache_creation_30m_input_tokens=found.write_30m,
        cache_creation_12h_input_tokens=found.write_12h,
        output_tokens=found.output,
        reasoning_output_tokens=found.reasoning,
        modality_tokens=found.modalities(),
        server_tool_use=found.server_tools,
        service_tier=word(usage.get("service_tier")) or service_tier,
    )
    return Bill(part, found.notes, found.balanced)


class _Addend(NamedTuple):
    """A count that may stand outside of what should hold it."""

    name: str
    tokens: int
    nesting: Nesting


class _Counts:
    """The counts of one usage object while they are settled."""

    def __init__(self, usage: Mapping[str, Any], fields: Fields) -> None:
        self._usage = usage
        self._fields = fields
        self._said: dict[str, None] = {}
        self.balanced = True
        self.input = self._first(*fields.input)
        self.output = self._first(*fields.output)
        self.cache_read = self._first(*fields.cache_read)
        self.write_30m = self._first(*fields.cache_write_30m)
        self.write_12h = self._first(*fields.cache_write_12h)
        self.cache_write = self._first(*fields.cache_write)
        self.reasoning = self._first(*fields.reasoning)
        self.beside = [(each, self._first(each.path)) for each in fields.beside]
        self.server_tools = self._tools()
        self._total = self._first(fields.total)
        self._settle_writes()
        self._settle_input()
        self._settle_output()

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._said)

    def any(self) -> bool:
        """Whether there is something to bill."""
        counts = (self.input, self.output, self.cache_read, self.cache_write)
        return bool(self.server_tools) or any(number is not None for number in counts)

    def nest(self) -> None:
        """Find out what is inside what, and make input and output hold all of theirs."""
        outside = self._outside()
        if outside is None:
            outside = self._rest()
        if outside is None:
            self._doubt(notes.TOTAL_MISMATCH)
            outside = self._lower_bound()
        outside |= {each.name for each in self._addends() if each.nesting == "always_outside"}
        if "reasoning" in outside:
            self.output = plus(self.output, self.reasoning)
        if "cache" in outside:
            self.input = plus(self.input, plus(self.cache_read, self.cache_write))
        for at, (each, tokens) in enumerate(self.beside):
            if str(at) in outside and each.side == "input":
                self.input = plus(self.input, tokens)
            elif str(at) in outside:
                self.output = plus(self.output, tokens)
        self._drop_what_does_not_fit()

    def uncached(self) -> int | None:
        """The input that the cache leaves."""
        if self.input is None:
            return None
        return self.input - (self.cache_read or 0) - (self.cache_write or 0)

    def modalities(self) -> dict[str, int]:
        """Tokens that are not text."""
        found: dict[str, int] = {}
        ins, outs = self._fields.input_details, self._fields.output_details
        split = isinstance(self._usage.get(ins), dict) or isinstance(self._usage.get(outs), dict)
        for kind in _KINDS if split else ():
            cached = self._first((ins, "cached_tokens_details", f"{kind}_tokens"))
            stated = self._first((ins, f"{kind}_tokens"))
            if stated is not None and cached is not None:
                stated = max(stated - cached, 0)
            self._keep(found, f"input_{kind}", stated, self.uncached())
            self._keep(found, f"cache_{kind}_read", cached, self.cache_read)
            self._keep(found, f"output_{kind}", self._first((outs, f"{kind}_tokens")), self.output)
        for each, tokens in self.beside:
            if each.modality is not None:
                whole = self.input if each.side == "input" else self.output
                self._keep(found, each.modality, tokens, whole)
        return found

    def _keep(
        self, found: dict[str, int], name: str, tokens: int | None, whole: int | None
    ) -> None:
        if not tokens:
            return
        if whole is not None and tokens <= whole:
            found[name] = tokens
        else:
            self._said[notes.MODALITY_EXCEEDS] = None

    def _first(self, *paths: Path) -> int | None:
        for path in paths:
            value = lookup(self._usage, path)
            if value is None:
                continue
            number = count(value)
            if number is not None:
                return number
            self._said[notes.BAD_COUNT] = None
        return None

    def _tools(self) -> dict[str, int]:
        found: dict[str, int] = {}
        tables = (lookup(self._usage, path) for path in self._fields.server_tool_tables)
        table = next((each for each in tables if isinstance(each, Mapping)), {})
        for key, value in table.items():
            requests, tool = count(value), word(key)
            if len(found) >= MAX_TOOLS:
                break
            if requests and tool is not None and tool not in self._fields.no_tools:
                found[_requests_of(tool)] = requests
        for tool, path in self._fields.server_tools.items():
            requests = self._first(path)
            if requests:
                found.setdefault(tool, requests)
        return found

    def _settle_writes(self) -> None:
        """The split by time to live, against the total of cache writes."""
        split = plus(self.write_30m, self.write_12h)
        if self.cache_write is None:
            self.cache_write = split
        elif split is not None and split > self.cache_write:
            self.write_30m = self.write_12h = None
            self._said[notes.CACHE_SPLIT_EXCEEDS] = None

    def _settle_input(self) -> None:
        kinds = [self._first(path) for path in self._fields.input_sum]
        known = [number for number in kinds if number is not None]
        if not kinds or len(known) != len(kinds):
            return
        if self.input is None:
            self.input = sum(known)
        elif self.input != sum(known):
            self._doubt(notes.INPUT_MISMATCH)

    def _settle_output(self) -> None:
        if self.output is not None or not self._fields.rest_is_output:
            return
        if self._total is not None and self.input is not None and self._total >= self.input:
            self.output = self._total - self.input

    def _addends(self) -> list[_Addend]:
        cached = (self.cache_read or 0) + (self.cache_write or 0)
        found = [
            _Addend("reasoning", self.reasoning or 0, self._fields.reasoning_nesting),
            _Addend("cache", cached, "inside"),
        ]
        found += [
            _Addend(str(at), tokens or 0, each.nesting)
            for at, (each, tokens) in enumerate(self.beside)
        ]
        return [each for each in found if each.tokens]

    def _outside(self) -> set[str] | None:
        """What stands outside by the total; by convention if there is none; None: nothing fits."""
        addends = self._addends()
        if self._total is None or self.input is None or self.output is None:
            return {each.name for each in addends if each.nesting != "inside"}
        missing = self._total - self.input - self.output
        for size in range(len(addends) + 1):
            for some in combinations(addends, size):
                if sum(each.tokens for each in some) == missing:
                    return {each.name for each in some}
        return None

    def _rest(self) -> set[str] | None:
        """Reasoning that only the total has, where a provider's is known for that; else None."""
        known = (self._total, self.input, self.output)
        if not self._fields.rest_is_reasoning or self.reasoning is not None or None in known:
            return None
        missing = (self._total or 0) - (self.input or 0) - (self.output or 0)
        if missing < 0:
            return None
        self.reasoning = missing
        return {"reasoning"}

    def _lower_bound(self) -> set[str]:
        """What must stand outside since it is larger than what should hold it."""
        apart = self._fields.reasoning_nesting != "inside"
        return {"reasoning"} if apart and (self.reasoning or 0) > (self.output or 0) else set()

    def _drop_what_does_not_fit(self) -> None:
        if self.input is not None and (self.cache_read or 0) > self.input:
            self.cache_read = None
            self._doubt(notes.CACHE_EXCEEDS_INPUT)
        left = None if self.input is None else self.input - (self.cache_read or 0)
        if left is not None and (self.cache_write or 0) > left:
            self.cache_write = self.write_30m = self.write_12h = None
            self._doubt(notes.CACHE_EXCEEDS_INPUT)
        if self.output is not None and (self.reasoning or 0) > self.output:
            self.reasoning = None
            self._said[notes.REASONING_EXCEEDS_OUTPUT] = None

    def _doubt(self, note: str) -> None:
        self._said[note] = None
        self.balanced = False


def _requests_of(tool: str) -> str:
    """A tool's requests by the name that they have everywhere: ``web_search_requests``.

    Providers also say ``web_search_calls``, or ``web_search`` alone.
    """
    return tool if tool.endswith(_REQUESTS) else tool.removesuffix("_calls") + _REQUESTS
