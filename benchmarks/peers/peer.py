"""What every peer is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from benchmarks.scenarios import Scenario
from benchmarks.traffic_run import Load, Upstream


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How clients reach the model API through a peer."""

    pids: tuple[int, ...]
    """Whose processor time is the peer's; none for the direct way."""
    addr: str
    """HOST:PORT of the API, as a client names it."""
    proxy: str = ""
    """HOST:PORT of the proxy before it that CONNECT goes to."""
    ca: Path | None = None
    """Authority to trust; None: no TLS."""
    sni: str = "api.anthropic.com"
    prefix: str = ""
    """Of every path."""

    def arguments(self, scenario: Scenario) -> list[str]:
        """For ``traffic load``."""
        path = "/v1/responses" if scenario.socket else "/v1/messages"
        arguments = [f"-addr={self.addr}", f"-path={self.prefix}{path}"]
        if self.proxy:
            arguments.append(f"-proxy={self.proxy}")
        if self.ca is not None:
            arguments += [f"-ca={self.ca}", f"-sni={self.sni}"]
        return arguments


class Peer(Protocol):
    """One way to the model API."""

    name: str

    def start(self, upstream: Upstream, work: Path) -> None:
        """Be ready for calls.

        Raises:
            Unavailable: It is not on this machine, or does not start.
        """

    def version(self) -> dict[str, str]:
        """Its name and version, once it runs; empty if it has none."""

    def way(self, scenario: Scenario) -> Way | None:
        """The way for a scenario; None if it has none."""

    def settle(self, scenario: Scenario, load: Load) -> None:
        """Wait until what it does after a load is done, and check that it is right."""

    def stop(self) -> None:
        """End its processes."""
