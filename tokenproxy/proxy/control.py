"""The line to the launcher: newline-delimited JSON over an inherited socket pair.

The launcher's first line is the :class:`~tokenproxy.config.ProxyConfig`; then
``{"child": pid}`` and ``{"finish": IterationEnd}``, or ``{"retire": true}`` to a gateway's
worker. We answer ``{"ready": true}`` or ``{"fatal": sentence}``, and at the end
``{"summary": Summary}``.
"""

from __future__ import annotations

import socket

import msgspec

from tokenproxy.config import IterationEnd, ProxyConfig, Summary


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message from the launcher after the configuration."""

    child: int | None = None
    finish: IterationEnd | None = None
    retire: bool = False


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message to the launcher."""

    ready: bool = False
    fatal: str | None = None
    summary: Summary | None = None


class Control:
    """The proxy's end of the line. Reading is blocking: use it before the loop or in a thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb")

    def read_config(self) -> ProxyConfig:
        """The first line. Raises EOFError if the launcher went away before it was sent."""
        line = self._file.readline()
        if not line:
            raise EOFError("the launcher closed the control line before it sent a configuration")
        return msgspec.json.decode(line, type=ProxyConfig)

    def read_order(self) -> Order | None:
        """The next order; None when the launcher is gone."""
        try:
            line = self._file.readline()
        except OSError:
            return None
        return msgspec.json.decode(line, type=Order) if line.endswith(b"\n") else None

    def send(self, answer: Answer) -> None:
        """Tell the launcher; a launcher that is gone is no error of ours."""
        try:
            self._sock.sendall(msgspec.json.encode(answer) + b"\n")
        except OSError:
            return
