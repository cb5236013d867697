"""The specification's everyday samplers (trace/sdk.md, "Built-in samplers")."""

from __future__ import annotations

from collections.abc import Mapping

from tokenproxy.telemetry.span import SpanContext

_PARENT_BASED = "parentbased_"
_LOW_BITS = (1 << 64) - 1


class Sampler:
    """Keeps a part of all traces.

    Args:
        ratio: the part, from 0 to 1.
        parent_based: whether what a span's parent is decides, where it has one.
    """

    def __init__(self, ratio: float, *, parent_based: bool) -> None:
        self._bound = round(ratio * (1 << 64))
        self._parent_based = parent_based

    def keeps(self, trace_id: str, parent: SpanContext | None) -> bool:
        """Whether a span is kept; of a trace all or none, if all ask the same way.

        Raises:
            ValueError: The id is none.
        """
        if parent is not None and self._parent_based:
            return parent.sampled
        return int(trace_id, 16) & _LOW_BITS < self._bound


def sampler(env: Mapping[str, str]) -> Sampler | None:
    """The sampler that ``OTEL_TRACES_SAMPLER`` names; None if it names none of these."""
    name = env.get("OTEL_TRACES_SAMPLER", "") or f"{_PARENT_BASED}always_on"
    bare = name.lower()
    root = bare.removeprefix(_PARENT_BASED)
    match root:
        case "always_on":
            ratio = 1.0
        case "always_off":
            ratio = 0.0
        case "traceidratio":
            ratio = _ratio(env.get("OTEL_TRACES_SAMPLER_ARG", ""))
        case _:
            return None
    return Sampler(ratio, parent_based=bare != root) if 0 <= ratio <= 1 else None


def _ratio(argument: str) -> float:
    try:
        return float(argument)
    except ValueError:
        return -1.0  # no ratio
