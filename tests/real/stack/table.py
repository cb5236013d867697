"""What the comparison found, as a table that is printed at the end of the tests."""

from __future__ import annotations

from collections.abc import Mapping

HEAD = ("query", "ledger", "Prometheus", "Jaeger", "")


class Table:
    """One line a number: the ledger's, Prometheus' and Jaeger's."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._lines: list[tuple[str, int, int, int]] = []

    def add(
        self,
        name: str,
        ledger: Mapping[str, int],
        prometheus: Mapping[str, int],
        jaeger: Mapping[str, int],
    ) -> None:
        """A sum by a dimension, a line for each of its values."""
        for value in sorted({*ledger, *prometheus, *jaeger}):
            found = (ledger.get(value, 0), prometheus.get(value, 0), jaeger.get(value, 0))
            self._lines.append((f"{name} {value}", *found))

    def unequal(self) -> list[str]:
        """The lines whose three numbers differ."""
        return [name for name, *numbers in self._lines if len(set(numbers)) > 1]

    def text(self) -> str:
        """The table for people."""
        differ = set(self.unequal())
        body = [
            (name, *(f"{number:,}" for number in numbers), "≠" if name in differ else "=")
            for name, *numbers in self._lines
        ]
        lines = [HEAD, *body]
        widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
        return "\n".join(
            [
                self.title,
                *(
                    "  ".join(
                        cell.ljust(width) if column == 0 else cell.rjust(width)
                        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
                    ).rstrip()
                    for line in lines
                ),
            ]
        )
