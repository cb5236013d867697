"""Google's usage objects: how those of one answer merge and what they add up to.

The rules (SDK ``types.py``, ``UsageMetadata`` and its kin; API reference,
"UsageMetadata"; "Context caching"; reports of what streams carry):

* The counts of a stream are totals so far and are never added up. A field may
  stand in some chunks only, and a last, partial chunk may leave it out or put 0
  for it: the last positive statement of each field holds.
* The prompt includes what was read from the cache. What tools of Google's fed
  back (``toolUsePromptTokenCount``) stands *beside* it and is input as well.
* Thoughts stand beside the candidates; some versions counted them in. The total
  decides: ``prompt + tools + candidates + thoughts`` means beside, without the
  thoughts it means inside. JSON leaves zeros out: an output that is not stated
  is what the total leaves over.
* If no reading adds up, the largest statement of each field is tried; if that
  does not either, the counts are a lower bound and a note says so.
* ``*TokensDetails`` split counts by modality. Documents are seen as images and
  are billed as such (so does genai-prices); what is left over is text.
* The Interactions API says the same in other words (``Names``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tokenproxy.wire import notes
from tokenproxy.wire.usage import UsagePart
from tokenproxy.wire.words import count

_MEDIA: Mapping[str, str] = {
    "AUDIO": "audio",
    "IMAGE": "image",
    "DOCUMENT": "image",
    "VIDEO": "video",
}
_NO_TIERS = ("traffic_type_unspecified", "service_tier_unspecified", "unspecified")
_TIER = re.compile(r"[a-z][a-z0-9_]{0,31}")
_MAX_DETAILS = 32


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """How one API calls its counts; of several names for one, the first that is stated holds."""

    prompt: str = "promptTokenCount"
    cached: str = "cachedContentTokenCount"
    tools: str = "toolUsePromptTokenCount"
    output: tuple[str, ...] = ("candidatesTokenCount",)
    thoughts: str = "thoughtsTokenCount"
    total: str = "totalTokenCount"
    prompt_details: str = "promptTokensDetails"
    cached_details: str = "cacheTokensDetails"
    tools_details: str = "toolUsePromptTokensDetails"
    output_details: tuple[str, ...] = ("candidatesTokensDetails",)
    tokens: str = "tokenCount"
    """Within one of the details."""
    tier: tuple[str, ...] = ("serviceTier", "trafficType")

    def counts(self) -> tuple[str, ...]:
        """The names of all counts."""
        return self.prompt, self.cached, self.tools, *self.output, self.thoughts, self.total

    def others(self) -> tuple[str, ...]:
        """The names of all else that is read."""
        details = (self.prompt_details, self.cached_details, self.tools_details)
        return *details, *self.output_details, *self.tier


GENERATE = Names()


class Held(msgspec.Struct, frozen=True):
    """The usage that holds after all objects so far."""

    last: dict[str, Any] = msgspec.field(default_factory=dict)
    """Field by field what was last stated."""
    most: dict[str, int] = msgspec.field(default_factory=dict)
    """Count by count the largest that was stated."""

    def merged(self, usage: Mapping[str, Any], names: Names) -> Held:
        """What holds when another object has come."""
        last, most = dict(self.last), dict(self.most)
        for key in names.counts():
            stated = count(usage.get(key))
            if stated is not None and (stated or not last.get(key)):
                last[key] = stated
                most[key] = max(stated, most.get(key, 0))
        last |= {key: usage[key] for key in names.others() if usage.get(key)}
        return Held(last, most)


class Bill(msgspec.Struct, frozen=True):
    """What a usage comes to."""

    part: UsagePart | None = None
    notes: tuple[str, ...] = ()
    whole: bool = False
    """Input and output are known, and the counts add up to the total."""


class _Counts(msgspec.Struct, frozen=True):
    prompt: int | None
    cached: int | None
    tools: int | None
    visible: int | None
    """The candidates' tokens, as stated."""
    thoughts: int | None
    total: int | None

    def stated_output(self) -> int | None:
        """All output as documented, thoughts beside candidates."""
        if self.visible is None and self.thoughts is None:
            return None
        return (self.visible or 0) + (self.thoughts or 0)

    def output(self) -> int | None:
        """All output by the total, or as documented if there is none; None: does not add up."""
        if self.total is None or self.prompt is None:
            return self.stated_output()
        stated = self.stated_output() or 0
        left = self.total - self.prompt - (self.tools or 0)
        if left == stated:
            return left
        if self.visible is None:
            return left if left >= stated else None
        inside = left == self.visible and (self.thoughts or 0) <= self.visible
        return left if inside else None


def bad_counts(usage: Mapping[str, Any], names: Names) -> bool:
    """Whether a token count is there but is no count."""
    for key in names.counts():
        stated = usage.get(key)
        if stated is not None and count(stated) is None:
            return True
    return False


def bill(held: Held, names: Names) -> Bill:
    """Add up what holds."""
    counts = _counts(held.last, names)
    output = counts.output()
    if output is None and counts.total is not None:
        largest = _counts(held.most, names)
        output = largest.output()
        if output is not None:
            counts = largest
    *kinds, total = msgspec.structs.astuple(counts)
    if not any(stated is not None for stated in kinds):
        return Bill(notes=() if total is None else (notes.TOTAL_MISMATCH,))
    said: list[str] = []
    balanced = output is not None or counts.total is None or counts.prompt is None
    if not balanced:
        said.append(notes.TOTAL_MISMATCH)
        output = counts.stated_output()
    reasoning = counts.thoughts
    if reasoning is not None and (output is None or reasoning > output):
        reasoning = None
        said.append(notes.REASONING_EXCEEDS_OUTPUT)
    cached = counts.cached
    if cached is not None and counts.prompt is not None and cached > counts.prompt:
        cached, balanced = None, False
        said.append(notes.CACHE_EXCEEDS_INPUT)
    uncached = None
    if counts.prompt is not None:
        uncached = counts.prompt - (cached or 0) + (counts.tools or 0)
    modalities, split = _modalities(held.last, names, uncached, cached, output)
    part = UsagePart(
        uncached_input_tokens=uncached,
        cache_read_input_tokens=cached,
        output_tokens=output,
        reasoning_output_tokens=reasoning,
        modality_tokens=modalities,
        service_tier=_tier(held.last, names),
    )
    known = uncached is not None and output is not None
    return Bill(part, (*said, *split), whole=balanced and known)


def tier(value: Any) -> str | None:
    """A service tier or traffic type, the provider's word in lower case."""
    lowered = value.strip().lower() if isinstance(value, str) else ""
    return lowered if _TIER.fullmatch(lowered) and lowered not in _NO_TIERS else None


def _counts(usage: Mapping[str, Any], names: Names) -> _Counts:
    return _Counts(
        prompt=count(usage.get(names.prompt)),
        cached=count(usage.get(names.cached)),
        tools=count(usage.get(names.tools)),
        visible=next(
            (stated for key in names.output if (stated := count(usage.get(key))) is not None), None
        ),
        thoughts=count(usage.get(names.thoughts)),
        total=count(usage.get(names.total)),
    )


def _tier(usage: Mapping[str, Any], names: Names) -> str | None:
    return next((word for key in names.tier if (word := tier(usage.get(key))) is not None), None)


def _modalities(
    usage: Mapping[str, Any],
    names: Names,
    uncached: int | None,
    cached: int | None,
    output: int | None,
) -> tuple[dict[str, int], list[str]]:
    """Subsets that are priced apart, and notes."""
    sent = _by_media(usage.get(names.prompt_details), names)
    read = _by_media(usage.get(names.cached_details), names)
    fed_back = _by_media(usage.get(names.tools_details), names)
    made: dict[str, int] = {}
    for key in names.output_details:
        made = made or _by_media(usage.get(key), names)
    found: dict[str, int] = {}
    said: list[str] = []
    fresh = {
        media: sent.get(media, 0) - read.get(media, 0) + fed_back.get(media, 0)
        for media in dict.fromkeys([*sent, *fed_back])
    }
    unclear = bool(sent and cached) and not isinstance(usage.get(names.cached_details), list)
    if unclear:
        fresh = {media: min(tokens, uncached or 0) for media, tokens in fresh.items()}
        said.append(notes.MODALITY_SPLIT_UNCLEAR)
    for kind, subsets, whole in (
        ("input_{}", fresh, uncached),
        ("cache_{}_read", {media: read[media] for media in read if media != "video"}, cached),
        ("output_{}", made, output),
    ):
        if sum(subsets.values()) > (whole or 0) or min(subsets.values(), default=0) < 0:
            said.append(notes.MODALITY_EXCEEDS)
        else:
            found |= {kind.format(media): tokens for media, tokens in subsets.items() if tokens}
    return found, list(dict.fromkeys(said))


def _by_media(details: Any, names: Names) -> dict[str, int]:
    found: dict[str, int] = {}
    for detail in details[:_MAX_DETAILS] if isinstance(details, list) else []:
        modality = detail.get("modality") if isinstance(detail, dict) else None
        media = _MEDIA.get(modality.upper()) if isinstance(modality, str) else None
        tokens = count(detail.get(names.tokens)) if media is not None else None
        if media is not None and tokens:
            found[media] = found.get(media, 0) + tokens
    return found
