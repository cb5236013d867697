"""All that a run gives, as it is kept in a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.measure import Sample
from benchmarks.memory import Memory
from benchmarks.reading import Read
from benchmarks.record import Record
from benchmarks.startup import Start


class Results(msgspec.Struct, kw_only=True):
    """One run."""

    taken: str
    """UTC."""
    revision: str
    """Of this repository, with ``+`` if something was changed since."""
    machine: dict[str, str | int | float | bool]
    settings: dict[str, str | int | float | bool]
    versions: dict[str, str]
    """Of the peers."""
    samples: list[Sample]
    starts: list[Start]
    memory: list[Memory]
    notes: list[str]
    """Who was left out, and why."""
    faults: list[str] = []
    """Measurements that have no figure, because calls were not whole or their rows not right."""
    records: list[Record] = []
    reads: list[Read] = []

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        return msgspec.json.decode(path.read_bytes(), type=cls)
