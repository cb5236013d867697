"""Languages' runtimes in forward mode: who is seen as it is, who with its user's help, who is not.

Each program of ``programs/lang_*`` posts what it is given and prints the answer as it came. Where
a runtime is not seen it goes its own way; these calls are for a host that nobody has, so that
none of them gets anywhere. ``docs/clients.md`` has the table; the last test holds it to this file.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.bench import Bench
from tests.real import needs, reported
from tokenproxy.simulator.server import Simulator

BODY = json.dumps({"model": "gpt-6-sol", "messages": [{"role": "user", "content": "Say hello."}]})
PATH = "/v1/chat/completions"
NOBODY = "model.invalid"
"""A name that never resolves (RFC 6761)."""
NOT_FOUND = rb"ENOTFOUND|UnresolvedAddress|UnknownHost|Name or service not known|nodename nor"

PROXY_SWITCH = {"NODE_USE_ENV_PROXY": "1"}
TOOL_OPTIONS = {"JAVA_TOOL_OPTIONS": "-Dfile.encoding=UTF-8"}


class Case(NamedTuple):
    """A program and what its user has set for it."""

    runtime: str
    client: str
    """As the document names it."""
    command: Callable[[Path], list[str]]
    env: Mapping[str, str] = {}

    def __str__(self) -> str:
        return "-".join([self.runtime, self.client, *self.env])


def script(runtime: Callable[[], Path], *words: str) -> Callable[[Path], list[str]]:
    """Run by ``runtime``: options, a file of ``programs/`` and which client of it to use."""

    def command(_place: Path) -> list[str]:
        *options, file, client = words
        return [str(runtime()), *options, str(reported.PROGRAMS / file), client]

    return command


def node(client: str) -> Callable[[Path], list[str]]:
    return script(lambda: needs.language("node"), "lang_javascript.cjs", client)


def new_node(client: str) -> Callable[[Path], list[str]]:
    return script(lambda: needs.cli("node"), "lang_javascript.cjs", client)


def bun(client: str) -> Callable[[Path], list[str]]:
    return script(lambda: needs.cli("bun"), "run", "lang_javascript.cjs", client)


def deno(client: str) -> Callable[[Path], list[str]]:
    return script(lambda: needs.cli("deno"), "run", "-A", "lang_javascript.cjs", client)


def java(client: str) -> Callable[[Path], list[str]]:
    return script(lambda: needs.language("java"), "lang_java.java", client)


def python(library: str) -> Callable[[Path], list[str]]:
    return script(lambda: needs.python_of("http"), "http_libraries.py", library)


def go(place: Path) -> list[str]:
    program = place / "program"
    source = reported.PROGRAMS / "lang_go.go"
    subprocess.run([needs.language("go"), "build", "-o", program, source], check=True)
    return [str(program)]


def rust(_place: Path) -> list[str]:
    cargo, crate = needs.language("cargo"), needs.crate("reqwest")
    main, source = crate / "src" / "main.rs", (reported.PROGRAMS / "lang_rust.rs").read_bytes()
    if main.read_bytes() != source:
        main.write_bytes(source)
    target = crate / "target"
    subprocess.run(
        [cargo, "build", "--offline", "--quiet", "--target-dir", target], cwd=crate, check=True
    )
    return [str(target / "debug" / "program")]


SEEN = [
    Case("Node 24", "`fetch`", new_node("fetch"), PROXY_SWITCH),
    Case("Node 24", "`node:https`", new_node("https"), PROXY_SWITCH),
    Case("Node", "`fetch` by undici's `EnvHttpProxyAgent`", node("fetch_undici")),
    Case("Node", "`https-proxy-agent`", node("https_proxy_agent")),
    Case("Node", "axios", node("axios")),
    Case("Bun", "`fetch`", bun("fetch")),
    Case("Bun", "`node:https`", bun("https"), PROXY_SWITCH),
    Case("Bun", "axios", bun("axios")),
    Case("Deno", "`fetch`", deno("fetch")),
    Case("Deno", "`node:https`", deno("https"), PROXY_SWITCH),
    Case("Go", "`net/http`", go),
    Case("Rust", "reqwest, rustls, rustls-native-certs", rust),
    Case("Java", "`HttpClient`", java("HttpClient"), TOOL_OPTIONS),
    Case("Java", "`HttpsURLConnection`", java("HttpsURLConnection"), TOOL_OPTIONS),
]

UNSEEN = [
    Case("Node", "`fetch`", node("fetch")),
    Case("Node", "`node:https`", node("https")),
    Case("Node 24", "`fetch`", new_node("fetch")),
    Case("Node 24", "`node:https`", new_node("https")),
    Case("Bun", "`node:https`", bun("https")),
    Case("Deno", "`node:https`", deno("https")),
    Case("Java", "`HttpClient`", java("HttpClient")),
    Case("Java", "`HttpsURLConnection`", java("HttpsURLConnection")),
    Case("Python", "aiohttp", python("aiohttp_by_itself")),
]

REFUSING = [Case("Python", "pycurl", python("pycurl"))]


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A state directory as macOS has it: what does not stand a blank in a path is found out."""
    bench.env["TOKENPROXY_STATE_DIR"] = str(bench.root / "Application Support")
    return bench


def complete(case: Case, bench: Bench, host: str) -> tuple[list[str], dict[str, str]]:
    command = [*case.command(bench.root), f"https://{host}{PATH}", BODY]
    if any(word.endswith(".cjs") for word in command):
        return command, {"NODE_PATH": str(needs.npm_packages("http")), **case.env}
    return command, dict(case.env)


@pytest.mark.timeout(300)  # Go's first build compiles its library
@pytest.mark.parametrize("case", SEEN, ids=str)
def test_seen(case: Case, bench: Bench) -> None:
    command, env = complete(case, bench, "api.openai.com")
    with Simulator("plain") as sim:
        done = reported.run(bench, sim, "forward", {"api.openai.com": "openai"}, command, **env)
        assert len(sim.requests) == 1
    (answer,) = reported.lines(done.stdout)
    usage = answer["usage"]
    said = {
        "operation": "chat", "response_id": answer["id"], "model": answer["model"],
        "stream": False, "outcome": "complete", "completeness": "final",
        "input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"],
        "cache_read_input_tokens": usage["prompt_tokens_details"]["cached_tokens"],
        "usage": [usage],
    }  # fmt: skip
    reported.equal(bench.rows(), [said])


def run_to_nobody(case: Case, bench: Bench, sim: Simulator) -> subprocess.CompletedProcess[bytes]:
    command, env = complete(case, bench, NOBODY)
    route = f"{NOBODY}={sim.url}/openai"
    return bench.tokenproxy("run", "--mode", "forward", "--route", route, "--", *command, env=env)


@pytest.mark.parametrize("case", UNSEEN, ids=str)
def test_not_seen(case: Case, bench: Bench) -> None:
    """It heeds no proxy that it was not told of by its user, and asks for the name itself."""
    with Simulator("plain") as sim:
        done = run_to_nobody(case, bench, sim)
        assert sim.requests == []
    assert done.returncode == 1
    assert re.search(NOT_FOUND, done.stderr), done.stderr.decode()
    assert bench.rows() == []


@pytest.mark.parametrize("case", REFUSING, ids=str)
def test_refusing(case: Case, bench: Bench) -> None:
    """It heeds the proxy and no variable of a CA file, so that its calls fail."""
    with Simulator("plain") as sim:
        done = run_to_nobody(case, bench, sim)
        assert sim.requests == []
    assert done.returncode == 1
    assert b"unable to get local issuer certificate" in done.stderr
    assert bench.rows() == []


def test_the_document_says_so() -> None:
    section = (needs.ROOT / "docs" / "clients.md").read_text().partition("\n## Runtimes\n")[2]
    lines = section.partition("\n## ")[0].splitlines()
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    held = [
        [case.runtime, case.client, "".join(f"`{name}`" for name in case.env), word]
        for cases, word in ((SEEN, "seen"), (UNSEEN, "not seen"), (REFUSING, "**fails**"))
        for case in cases
    ]
    assert sorted(row[:4] for row in table[2:]) == sorted(held)
