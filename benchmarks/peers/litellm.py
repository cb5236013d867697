"""LiteLLM's proxy, if it was installed: the usual gateway. Not measured unless named."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.cache import cache
from benchmarks.peers.peer import Way
from benchmarks.processes import Server, Unavailable, free_port
from benchmarks.scenarios import Scenario
from benchmarks.traffic_run import Load, Upstream

CONFIG = """\
model_list:
  - model_name: claude-sonnet-4-5-20250929
    litellm_params:
      model: anthropic/claude-sonnet-4-5-20250929
      api_base: {url}
      api_key: sk-ant-none
litellm_settings:
  telemetry: false
"""
START_S = 120.0


class Litellm:
    name = "litellm"

    def __init__(self) -> None:
        self._server: Server | None = None

    def start(self, upstream: Upstream, work: Path) -> None:
        place = cache() / "pip" / "litellm"
        program = shutil.which("litellm", path=str(place / "bin")) or shutil.which("litellm")
        if program is None:
            raise Unavailable(
                f"litellm is not installed: python -m venv {place}, then"
                f" {place}/bin/pip install 'litellm[proxy]'"
            )
        self._program = program
        self._port = free_port()
        config = work / "litellm.yaml"
        config.write_text(CONFIG.format(url=upstream.url(tls=False)))
        command = [
            program,
            "--config",
            str(config),
            "--host",
            "127.0.0.1",
            "--port",
            str(self._port),
        ]
        env = os.environ | {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # on loopback alone
        }
        self._server = Server(self.name, command, work=work, env=env)
        self._server.wait_for_port(self._port, START_S)

    def version(self) -> dict[str, str]:
        python = Path(self._program).with_name("python")
        script = "from importlib.metadata import version; print(version('litellm'))"
        done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
        return {self.name: done.stdout.strip()}

    def way(self, scenario: Scenario) -> Way | None:
        if scenario.tls or scenario.gzip or scenario.socket:
            return None  # it opens no TLS, and decompresses what it reads
        assert self._server is not None  # noqa: S101 - started
        return Way(pids=(self._server.pid,), addr=f"127.0.0.1:{self._port}")

    def settle(self, scenario: Scenario, load: Load) -> None:
        pass

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
