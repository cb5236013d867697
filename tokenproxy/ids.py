"""Identifiers: UUIDv7 for rows and runs, W3C ids for traces."""

from __future__ import annotations

import os
import time

try:
    # hashlib's own, without hashlib: that loads OpenSSL, and the user's command waits for it.
    from _blake2 import blake2b
except ImportError:  # a Python that has it elsewhere
    from hashlib import blake2b

DERIVED_VERSION = 8
"""Of UUIDs that follow from something else (RFC 9562: "of the maker's own making")."""


def uuid7() -> str:
    """A time-ordered UUID (RFC 9562, version 7) in its usual text form."""
    value = int.from_bytes(os.urandom(16))
    value &= (1 << 80) - 1
    value |= (time.time_ns() // 1_000_000) << 80
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_trace_id() -> str:
    """32 lower-case hex digits, never all zero."""
    return os.urandom(15).hex() + "01"


def new_span_id() -> str:
    """16 lower-case hex digits, never all zero."""
    return os.urandom(7).hex() + "01"


def derived_span_id(trace_id: str, *parts: str) -> str:
    """The same span id for the same words.

    Parents are exported after their children and may be exported by another
    process (a restarted proxy), so their ids must follow from what a call knows.
    """
    return digest("\0".join((trace_id, *parts)).encode(), 7) + "01"


def iteration_span_id(trace_id: str, run_id: str) -> str:
    """The span id of a run's own span: a ledger row, which names both, tells it too."""
    return derived_span_id(trace_id, "iteration", run_id)


def derived_trace_id(*parts: str) -> str:
    """The same trace id for the same words (gateway mode: one trace a turn)."""
    return digest("\0".join(parts).encode(), 15) + "01"


def digest(data: bytes, size: int) -> str:
    """BLAKE2b (RFC 7693) of ``data`` in ``size`` bytes, as hex digits."""
    return blake2b(data, digest_size=size).hexdigest()
