"""Named scenarios, and the means to make one.

A scenario is asked for a reply to every request; None leaves the request to
the rest of the API. A name may be followed by modifiers that change how the
reply is delivered and nothing else: ``stream+gzip+random:7``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tokenproxy.simulator.reply import Reply, Request

Scenario = Callable[[Request], Reply | None]

SCENARIOS: dict[str, Callable[[], Scenario]] = {}
"""Name -> maker. A scenario may count, so each simulator gets its own."""


def scenario(name: str) -> Callable[[Callable[[], Scenario]], Callable[[], Scenario]]:
    """Register the decorated maker under ``name``."""

    def register(make: Callable[[], Scenario]) -> Callable[[], Scenario]:
        SCENARIOS[name] = make
        return make

    return register


def answers(name: str) -> Callable[[Callable[[Request], Reply]], Callable[[Request], Reply]]:
    """Register the decorated function: it answers model calls, each like the first."""

    def register(answer: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
        SCENARIOS[name] = lambda: calls_only(answer)
        return answer

    return register


def named(name: str) -> Scenario:
    """A fresh scenario by name, with modifiers.

    Raises:
        ValueError: no such scenario or modifier; the message lists what there is.
    """
    # Filled on import; here because the scenarios need this module's decorators.
    from tokenproxy.simulator import calls, demo, faults  # noqa: F401

    base, *modifiers = name.split("+")
    if base not in SCENARIOS:
        raise ValueError(f"unknown scenario {base!r}; there are: {', '.join(sorted(SCENARIOS))}")
    made = SCENARIOS[base]()
    for modifier in modifiers:
        made = modified(made, modifier)
    return made


def calls_only(answer: Callable[[Request], Reply]) -> Scenario:
    """A scenario that answers model calls by ``answer`` and nothing else."""
    return lambda request: answer(request) if request.is_call else None


def in_order(*parts: Scenario) -> Scenario:
    """Each model call gets the next of ``parts``; the last one stays."""
    left = list(parts)

    def reply(request: Request) -> Reply | None:
        if not request.is_call:
            return parts[0](request)
        return (left.pop(0) if len(left) > 1 else left[0])(request)

    return reply


def by_model(parts: Mapping[str, Scenario], other: Scenario) -> Scenario:
    """Choose by what the requested model's name begins with."""

    def reply(request: Request) -> Reply | None:
        part = next((p for name, p in parts.items() if request.model.startswith(name)), other)
        return part(request)

    return reply


def by_header(name: str, parts: Mapping[str, Scenario], other: Scenario) -> Scenario:
    """Choose by the value of request header ``name``."""
    return lambda request: parts.get(request.header(name) or "", other)(request)


def changed(inner: Scenario, **fields: Any) -> Scenario:
    """``inner`` with fields of its replies replaced (``encoding=``, ``chunks=``, ...)."""

    def reply(request: Request) -> Reply | None:
        made = inner(request)
        return None if made is None else msgspec.structs.replace(made, **fields)

    return reply


def paced(inner: Scenario, delay_s: float) -> Scenario:
    """``inner`` with ``delay_s`` seconds before every piece of its replies."""

    def reply(request: Request) -> Reply | None:
        made = inner(request)
        if made is None:
            return None
        pieces = tuple(msgspec.structs.replace(p, delay_s=delay_s) for p in made.pieces)
        return msgspec.structs.replace(made, pieces=pieces)

    return reply


def modified(inner: Scenario, modifier: str) -> Scenario:
    """``inner`` delivered as ``modifier`` says.

    ``auto``, ``br``, ``gzip``, ``zstd``, ``deflate``, ``deflate-raw`` compress,
    ``bytes``, ``whole`` and ``random:SEED`` draw chunk boundaries, ``each:MS``
    waits that many milliseconds before every piece. ValueError for any other.
    """
    kind, _, value = modifier.partition(":")
    match kind:
        case "auto" | "br" | "gzip" | "zstd" | "deflate" | "deflate-raw":
            return changed(inner, encoding=kind)
        case "bytes" | "whole" | "random":
            return changed(inner, chunks=modifier, sized=False)
        case "each" if value.isdigit():
            return paced(inner, int(value) / 1000)
        case _:
            raise ValueError(f"unknown modifier {modifier!r} of a scenario")
