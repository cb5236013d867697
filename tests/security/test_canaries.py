"""Secrets and words are planted in every place that takes them, and looked for in every byte.

Every file that any process of ours writes, removed ones included; what it says; what it
sends to the collector. In calls that succeed, fail, break off, are malformed; when the
proxy is killed; when our own code raises.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.bench import Bench, proxy_of, wait_until
from tests.security import canaries
from tests.security.canaries import CANARIES, found_in, hits
from tests.security.talker import Collector, Provider, Refuser, serving
from tokenproxy.record.capture_files import read

GRAVEYARD = Path(__file__).with_name("graveyard")
BASIC = base64.b64encode(f"user:{CANARIES['basic']}".encode()).decode()
SIGV4 = (
    f"AWS4-HMAC-SHA256 Credential=AKIA{CANARIES['sigv4id']}/20261122/us-east-1/bedrock/"
    f"aws4_request, SignedHeaders=host;x-amz-date, Signature={CANARIES['sigv4signature']}"
)
LOGINS = (
    f"authorization: Bearer sk-{CANARIES['bearer']}",
    f"authorization: Basic {BASIC}",
    f"authorization: {SIGV4}",
)
HEADERS = (
    f"x-api-key: sk-ant-{CANARIES['xapikey']}",
    f"x-goog-api-key: AIza{CANARIES['googkey']}",
    f"x-amz-security-token: {CANARIES['sigv4token']}",
    f"cookie: sid={CANARIES['cookie']}; other=1",
    f"x-of-nobody: {CANARIES['unknownheader']}",
)
QUERY = (
    f"key={CANARIES['querykey']}&X-Amz-Signature={CANARIES['sigv4signature']}"
    f"&X-Amz-Security-Token={CANARIES['sigv4token']}"
)
PATHS = (
    f"/v1/messages?{QUERY}",
    f"/openai/v1/chat/completions?{QUERY}",
    f"/google/v1beta/models/gemini-3-flash-preview:generateContent?{QUERY}",
    f"/bedrock/model/anthropic.claude-opus-5-5/invoke?{QUERY}",
    f"/nowhere/{CANARIES['prompt']}?{QUERY}",
)
BODY = {
    "model": "claude-opus-5-5",
    "max_tokens": 5,
    "system": CANARIES["prompt"],
    "messages": [
        {"role": "user", "content": f"Say {CANARIES['prompt']}"},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "toolu_0", "name": "Bash",
             "input": {"command": CANARIES["toolinput"]}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_0", "content": CANARIES["prompt"]}]},
    ],
    "metadata": {"user_id": json.dumps({"session_id": "s-1"})},
    "contents": [{"parts": [{"text": CANARIES["prompt"]}]}],
}  # fmt: skip
DOINGS = ("plain", "stream", "refuse", "html", "garbage", "cut", "broken")
KEYED = f"POST /v1/messages HTTP/1.1\r\nhost: h\r\nx-api-key: {CANARIES['xapikey']}\r\n"
MALFORMED = (
    f"POST /v1/messages?key={CANARIES['querykey']} HTTP/9.9\r\n\r\n",
    f"POST /v1/messages HTTP/1.1\r\nx-api-key {CANARIES['xapikey']}\r\n\r\n",
    f"{KEYED}content-length: {CANARIES['bearer']}\r\n\r\n",
    f"{KEYED}transfer-encoding: chunked\r\n\r\n{CANARIES['prompt']}\r\n",
    f"{CANARIES['bearer']} {CANARIES['prompt']}\r\n\r\n",
    f"CONNECT {CANARIES['querykey']}:none HTTP/1.1\r\nproxy-authorization: Basic {BASIC}\r\n\r\n",
    f"CONNECT {CANARIES['querykey']}.invalid:443 HTTP/1.1\r\nauthorization: Basic {BASIC}\r\n\r\n",
    "\x16\x03\x01" + CANARIES["bearer"] * 4,
)
AGENT = """
import json, os, re, socket, sys, time
from urllib.parse import urlsplit
given = json.loads(os.environ.pop("GIVEN"))
port = urlsplit(os.environ["ANTHROPIC_BASE_URL"]).port
def send(text, wait=1.0):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.settimeout(wait)
        try:
            connection.sendall(text.encode("latin-1"))
            while connection.recv(65536):
                pass
        except OSError:
            pass
body = json.dumps(given["body"])
def call(path, login, doing, wait=1.0):
    lines = "\\r\\n".join(["host: h", login, *given["headers"], f"x-do: {doing}",
        "connection: close", "content-type: application/json", f"content-length: {len(body)}"])
    send(f"POST {path} HTTP/1.1\\r\\n{lines}\\r\\n\\r\\n{body}", wait)
for path in given["paths"]:
    for login in given["logins"]:
        for doing in given["doings"]:
            call(path, login, doing)
for path in given["sockets"]:
    send("GET " + path + " HTTP/1.1\\r\\n" + "\\r\\n".join(["host: h", given["logins"][0],
        *given["headers"], "connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13",
        "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
        "sec-websocket-protocol: realtime, openai-insecure-api-key." + given["subprotocol"]])
        + "\\r\\n\\r\\n")
for text in given["malformed"]:
    send(text)
call(given["paths"][0], given["logins"][0] + "\\r\\nexpect: 100-continue", "plain")
call(given["paths"][0], given["logins"][0], "stall", 0.3)
if given["hold"]:
    open("holding", "w").close()
    call(given["paths"][0], given["logins"][0], "stall", 5)
"""
FEW = {"paths": PATHS[:2], "doings": ("plain", "stream", "refuse"), "logins": LOGINS[:1]}
"""For faults of our own: some calls of each kind will do."""


class Planted:
    """A machine on which secrets stand wherever they can."""

    def __init__(self, bench: Bench, provider: int, collector: object) -> None:
        self.bench = bench
        self.collector = collector
        self.kept = bench.root / "kept"
        self.kept.mkdir()
        (bench.root / "tmp").mkdir()
        self.provider = f"http://127.0.0.1:{provider}"
        login = f"user:{CANARIES['basepassword']}@"
        base = f"http://{login}127.0.0.1:{provider}/{CANARIES['basepath']}"
        self.env = {
            "GRAVEYARD": str(self.kept),
            "TMPDIR": str(bench.root / "tmp"),
            "PYTHONPATH": f"{GRAVEYARD}:{bench.env['PYTHONPATH']}",
            "ANTHROPIC_BASE_URL": base,
            "OPENAI_BASE_URL": f"{base}/v1",
            "GOOGLE_GEMINI_BASE_URL": base,
            "ANTHROPIC_BEDROCK_BASE_URL": base,
            "CLAUDE_CODE_SKIP_BEDROCK_AUTH": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",  # type: ignore[attr-defined] # a server
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {CANARIES['otlpheader']}",
            "TOKENPROXY_DEBUG": "1",
        }

    def given(self, **changed: object) -> dict[str, str]:
        """What the agent is to do. In its environment alone: it is not ours to keep out."""
        words = {
            "headers": HEADERS, "logins": LOGINS, "paths": PATHS, "doings": DOINGS, "body": BODY,
            "malformed": MALFORMED, "hold": False, "subprotocol": CANARIES["subprotocol"],
            "sockets": (f"/openai/v1/responses?{QUERY}", f"/openai/v1/realtime?model=m&{QUERY}"),
            **changed,
        }  # fmt: skip
        return {**self.env, "GIVEN": json.dumps(words)}

    def run(self, env: dict[str, str], *options: str) -> subprocess.CompletedProcess[bytes]:
        words = ("run", "--mode", "reverse", *options, "--", sys.executable, "-c", AGENT)
        return self.bench.tokenproxy(*words, env=env, timeout_s=300)

    def check(self, *said: bytes) -> None:
        """Nothing of it is anywhere."""
        assert hits(self.bench.root) == {}
        for text in said:
            assert found_in(text) == set(), text
        for headers, body in self.collector.taken:  # type: ignore[attr-defined] # a list
            assert found_in(body) == set()
            assert found_in(headers.encode()) <= {"otlpheader"}, "which is the user's wish"


@pytest.fixture
def planted(bench: Bench) -> Iterator[Planted]:
    with serving(Provider) as provider, serving(Collector) as collector:
        yield Planted(bench, provider.server_port, collector)


def test_calls_of_every_kind(planted: Planted) -> None:
    run = planted.run(planted.given())
    planted.check(run.stdout, run.stderr)
    rows = planted.bench.rows()
    assert len(rows) > 60, run.stderr
    assert {"complete", "error", "truncated", "aborted"} <= {row["outcome"] for row in rows}
    assert sum(row.get("output_tokens", 0) for row in rows) > 0
    taken = planted.collector.taken  # type: ignore[attr-defined] # a list
    assert any(b"gen_ai.usage.input_tokens" in body for _, body in taken)
    names = {path.name.partition("-")[2] for path in planted.kept.iterdir()}
    assert {"journal-0.jsonl", "proxy.log", "upstream.pem"} <= names, "removed, and yet looked into"


TO_BE_KEPT = {"prompt", "answer", "thinking", "toolinput", "unknownheader", "basepath"}
"""Of what is captured: words, and what nobody can tell from words in an answer that repeats it."""


def test_captures_have_the_words_and_no_credential(planted: Planted) -> None:
    """A provider repeats all that it was sent in its refusals."""
    run = planted.run(planted.given(malformed=()), "--capture")
    captures = planted.bench.state / "captures"
    kept = list(captures.rglob("*.json.zst"))
    assert len(kept) > 60, run.stderr
    found = {kind for kinds in hits(captures).values() for kind in kinds}
    assert {"prompt", "answer"} <= found <= TO_BE_KEPT
    repeated = [read(path)["response"].get("body", "") for path in kept]
    assert sum("Incorrect API key: /" in body for body in repeated) > 10


def test_what_is_read_afterwards(planted: Planted) -> None:
    planted.run(planted.given(**FEW))
    outputs = []
    for words in (
        ["report", "--by", "model", "--json"], ["report", "--csv"], ["show", "--last"],
        ["statusline"], ["top", "--once"], ["ledger", "verify"], ["ledger", "ship"],
        ["ledger", "export", "--per-iteration"], ["audit", "--json"], ["doctor"],
    ):  # fmt: skip
        done = planted.bench.tokenproxy(*words, env=planted.env)
        outputs += [done.stdout, done.stderr]
    planted.check(*outputs)


@pytest.mark.parametrize("whom", ["proxy", "launcher", "both"])
def test_a_kill_in_the_middle_of_a_call(planted: Planted, whom: str) -> None:
    env = planted.given(hold=True, doings=("stream",), paths=PATHS[:1], malformed=())
    run = planted.bench.start(
        "run", "--mode", "reverse", "--", sys.executable, "-c", AGENT, env=env
    )
    wait_until((planted.bench.work / "holding").exists, 60)
    wait_until(lambda: any(b"input_tokens" in j.read_bytes() for j in planted.bench.journals()), 30)
    proxy = proxy_of(run)
    if whom != "launcher":
        proxy.kill()
    if whom != "proxy":
        run.kill()
    out, err = run.communicate(timeout=60)
    planted.check(out, err)
    recovered = planted.bench.tokenproxy("ledger", "recover", env=planted.env)
    planted.check(recovered.stdout, recovered.stderr)


FAULTS = (
    "tokenproxy.proxy.tap:Tap.request_headers",
    "tokenproxy.proxy.tap:Tap._read",
    "tokenproxy.proxy.tap:Tap.response_chunk",
    "tokenproxy.proxy.calls:Calls.start",
    "tokenproxy.proxy.director:Director.reverse",
    "tokenproxy.proxy.lane.client:Client._begin",
    "tokenproxy.proxy.lane.head:RequestHead.read",
    "tokenproxy.proxy.observer:Observer._target",
    "tokenproxy.wire.anthropic.request:read_request",
    "tokenproxy.record.make_row:make_row",
    "tokenproxy.record.journal:Journal.flush",
    "tokenproxy.telemetry.call_attributes:CallAttributes.own",
    "tokenproxy.telemetry.tree:Tree.place",
    "tokenproxy.launch.environment:for_child",
    "tokenproxy.proxy.gateway:Gateway.start",
)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_our_own(planted: Planted, fault: str) -> None:
    """It leaves a traceback, and no more."""
    exists(fault)
    env = planted.given(**FEW, malformed=())
    run = planted.run({**env, "PLANTED_FAULT": fault})
    planted.check(run.stdout, run.stderr)
    logs = [path.read_bytes() for path in planted.bench.root.rglob("*") if path.is_file()]
    assert any(b"a planted fault" in text for text in (run.stderr, *logs)), "it has happened"


def exists(fault: str) -> None:
    """A fault that breaks nothing would prove nothing."""
    module, _, function = fault.partition(":")
    check = f"import {module} as m, operator; operator.attrgetter({function!r})(m); print('here')"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, check=False)
    assert done.stdout == b"here\n", done.stderr


def test_calls_through_an_opened_tunnel(planted: Planted) -> None:
    fields = " ".join(f"-H '{line}'" for line in (*HEADERS, *LOGINS[:1]))
    (planted.bench.work / "body").write_text(json.dumps(BODY))
    asks = "; ".join(
        f"curl -s {http} 'https://api.anthropic.com{PATHS[0]}' {fields} -H 'x-do: {doing}' -d @body"
        for doing in DOINGS
        for http in ("--http1.1", "--http2")
    )
    (planted.bench.work / "asks").write_text(f"({asks}) >/dev/null 2>&1")
    env = {name: value for name, value in planted.env.items() if "BASE_URL" not in name}
    route = f"api.anthropic.com={planted.provider}"
    run = planted.bench.tokenproxy(
        "run", "--mode", "forward", "--route", route, "--", "sh", "asks", env=env, timeout_s=120
    )
    for file in ("asks", "body"):
        (planted.bench.work / file).unlink()
    planted.check(run.stdout, run.stderr)
    assert len(planted.bench.rows()) == 2 * len(DOINGS)


def test_passwords_of_the_users_proxy(planted: Planted) -> None:
    """Of one that refuses, of one that is not there, in a URL that is none."""
    with serving(Refuser) as refuser:
        for place in (f"127.0.0.1:{refuser.server_port}", "127.0.0.1:9", "[::nonsense"):
            proxy = f"http://user:{CANARIES['proxypassword']}@{place}"
            env = {name: value for name, value in planted.env.items() if "BASE_URL" not in name}
            # A host that is opened, and one that is tunnelled.
            asks = "; ".join(
                f"curl -sS https://{host}/v1/messages -d '{{}}' >/dev/null 2>&1"
                for host in ("api.anthropic.com", "example.invalid")
            )
            run = planted.bench.tokenproxy(
                "run",
                "--mode",
                "forward",
                "--",
                "sh",
                "-c",
                asks,
                env={**env, "HTTPS_PROXY": proxy},
            )
            planted.check(run.stdout, run.stderr)


@pytest.mark.parametrize(
    "words",
    [
        ("--route", f"api.anthropic.com=https://u:{CANARIES['routepassword']}@h"),
        ("--route", f"api.anthropic.com=ftp://u:{CANARIES['routepassword']}@h"),
        ("--route", f"https://u:{CANARIES['routepassword']}@h"),
        ("--mode", "forward"),
    ],
)
def test_passwords_in_what_we_refuse(planted: Planted, words: tuple[str, ...]) -> None:
    run = planted.bench.tokenproxy("run", *words, "--", "true", env=planted.env)
    planted.check(run.stdout, run.stderr)


# -- the search itself --------------------------------------------------------------------


@pytest.mark.parametrize("container", canaries.packed("x"))
def test_the_search_finds_one_in_every_container(tmp_path: Path, container: str) -> None:
    for kind, canary in CANARIES.items():
        place = tmp_path / kind
        place.mkdir()
        (place / "file").write_bytes(canaries.packed(canary)[container])
        assert hits(place) == {str(place / "file"): {kind}}


def test_the_search_finds_one_in_a_name_and_none_where_none_is(tmp_path: Path) -> None:
    (tmp_path / "well").write_bytes(bytes(range(256)) * 50 + b'{"key": "value"}')
    assert hits(tmp_path) == {}
    (tmp_path / CANARIES["prompt"]).mkdir()
    assert len(hits(tmp_path)) == 1


def test_the_search_finds_what_a_run_would_leave(planted: Planted) -> None:
    """A label is the user's own word: it is kept, and so it is found, in files and in spans."""
    planted.run(planted.given(**FEW, malformed=()), "--label", f"a={CANARIES['prompt']}")
    found = {kind for kinds in hits(planted.bench.root).values() for kind in kinds}
    assert found == {"prompt"}
    names = {Path(name).name.partition("-")[2] for name in hits(planted.kept)}
    assert "journal-0.jsonl" in names, "a removed file"
    taken = planted.collector.taken  # type: ignore[attr-defined] # a list
    assert any(found_in(body) == {"prompt"} for _, body in taken)
