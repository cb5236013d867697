"""mitmdump as it comes, told to stream: what tokenproxy is built on."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

from benchmarks.peers.peer import Way
from benchmarks.processes import Server, Unavailable, free_port
from benchmarks.scenarios import Scenario
from benchmarks.traffic_run import Load, Upstream


class Mitmdump:
    name = "mitmdump"

    def __init__(self) -> None:
        self._plain: Server | None = None
        self._tls: Server | None = None

    def start(self, upstream: Upstream, work: Path) -> None:
        program = shutil.which("mitmdump", path=str(Path(sys.executable).parent))
        if program is None:
            raise Unavailable("mitmdump is not beside this Python: make install")
        self._upstream = upstream
        self._ca = work / "mitm" / "mitmproxy-ca-cert.pem"
        self._port, self._tls_port = free_port(), free_port()
        command = [
            program, "--quiet", "--listen-host", "127.0.0.1",
            "--set", f"confdir={work / 'mitm'}",
            "--set", "stream_large_bodies=1",
            "--set", f"ssl_verify_upstream_trusted_ca={upstream.ca}",
        ]  # fmt: skip
        reverse = ["--mode", f"reverse:{upstream.url(tls=False)}", "-p", str(self._port)]
        self._plain = Server(self.name, [*command, *reverse], work=work, env=os.environ)
        self._plain.wait_for_port(self._port)
        regular = ["--mode", "regular", "-p", str(self._tls_port)]
        self._tls = Server(f"{self.name}-tls", [*command, *regular], work=work, env=os.environ)
        self._tls.wait_for_port(self._tls_port)

    def version(self) -> dict[str, str]:
        return {self.name: metadata.version("mitmproxy")}

    def way(self, scenario: Scenario) -> Way | None:
        assert self._plain is not None and self._tls is not None  # noqa: PT018, S101 - started
        if scenario.tls:
            return Way(
                pids=(self._tls.pid,),
                addr=f"127.0.0.1:{self._upstream.ports.https}",
                proxy=f"127.0.0.1:{self._tls_port}",
                ca=self._ca,
            )
        return Way(pids=(self._plain.pid,), addr=f"127.0.0.1:{self._port}")

    def settle(self, scenario: Scenario, load: Load) -> None:
        pass

    def stop(self) -> None:
        for server in (self._plain, self._tls):
            if server is not None:
                server.stop()
