"""Where captures lie: ``{state}/captures/{run_id}/{call_id}.json.zst``, for this user alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import zstandard

ENDING: Final = ".json.zst"
MOST: Final = 1024 * 1024 * 1024
"""Bytes of all captures; beyond them the oldest go, however young."""
_UNFINISHED: Final = ".part"
_DAY_S: Final = 86_400.0
_HOUR_S: Final = 3600.0
"""Nobody writes one file for so long."""
_LARGEST: Final = 512 * 1024 * 1024
"""Bytes of one, unpacked: two bodies of 32 MiB, each byte six as JSON."""


def captures_dir(state: Path) -> Path:
    """The directory of all captures below our state directory."""
    return state / "captures"


def write(directory: Path, run_id: str, call_id: str, packed: bytes) -> None:
    """Keep a capture: whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    place = directory / run_id
    for each in (directory, place):
        each.mkdir(mode=0o700, exist_ok=True)
    path = place / f"{call_id}{ENDING}"
    unfinished = path.with_suffix(_UNFINISHED)
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(packed)
        unfinished.rename(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def read(path: Path) -> dict[str, Any]:
    """A capture.

    Raises:
        OSError: It cannot be read.
        ValueError: It is none.
    """
    try:
        with zstandard.ZstdDecompressor().stream_reader(path.read_bytes()) as packed:
            found: dict[str, Any] = msgspec.json.decode(packed.read(_LARGEST), type=dict[str, Any])
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise ValueError(str(error)) from None
    return found


def captures(directory: Path) -> Iterator[Path]:
    """All captures, the oldest first."""
    found: list[tuple[float, Path]] = []
    for path in directory.glob(f"*/*{ENDING}"):
        with suppress(OSError):
            found.append((path.stat().st_mtime, path))
    for _, path in sorted(found):
        yield path


def prune(directory: Path, days: float, *, keep: str = "", now: float | None = None) -> int:
    """Remove captures older than ``days``, and the oldest beyond :data:`MOST` bytes.

    What a killed writer has left unfinished goes when it is as old, or an hour old.

    Args:
        directory: Of all captures.
        days: 0 removes all of them.
        keep: A run whose directory stays, empty or not.
        now: Unix time, seconds; the present by default.

    Returns:
        How many were removed.

    Raises:
        OSError: One cannot be removed.
    """
    now = time.time() if now is None else now
    oldest = now - days * _DAY_S
    everything = list(captures(directory))
    total = sum(_size(path) for path in everything)
    removed = 0
    for path in everything:
        size = _size(path)
        with suppress(FileNotFoundError):
            if path.stat().st_mtime > oldest and total <= MOST:
                continue
            path.unlink()
            removed += 1
            total -= size
    for path in directory.glob(f"*/*{_UNFINISHED}"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime <= max(oldest, now - _HOUR_S):
                path.unlink()
    for place in directory.glob("*/"):
        if place.name != keep:
            with suppress(OSError):  # another run's, at work
                place.rmdir()
    return removed


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
