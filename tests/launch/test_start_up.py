"""What is imported before the user's command starts: all of it is what the command waits for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.launch.harness import ROOT, WAIT_S

HEAVY = {
    # Ours and our libraries': for the proxy, for reports, for reading options that are not plain.
    *("mitmproxy", "opentelemetry", "duckdb", "rich", "genai_prices", "typer", "click", "uvloop"),
    *("platformdirs", "tokenproxy.proxy", "tokenproxy.telemetry.pipeline", "tokenproxy.insight"),
    "tokenproxy.wire.anthropic",
    # Of cryptography the key and the signature, not X.509 nor all ciphers.
    *("cryptography.x509", "cryptography.hazmat.backends.openssl.backend"),
    *("cryptography.hazmat.primitives.serialization", "cryptography.hazmat.primitives.ciphers"),
    # What drags much along.
    *("typing_extensions", "inspect", "ast", "dataclasses", "asyncio", "concurrent", "logging"),
    *("subprocess", "threading", "tempfile", "shutil", "random", "hashlib", "ssl", "email"),
    *("http", "traceback", "argparse", "json", "csv", "tomllib", "importlib.metadata"),
}


def imported(tmp_path: Path) -> set[str]:
    """What is in ``sys.modules`` when the command is about to be started."""
    code = """
import sys
from tokenproxy.cli.main import main

class Finder:
    '''Puts itself before the start of the command as soon as its module is there.'''

    def find_spec(self, name, path=None, target=None):
        if name == "tokenproxy.launch.conductor":  # imported after the module of the command
            child = sys.modules["tokenproxy.launch.child"]
            start = child.spawn
            def spawn(*arguments):
                print(*sys.modules, sep="\\n", flush=True)
                return start(*arguments)
            child.spawn = spawn
        return None

sys.meta_path.insert(0, Finder())
main(["run", "--no-summary", "--", "true"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            "PYTHONPATH": str(ROOT),
            "HOME": str(tmp_path),
            "PATH": "/usr/bin:/bin",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        },
        stdout=subprocess.PIPE,
        check=True,
        timeout=WAIT_S,
        text=True,
    )
    return set(done.stdout.split())


def test_nothing_that_the_command_need_not_wait_for(tmp_path: Path) -> None:
    found = imported(tmp_path)
    assert {"tokenproxy.launch.run", "cryptography.hazmat.primitives.asymmetric.ec"} <= found
    assert sorted(found & HEAVY) == []


def test_msgspec_without_typing_extensions_is_msgspec_all_the_same() -> None:
    """It is hidden for that one import alone, and what msgspec takes instead serves."""
    code = """
import sys
from tokenproxy.cli import prefix
prefix._import_msgspec()
assert "typing_extensions" not in sys.modules
from tokenproxy.config import RunContext, ProxyConfig
import msgspec, typing_extensions
run = RunContext(run_id="r", trace_id="t", span_id="s", started_ns=1, labels={"a": "b"})
config = ProxyConfig(run=run, ledger="l", run_dir="d", listen_fd=3, no_proxy=("x",))
assert msgspec.json.decode(msgspec.json.encode(config), type=ProxyConfig) == config
before = dict(sys.modules)
prefix._import_msgspec()
assert dict(sys.modules) == before
"""
    subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, check=True, timeout=WAIT_S
    )
