"""What a run used so far: the sums behind its one-line summary."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from tokenproxy.config import Summary
from tokenproxy.record.lines import tail_rows
from tokenproxy.record.row import Row
from tokenproxy.wire import notes

TAIL_BYTES = 16 * 1024 * 1024
"""How far back a restarted recorder looks for its run's calls: some ten thousand."""

UNPRICED_NAMED = 20
"""Models without a price that are told by name."""

_FIRST_ERROR_STATUS = 400
_CUT_SHORT = ("aborted", "truncated", "lost")
"""Outcomes of calls that had no end, and so no last word on their usage."""


class Tally:
    """Sums over rows, and sentences for the user. One thread writes, any may read."""

    def __init__(self) -> None:
        self.no_prices = False
        """Nothing can be priced: that is told once, and not of each model."""
        self.declined: AbstractSet[tuple[str, str]] = frozenset()
        """Provider and model of what the user does not want priced: no warning is due."""
        self._calls = self._failed = self._unpriced = self._incomplete = 0
        self._input = self._output = self._read = self._written = 0
        self._cost = 0.0
        self._warnings: dict[str, None] = {}
        self._unpriced_models: set[tuple[str, str]] = set()
        self._unasked = 0

    def count(self, row: Row) -> None:
        """Add a row."""
        self._calls += 1
        self._failed += not row.success
        self._input += row.input_tokens or 0
        self._output += row.output_tokens or 0
        self._read += row.cache_read_input_tokens or 0
        self._written += row.cache_creation_input_tokens or 0
        spent = row.spent_usd
        self._cost += spent or 0.0
        if spent is None and row.completeness != "none":
            self._unpriced += 1
            self._warn_of_price(row)
        self._unasked += notes.INCLUDE_USAGE_ABSENT in (row.notes or ())
        answered = row.status_code is not None and row.status_code < _FIRST_ERROR_STATUS
        # Whoever broke off, before the answer's head or after: it may have been billed.
        self._incomplete += row.completeness == "partial" or (
            row.completeness == "none" and (answered or row.outcome in _CUT_SHORT)
        )

    def warn(self, sentence: str) -> None:
        """Something worth telling the user, once."""
        self._warnings[sentence] = None

    def _warn_of_price(self, row: Row) -> None:
        """Once a model: its tokens are known and their price is not."""
        if self.no_prices:
            return
        billed = tuple(part for part in row.parts or () if part.billable is not False)
        for counts in billed or (row,):
            known = counts.input_tokens is not None and counts.output_tokens is not None
            if not known or counts.cost_usd is not None:
                continue
            model = counts.model or row.model or "an unnamed model"
            # Where the price depends on a place, it was looked up by the requested name.
            names = {model, row.requested_model if model == row.model else None}
            if any((row.provider, name) in self.declined for name in names):
                continue
            if len(self._unpriced_models) < UNPRICED_NAMED:
                self._unpriced_models.add((model, row.provider))
            if (model, row.provider) in self._unpriced_models:
                self.warn(
                    f"No price is known for {model} ({row.provider}):"
                    " its calls are not in the cost (config.toml can name one)."
                )

    def _loud(self) -> tuple[str, ...]:
        """Calls of which nothing is known, though it could be had for the asking."""
        if not self._unasked:
            return ()
        streams = "1 stream" if self._unasked == 1 else f"{self._unasked} streams"
        why = "because the client did not ask for it: --inject-include-usage asks"
        return (f"{streams} told no usage, {why}.",)

    def summary(self) -> Summary:
        """The sums so far."""
        return Summary(
            calls=self._calls,
            failed=self._failed,
            input_tokens=self._input,
            output_tokens=self._output,
            cache_read_input_tokens=self._read,
            cache_creation_input_tokens=self._written,
            cost_usd=self._cost,
            unpriced=self._unpriced,
            incomplete=self._incomplete,
            warnings=(*self._warnings, *self._loud()),
        )


def rows_of_run(ledger: Path, run_id: str) -> list[Row]:
    """The run's rows among the ledger's last 16 MiB, oldest first, each call once.

    A ledger that is not there, or cannot be read, has none.
    """
    found: dict[str, Row] = {}
    try:
        for line in tail_rows(ledger, TAIL_BYTES):
            if line.get("run_id") != run_id:
                continue
            try:
                row = msgspec.convert(line, Row)
            except msgspec.ValidationError:
                continue
            found.setdefault(row.call_id, row)
    except OSError:
        return []
    return list(found.values())[::-1]
