"""What becomes of a request: where it goes, whether it is a call, and its tap.

Both ways through the proxy ask here: mitmproxy's by :mod:`tokenproxy.proxy.observer`,
the short one by :mod:`tokenproxy.proxy.lane`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tokenproxy.config import Limits, RunContext
from tokenproxy.proxy.calls import Calls
from tokenproxy.proxy.director import Director, Target
from tokenproxy.proxy.later import Later
from tokenproxy.proxy.settle import STOPPED
from tokenproxy.proxy.sockets import SocketTap
from tokenproxy.proxy.tap import Tap
from tokenproxy.record.recorder import Recorder
from tokenproxy.wire import routes
from tokenproxy.wire.dialect import SocketDialect

if TYPE_CHECKING:
    from tokenproxy.record.capture import Captures

logger = logging.getLogger(__name__)

UNLIMITED = Limits()
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]@/?#\\:,\s]+))(?::[0-9]*)?")
"""A Host field (RFC 9110, 7.2), a name or an address in brackets. Who reads one into anything
else (``a@b``) may each read another one."""


class Reception:
    """Knows the way of every request and opens the calls. Belongs to the event loop."""

    def __init__(
        self,
        *,
        run: RunContext,
        director: Director,
        recorder: Recorder,
        port: int,
        inject_include_usage: bool = False,
        only: Sequence[str] | None = None,
        limits: Limits = UNLIMITED,
        warn: Callable[[str], None] = logger.warning,
        captures: Captures | None = None,
    ) -> None:
        """Prepare.

        Args:
            run: Whose calls these are.
            director: Knows the ways.
            recorder: Gets the calls.
            port: Ours.
            inject_include_usage: Requests gain OpenAI's option where they lack it.
            only: Patterns of ``host:port`` that clients may name; None: any.
            limits: What a client may cost.
            warn: Takes a sentence for the user.
            captures: Keeps the calls' bodies; None: nobody does.
        """
        self._captures = captures
        self.relayed = 0
        """Requests that runs in front of this gateway record."""
        self._later = Later()
        self.director = director
        self.recorder = recorder
        self.calls = Calls(run, recorder)
        self.gateway = run.gateway
        self.port = port
        self.inject = inject_include_usage
        self.warn = warn
        self.limits = limits
        self._only = None if only is None else re.compile("|".join(only), re.IGNORECASE)

    @property
    def closed(self) -> bool:
        """Nothing more may go upstream: it could not be accounted for."""
        return self.calls.closed

    def permits(self, host: str, port: int) -> bool:
        """Whether a client may name this server: any, unless only model APIs are served."""
        return self._only is None or bool(self._only.match(f"{host}:{port}"))

    def permits_name(self, said: str, host: str) -> bool:
        """Whether a request to ``host`` may say that it is for ``said`` (its Host field).

        Big networks lead a request by that name, whatever server was asked for: where only
        model APIs are served they must be the same.
        """
        # A plain IPv6 address, as the proxy itself knows it, is no Host.
        return self._only is None or _name(said) == (_name(host) or host.lower())

    @property
    def serves_all(self) -> bool:
        """Whether clients may name any server, rather than model APIs alone."""
        return self._only is None

    def passed(self, target: Target) -> None:
        """A request that is no call went by."""
        if target.relayed:
            self.relayed += 1
        elif target.provider is not None:
            self.recorder.passed(target.provider, target.server_address)

    def tap(
        self, target: Target, headers: Mapping[str, str], started_ns: int | None = None
    ) -> Tap | None:
        """A call that begins, open from now on; None if it is none.

        Args:
            target: Where it goes.
            headers: The request's, names in lower case.
            started_ns: When it began; now by default.
        """
        if target.route is None:
            return None
        start = self.calls.start(target.route, target, headers, started_ns)
        captured = None
        if self._captures is not None:
            captured = self._captures.open(start, headers, target.path)
        call_soon = asyncio.get_running_loop().call_soon
        done = self.calls.remove
        tap = Tap(start, self.recorder, call_soon, captured, self._later, told=done)
        tap.request_headers(headers)
        self.calls.add(tap)
        return tap

    def socket_tap(
        self, target: Target, asked: Mapping[str, str], answered: Mapping[str, str]
    ) -> SocketTap | None:
        """A connection that was opened and carries calls; None if it carries none.

        Args:
            target: Where it leads.
            asked: The request's headers, names in lower case.
            answered: The response's.
        """
        route = target.route
        dialect = routes.dialect(route.dialect) if route is not None and route.socket else None
        if route is None or not isinstance(dialect, SocketDialect):
            return None
        return SocketTap(
            dialect=dialect,
            route=route,
            target=target,
            request_headers=asked,
            response_headers=answered,
            calls=self.calls,
            call_soon=asyncio.get_running_loop().call_soon,
            captures=self._captures,
        )

    def over(self, tap: Tap, broken: str | None, ended_ns: int | None = None) -> None:
        """A call is over, as HTTP ends or by whom it was broken off.

        Args:
            tap: The call's.
            broken: Who broke it off; None: nobody.
            ended_ns: When the last of it came; now by default.
        """
        tap.over(broken, ended_ns)

    def untrusted(self, host: str) -> None:
        """A client does not trust our CA, so it cannot be seen: say so."""
        instead = (
            f"Point its base URL at http://127.0.0.1:{self.port}/PROVIDER"
            if self.gateway
            else "Use --mode reverse for it"
        )
        self.warn(
            f"a program refused tokenproxy's certificate for {host}; its calls failed. "
            f"{instead}, or see docs/security.md for the variables it may honour."
        )

    async def idle(self, timeout_s: float) -> None:
        """Wait until no call is open, but no longer than ``timeout_s``."""
        await self.calls.idle(timeout_s)

    def close(self) -> None:
        """Let no more requests through, and account for the calls that are still open."""
        self.calls.close(STOPPED)


def _name(host: str) -> str | None:
    """A host's name without port, brackets, the root's dot; None if it is no Host at all."""
    found = _HOST.fullmatch(host.strip())
    return None if found is None else (found[1] or found[2]).lower().rstrip(".")
