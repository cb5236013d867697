"""Medians, spreads and ratios of samples."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

import msgspec

from benchmarks.measure import Sample

type Value = Callable[[Sample], float | None]


def by_rate(sample: Sample) -> float:
    """Throughput."""
    return sample.rate


def by_cpu(sample: Sample) -> float | None:
    """Processor time."""
    return sample.cpu_s_per_1000


class Figure(msgspec.Struct, frozen=True):
    """A median over the rounds, and between what values they lay."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Figure | None:
        """Over what is known of ``values``; None if that is nothing."""
        known = [value for value in values if value is not None]
        return cls(statistics.median(known), min(known), max(known)) if known else None


def peers_of(samples: Sequence[Sample]) -> list[str]:
    """Who was measured, in that order."""
    return list(dict.fromkeys(sample.peer for sample in samples))


class Figures:
    """What the samples of a run say."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = {
            (sample.scenario, sample.streams, sample.peer, sample.round): sample
            for sample in samples
        }
        self.rounds = sorted({sample.round for sample in samples})
        self.peers = peers_of(samples)
        self.loads = list(dict.fromkeys((sample.scenario, sample.streams) for sample in samples))
        """Scenarios and numbers of streams."""

    def value(self, scenario: str, streams: int, peer: str, value: Value) -> Figure | None:
        """A value of a peer."""
        return Figure.of(
            value(sample)
            for number in self.rounds
            if (sample := self._samples.get((scenario, streams, peer, number)))
        )

    def added(self, scenario: str, streams: int, peer: str, value: Value) -> Figure | None:
        """What a peer's value is more than the direct way's, in the same round."""
        return self._compared(
            (scenario, streams, peer), (scenario, streams, "direct"), value, lambda a, b: a - b
        )

    def ratio(self, scenario: str, streams: int, peer: str, to: str, value: Value) -> Figure | None:
        """A peer's value divided by another peer's, in the same round."""
        return self._compared((scenario, streams, peer), (scenario, streams, to), value, _divided)

    def scenario_ratio(
        self, peer: str, first: tuple[str, int], second: tuple[str, int], value: Value
    ) -> Figure | None:
        """A peer's value in one scenario divided by its value in another, in the same round."""
        return self._compared((*first, peer), (*second, peer), value, _divided)

    def _compared(
        self,
        first: tuple[str, int, str],
        second: tuple[str, int, str],
        value: Value,
        how: Callable[[float, float], float | None],
    ) -> Figure | None:
        results = []
        for number in self.rounds:
            one = self._samples.get((*first, number))
            other = self._samples.get((*second, number))
            if one is None or other is None:
                continue
            a, b = value(one), value(other)
            if a is not None and b is not None:
                results.append(how(a, b))
        return Figure.of(results)


def _divided(a: float, b: float) -> float | None:
    return a / b if b else None
