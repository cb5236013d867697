"""A trace as a person reads it in Jaeger: what hangs on what, how long, and what is red."""

from __future__ import annotations

from collections.abc import Iterator

from tests.real.stack.jaeger import Span


class Outline:
    """The tree of some spans; a span whose parent is not among them is a root."""

    def __init__(self, spans: list[Span]) -> None:
        self.spans = sorted(spans, key=lambda span: span.start_us)
        self._known = {span.span_id: span for span in spans}

    def parent(self, span: Span) -> Span | None:
        """What it hangs on."""
        return self._known.get(span.parent_id or "")

    def below(self, parent: Span | None) -> list[Span]:
        """What hangs on ``parent``, or the roots, in the order of their starts."""
        return [span for span in self.spans if self.parent(span) is parent]

    def path(self, span: Span) -> tuple[str, ...]:
        """Names from the root down to the span."""
        above = self.parent(span)
        return (*(self.path(above) if above else ()), span.name)

    def role(self, role: str) -> list[Span]:
        """Our spans of that role."""
        return [span for span in self.spans if span.role == role]

    def names(self) -> list[str]:
        """The spans' names in the order of a page that is unfolded, indented; red ones marked."""
        return [
            f"{'  ' * depth}{span.name}{' !' if is_red(span) else ''}"
            for span, depth in self._unfolded()
        ]

    def text(self) -> str:
        """All of it, for people."""
        start = min((span.start_us for span in self.spans), default=0)
        return "\n".join(
            f"{'  ' * depth}{span.name} [{span.service}] {(span.start_us - start) / 1000:.0f}"
            f" +{span.duration_us / 1000:.0f} ms{' !' if is_red(span) else ''}"
            for span, depth in self._unfolded()
        )

    def _unfolded(self, parent: Span | None = None, depth: int = 0) -> Iterator[tuple[Span, int]]:
        for span in self.below(parent):
            yield span, depth
            yield from self._unfolded(span, depth + 1)


def is_red(span: Span) -> bool:
    """Whether Jaeger marks it as failed."""
    return span.tags.get("error") is True
