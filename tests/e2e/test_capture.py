"""``--capture``: bodies on request, for their owner, without the credentials of the call."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bench import BODY, Bench, reverse_curl
from tokenproxy.record import capture_files
from tokenproxy.simulator.server import Simulator

KEY = "sk-ant-api03-canary-canary-canary"


def captured(bench: Bench) -> list[tuple[Path, dict[str, Any]]]:
    paths = capture_files.captures(bench.state / "captures")
    return [(path, capture_files.read(path)) for path in paths]


@pytest.mark.parametrize("asked", [None, "flag", "variable"])
def test_bodies_are_kept_if_asked_for(bench: Bench, asked: str | None) -> None:
    flags = ["--capture"] if asked == "flag" else []
    more = {"TOKENPROXY_CAPTURE": "1"} if asked == "variable" else {}
    command = reverse_curl("-H", f"x-api-key: {KEY}")
    with Simulator("plain") as sim:
        env = {"ANTHROPIC_BASE_URL": sim.url, **more}
        run = bench.tokenproxy("run", *flags, "--", *command, env=env)
    assert run.returncode == 0, run.stderr
    (row,) = bench.rows()
    if asked is None:
        assert not (bench.state / "captures").exists()
        return
    ((path, found),) = captured(bench)
    assert path.name == f"{row['call_id']}.json.zst"
    assert path.parent.name == row["run_id"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(found["request"]["body"])["messages"] == BODY["messages"]
    assert found["response"]["body"].encode() == run.stdout
    assert KEY not in json.dumps(found)


def test_a_key_in_a_prompt_is_taken_out(bench: Bench) -> None:
    body = json.dumps({**BODY, "system": f"use {KEY}, and unlikely-own-key"})
    line = (
        "curl -sS -H 'content-type: application/json' -H 'x-api-key: unlikely-own-key'"
        f" -d '{body}' $ANTHROPIC_BASE_URL/v1/messages"
    )
    with Simulator("plain") as sim:
        env = {"ANTHROPIC_BASE_URL": sim.url}
        bench.tokenproxy("run", "--capture", "--", "sh", "-c", line, env=env)
        sent = sim.requests[0].json["system"]
    ((_, found),) = captured(bench)
    assert sent == f"use {KEY}, and unlikely-own-key"
    assert json.loads(found["request"]["body"])["system"] == "use [redacted], and [redacted]"


def test_they_are_listed_shown_and_removed(bench: Bench) -> None:
    with Simulator("plain") as sim:
        env = {"ANTHROPIC_BASE_URL": sim.url}
        bench.tokenproxy("run", "--capture", "--", *reverse_curl(), env=env)
    (row,) = bench.rows()
    listed = bench.tokenproxy("captured").stdout.decode()
    assert row["call_id"] in listed
    assert row["run_id"] in listed
    shown = json.loads(bench.tokenproxy("captured", row["call_id"][:30]).stdout)
    assert shown["call_id"] == row["call_id"]
    unknown = bench.tokenproxy("captured", "nothing")
    assert (unknown.returncode, unknown.stderr.count(b"\n")) == (2, 1)
    assert bench.tokenproxy("captured", "--purge").stdout == b"1 capture removed\n"
    assert captured(bench) == []


def test_old_ones_go_with_the_next_run(bench: Bench) -> None:
    with Simulator("plain") as sim:
        env = {"ANTHROPIC_BASE_URL": sim.url}
        bench.tokenproxy("run", "--capture", "--", *reverse_curl(), env=env)
        bench.tokenproxy("run", "--capture", "--capture-days", "0", "--", *reverse_curl(), env=env)
    assert [found["call_id"] for _, found in captured(bench)] == [bench.rows()[1]["call_id"]]


def test_where_they_cannot_be_written_the_call_goes_on(bench: Bench) -> None:
    bench.state.mkdir(mode=0o700)
    (bench.state / "captures").write_text("in the way")
    with Simulator("plain") as sim:
        env = {"ANTHROPIC_BASE_URL": sim.url}
        run = bench.tokenproxy("run", "--capture", "--", *reverse_curl(), env=env)
    assert run.returncode == 0
    assert len(bench.rows()) == 1
    assert run.stderr.count(b"1 call was not captured: File exists") == 1
