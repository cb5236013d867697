"""The image: linted, built by a real engine and run by it, as its users would.

Not proven here: the official base image itself (a stand-in bears its name, see engine.py),
published ports, and Docker's or Kubernetes' own ways of asking after health.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.real import needs
from tests.real.stack.engine import Engine, limits
from tests.real.stack.gateway_container import HARDENED, call, rows, serving
from tests.test_project import locked
from tokenproxy.simulator.server import Simulator

ROOT = needs.ROOT
DOCKERFILE = ROOT / "docker" / "Dockerfile"
IMAGE = "localhost/tokenproxy:test"
LARGEST_MB = 300
"""What we put on the base may not grow beyond this."""

pytestmark = pytest.mark.timeout(900)  # whichever test comes first builds


def base() -> str:
    """The image that docker/Dockerfile begins from."""
    found = re.search(r"^FROM (python:\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as made:
        yield made


@pytest.fixture(scope="module")
def image(engine: Engine) -> str:
    engine.load_base(base())
    engine.build(DOCKERFILE, ROOT, IMAGE, "--build-arg=REVISION=0f0f0f")
    return IMAGE


@pytest.fixture
def volume(engine: Engine) -> Iterator[str]:
    """A volume's option: made when it is first mounted, as the image's directory is."""
    yield "--volume=kept:/var/lib/tokenproxy"
    engine("volume", "rm", "--force", "kept")


def python(engine: Engine, image: str, program: str) -> str:
    """What a program prints that the image's own Python runs."""
    words = ("--rm", "--network=none", *HARDENED, *limits(), "--entrypoint=python")
    return engine("run", *words, image, "-c", program).stdout


def test_the_linter_finds_nothing() -> None:
    linter = needs.backend("pip", "hadolint", "bin/hadolint")
    said = subprocess.run(
        [linter, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False
    )
    assert (said.stdout + said.stderr, said.returncode) == ("", 0)


def test_the_engine_reads_the_file_as_we_do(engine: Engine, image: str) -> None:
    (made,) = json.loads(engine("inspect", image).stdout)
    config: dict[str, Any] = made["Config"]
    assert config["User"] == "10001:0"
    assert config["Entrypoint"] == ["tokenproxy"]
    assert config["Cmd"] == ["serve"]
    assert list(config["ExposedPorts"]) == ["4040/tcp"]
    assert list(config["Volumes"]) == ["/var/lib/tokenproxy"]
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert made["Healthcheck"]["Test"][:3] == ["CMD", "python", "-c"]
    assert config["Labels"]["org.opencontainers.image.revision"] == "0f0f0f"


def test_it_holds_what_the_lock_says_and_no_tool(engine: Engine, image: str) -> None:
    told = python(
        engine,
        image,
        "import importlib.metadata as m, json, shutil;"
        "print(json.dumps([{d.name.lower(): d.version for d in m.distributions()},"
        " [t for t in ('pip', 'gcc', 'ld', 'make', 'curl', 'git') if shutil.which(t)]]))",
    )
    packages, tools = json.loads(told)
    assert tools == []
    assert not packages.keys() & {"pip", "hatchling", "pytest", "mypy", "ruff", "setuptools"}
    assert packages.pop("tokenproxy")
    assert {"mitmproxy", "duckdb", "grpcio"} <= packages.keys()
    for name, version in packages.items():
        versions = [str(v) for v, _ in locked()[re.sub(r"[-_.]+", "-", name)]]
        assert version in versions, name


def test_all_is_compiled(engine: Engine, image: str) -> None:
    told = python(
        engine,
        image,
        "from pathlib import Path; import importlib.util as u, http.client as h;"
        "files = [*Path('/opt/tokenproxy').rglob('*.py'), Path(h.__file__)];"
        "bare = [str(f) for f in files if not Path(u.cache_from_source(f)).exists()];"
        "print(len(files), *bare)",
    )
    count, *bare = told.split()
    assert int(count) > 1000
    assert bare == []


def test_it_is_small(engine: Engine, image: str, capsys: pytest.CaptureFixture[str]) -> None:
    whole_mb, base_mb = (
        int(engine("inspect", "--format={{.Size}}", name).stdout) / 1e6 for name in (image, base())
    )
    with capsys.disabled():
        print(f"\nimage: {whole_mb:.0f} MB, {base_mb:.0f} MB of them the base")  # noqa: T201 - for docs/image.md
    assert whole_mb - base_mb < LARGEST_MB


@pytest.mark.parametrize("user", [(), ("--user=12345",)], ids=["its own user", "any user"])
def test_it_records_and_its_end_leaves_a_whole_ledger(
    engine: Engine, image: str, volume: str, user: tuple[str, ...]
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with Simulator("stream") as sim, Simulator("stall") as stalled:
        routes = f"api.anthropic.com={sim.url},api.openai.com={stalled.url}"
        options = (
            f"--env=TOKENPROXY_LISTEN=127.0.0.1:{port}",
            f"--env=TOKENPROXY_ROUTES={routes}",
            "--network=host",
            volume,
            *user,
        )
        with serving(engine, image, *options) as gateway:
            assert gateway.is_healthy()
            wanted = "12345" if user else "10001"
            assert gateway.run("id", "-u").stdout.strip() == wanted
            assert gateway.run("sh", "-c", "echo > /x").returncode != 0
            for _ in range(3):
                got = subprocess.run(call(url), capture_output=True, check=True, timeout=60)
                assert got.stdout == bytes(sim.calls[-1].sent)
            authority = gateway.said[2]
            left = subprocess.Popen(
                [*call(url)[:-1], f"{url}/openai/v1/chat/completions"], stdout=subprocess.DEVNULL
            )
            stalled.wait_for(lambda s: bool(s.requests))
            assert gateway.stop() == 0
            left.wait(timeout=60)
            assert "4 calls" in gateway.log()
        with serving(engine, image, *options) as again:
            assert again.said[2] == authority, "clients keep their trust in it"
            assert again.stop() == 0
    found = rows(engine, image, volume, *user)
    assert [row["outcome"] for row in found] == ["complete"] * 3 + ["lost"]
    assert all(row["input_tokens"] > 0 for row in found[:3])


def test_what_a_killed_container_had_open_the_next_one_accounts_for(
    engine: Engine, image: str, volume: str
) -> None:
    """Every container's gateway is process 1 of its own: that must not pass for being alive."""
    port = free_port()
    with Simulator("stall") as sim:
        options = (
            f"--env=TOKENPROXY_LISTEN=127.0.0.1:{port}",
            f"--env=TOKENPROXY_ROUTES=api.anthropic.com={sim.url}",
            "--network=host",
            volume,
        )
        with serving(engine, image, *options) as gateway:
            client = subprocess.Popen(call(f"http://127.0.0.1:{port}"), stdout=subprocess.DEVNULL)
            sim.wait_for(lambda s: bool(s.calls and s.calls[0].known))
            gateway.kill()
            client.wait(timeout=60)
        with serving(engine, image, *options) as again:
            assert again.stop() == 0
    (row,) = rows(engine, image, volume)
    assert (row["outcome"], row["error"]) == ("lost", "proxy_killed")


def test_as_it_is_it_listens_on_its_own_network(engine: Engine, image: str, volume: str) -> None:
    token = "--env=TOKENPROXY_SERVE_TOKEN=a-token-of-24-characters"
    with serving(engine, image, "--network=none", token, volume) as gateway:
        assert "http://0.0.0.0:4040" in gateway.said[0]
        assert "HOST:4040/~TOKEN/anthropic" in gateway.said[1]
        assert gateway.is_healthy()
        program = (
            "import urllib.request as r; print(r.urlopen('http://127.0.0.1:4040/healthz').status)"
        )
        assert gateway.run("python", "-c", program).stdout.strip() == "200"
        assert gateway.stop() == 0


def test_where_nobody_serves_it_is_not_healthy(engine: Engine, image: str) -> None:
    words = ("--detach", "--name=idle", "--network=none", *limits(), "--entrypoint=sleep")
    engine("run", *words, image, "600")
    try:
        asked = engine("healthcheck", "run", "idle", check=False)
        assert asked.returncode != 0
    finally:
        engine("rm", "--force", "--time=0", "--volumes", "idle")


def test_where_others_reach_it_it_asks_for_a_token(engine: Engine, image: str) -> None:
    ended = engine(
        "run", "--rm", "--network=none", *HARDENED, *limits(), image, check=False
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "--token-file" in ended.stderr


def test_a_volume_that_it_may_not_write_is_one_sentence(engine: Engine, image: str) -> None:
    ended = engine(
        "run", "--rm", "--network=none", *HARDENED, *limits(), "--user=12345:12345",
        "--env=TOKENPROXY_NO_TOKEN=1", image, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "/var/lib/tokenproxy" in ended.stderr


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
