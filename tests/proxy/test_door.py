"""Who is let in, and what is left of what was shown."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.e2e.bench import wait_until
from tokenproxy.config import Admission
from tokenproxy.proxy import door as module
from tokenproxy.proxy.door import Door, lent_users, users_below

SECRET = "a-secret_of.24~characters"


def basic(password: str, user: str = "tokenproxy") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def asking(secret: str | None = SECRET) -> Door:
    return Door(Admission(secret=secret), None, print)


def marked(mark: str | None) -> Door:
    return Door(Admission(secret=SECRET), None, print, run_mark=mark)


def head(path: str, *fields: str, method: str = "POST") -> bytes:
    return "".join(
        f"{line}\r\n" for line in (f"{method} {path} HTTP/1.1", "Host: h", *fields, "")
    ).encode()


@pytest.mark.parametrize(
    ("shows", "goes_on"),
    [
        (head("/v1", f"Proxy-Authorization: {basic(SECRET)}"), head("/v1")),
        (head("/v1", f"proxy-authorization:{basic(SECRET, '')}"), head("/v1")),
        (head("/v1", f"Proxy-Authorization: Bearer {SECRET}"), head("/v1")),
        (head("/v1", f"X-TokenProxy-Token: {SECRET}", "A: b"), head("/v1", "A: b")),
        (head(f"/~{SECRET}/v1?a=/~b"), head("/v1?a=/~b")),
        (head("/~alice/x", f"X-TokenProxy-Token: {SECRET}"), head("/~alice/x")),
        (head("http://h/~alice", f"Proxy-Authorization: {basic(SECRET)}"), head("http://h/~alice")),
        (head(f"/~{SECRET}/~alice"), head("/~alice")),
        (head(f"/~{SECRET}"), head("/")),
        (head(f"/~{SECRET}?a"), head("/?a")),
        (head(f"http://h:1/~{SECRET}/v1"), head("http://h:1/v1")),
        (head("h:443", f"Proxy-Authorization: {basic(SECRET)}", method="CONNECT"),
         head("h:443", method="CONNECT")),
    ],
)  # fmt: skip
def test_what_is_shown_goes_no_further(shows: bytes, goes_on: bytes) -> None:
    assert asking().let_in(shows) == goes_on


@pytest.mark.parametrize(
    "shows",
    [
        head("/v1"),
        head("/v1", f"Authorization: Bearer {SECRET}"),
        head("/v1", f"Proxy-Authorization: {SECRET}"),
        head("/v1", "Proxy-Authorization: Basic !"),
        head("/v1", f"Proxy-Authorization: {basic(SECRET + 'x')}"),
        head("/v1", "Proxy-Authorization: "),
        head("/v1", "X-TokenProxy-Token: "),
        head("/~/v1"),
        head(f"/~{SECRET}x/v1"),
        head(f"/{SECRET}/v1"),
        head(f"/v1/~{SECRET}"),
        head("/v1", f"Other: x-tokenproxy-token: {SECRET}"),
        b"",
        b"PRI * HTTP/2.0\r\n\r\n",
    ],
)
def test_nothing_else_does(shows: bytes) -> None:
    assert asking().let_in(shows) is None


def test_where_nothing_is_asked_for_nothing_is_changed() -> None:
    shows = head(f"/~{SECRET}/v1", f"Proxy-Authorization: {basic(SECRET)}")
    assert asking(None).let_in(shows) == shows


@pytest.mark.parametrize(
    ("login", "is_runs"),
    [
        (basic(SECRET, "run-1"), True),
        (basic("", "run-1"), True),
        (basic("run-1"), False),
        (basic(SECRET, "run-2"), False),
        (basic(SECRET, ""), False),
        ("Bearer run-1", False),
        ("Basic run-1", False),
    ],
)
def test_a_run_is_known_by_its_name_alone(login: str, is_runs: bool) -> None:
    asked = head("h:443", f"Proxy-Authorization: {login}", method="CONNECT")
    assert marked("run-1").is_of_run(asked) == is_runs
    assert marked("run-1").is_runs_login(login.encode()) == is_runs
    assert not marked(None).is_of_run(asked)
    assert not marked(None).is_runs_login(login.encode())


def test_what_is_shown_in_a_tunnel_that_was_let_in_goes_no_further_either() -> None:
    shows = head("/~a", f"X-TokenProxy-Token: {SECRET}", f"Proxy-Authorization: {basic(SECRET)}")
    assert asking().inside_tunnel(shows) == head("/~a")
    assert asking(None).inside_tunnel(shows) == shows


@given(st.binary(max_size=200))
def test_no_bytes_make_it_stumble_nor_open(data: bytes) -> None:
    assert asking().let_in(data) is None


@given(st.text(st.characters(codec="utf-8", exclude_characters="?/"), max_size=20))
def test_both_readings_agree(step: str) -> None:
    """The lane reads bytes; mitmproxy has taken the request apart."""
    path = f"/~{step}/v1"
    assert asking().let_in_request(path, {}) is None
    fields = {"x-tokenproxy-token": SECRET, "proxy-authorization": "Basic x", "a": "b"}
    assert asking().let_in_request(path, fields) == path
    assert fields == {"a": "b"}
    assert asking().let_in_request(f"/~{SECRET}", {}) == "/"


def test_the_secret_is_not_printed_with_the_rest() -> None:
    assert SECRET not in repr(Admission(secret=SECRET))


# -- users of the machine -----------------------------------------------------------------


def test_users_that_the_machine_lends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    subuid = tmp_path / "subuid"
    monkeypatch.setattr(module, "SUBUID", subuid)
    assert lent_users() == ()
    name = pwd.getpwuid(os.geteuid()).pw_name
    subuid.write_text(f"{name}:100000:65536\nothers:200000:65536\n{os.geteuid()}:300000:1\nodd\n")
    assert lent_users() == (range(100_000, 165_536), range(300_000, 300_001))


NOBODY = 65_534


@contextmanager
def sleeping(user: int | None) -> Iterator[int]:
    """A child of this process and one of its own, as another user, that sleep."""
    with subprocess.Popen(["sh", "-c", "sleep 60; :"], user=user, process_group=0) as process:
        try:
            wait_until(lambda: len(psutil.Process(process.pid).children()) == 1)
            yield process.pid
        finally:
            os.killpg(process.pid, 9)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_users_that_processes_of_the_run_have_become() -> None:
    assert NOBODY not in users_below(os.getpid())
    with sleeping(NOBODY):
        assert NOBODY in users_below(os.getpid())
    with sleeping(None) as pid:
        assert users_below(pid) == {0}


def test_of_no_process_nobody_is_below() -> None:
    assert users_below(2**22 + 1) == set()
