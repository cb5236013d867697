"""What a run used so far: the sums behind its one-line summary."""

from __future__ import annotations

from tokenproxy.config import Summary
from tokenproxy.record.row import Row

_FIRST_ERROR_STATUS = 400


class Tally:
    """Sums over rows, and sentences for the user. One thread writes, any may read."""

    def __init__(self) -> None:
        self._calls = self._failed = self._unpriced = self._incomplete = 0
        self._input = self._output = self._read = self._written = 0
        self._cost = 0.0
        self._warnings: dict[str, None] = {}

    def count(self, row: Row) -> None:
        """Add a row."""
        self._calls += 1
        self._failed += not row.success
        self._input += row.input_tokens or 0
        self._output += row.output_tokens or 0
        self._read += row.cache_read_input_tokens or 0
        self._written += row.cache_creation_input_tokens or 0
        self._cost += row.cost_usd or 0.0
        used = row.completeness != "none"
        self._unpriced += used and row.cost_usd is None
        answered = row.status_code is not None and row.status_code < _FIRST_ERROR_STATUS
        # A lost call's status died with its proxy; that it was cut short did not.
        self._incomplete += row.completeness != "final" and (answered or row.outcome == "lost")

    def warn(self, sentence: str) -> None:
        """Something worth telling the user, once."""
        self._warnings[sentence] = None

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
            warnings=tuple(self._warnings),
        )
