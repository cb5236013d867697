"""Counts of durations by bucket, as ``traffic load`` prints them (``traffic/histogram.go``)."""

from __future__ import annotations

from collections.abc import Mapping

PER_OCTAVE = 64
"""Buckets between a duration and its double: neighbours are 1.1 % apart."""


def middle_ns(bucket: int) -> float:
    """The duration in nanoseconds that stands for a bucket."""
    if bucket < PER_OCTAVE:
        return bucket
    shift, place = divmod(bucket, PER_OCTAVE)
    # Bucket PER_OCTAVE * shift + n with n from PER_OCTAVE on holds n * 2**shift and a step more.
    return (place + PER_OCTAVE + 0.5) * 2.0 ** (shift - 1)


def quantile_ms(counts: Mapping[int, int], q: float) -> float | None:
    """The smallest duration that ``q`` of them do not exceed, in milliseconds; None if empty."""
    total = sum(counts.values())
    if not total:
        return None
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= q * total:
            return middle_ns(bucket) / 1e6
    raise AssertionError("q is over 1")


def bucket(ns: int) -> int:
    """The bucket of a duration, as ``bucket`` in ``traffic/histogram.go``."""
    if ns < PER_OCTAVE:
        return max(ns, 0)
    shift = ns.bit_length() - PER_OCTAVE.bit_length()
    return PER_OCTAVE * shift + (ns >> shift)
