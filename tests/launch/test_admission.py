from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tokenproxy import peers
from tokenproxy.config import Admission
from tokenproxy.launch.admission import TOKEN_VARIABLE, for_gateway, for_run, read_token
from tokenproxy.launch.errors import UsageError


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "telling", lambda _: False)


def test_a_run_by_the_kernels_word(listener: socket.socket) -> None:
    assert for_run(listener) == Admission(users=True, launcher=os.getpid())


@pytest.mark.usefixtures("untold")
def test_a_run_where_there_is_none(listener: socket.socket) -> None:
    one, other = for_run(listener), for_run(listener)
    assert one.secret
    assert other.secret
    assert one.secret != other.secret
    assert len(one.secret) == 32
    assert not one.users


def test_a_gateway_on_loopback(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    assert for_gateway(listener, None, anybody=False) == Admission(users=True)
    assert for_gateway(listener, "t" * 16, anybody=False) == Admission(secret="t" * 16)
    assert for_gateway(listener, None, anybody=True) == Admission()
    monkeypatch.setattr(peers, "telling", lambda _: False)
    assert for_gateway(listener, None, anybody=False) == Admission()


def test_a_gateway_that_others_reach() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        with pytest.raises(UsageError, match="token"):
            for_gateway(listener, None, anybody=False)
        assert for_gateway(listener, "t" * 16, anybody=False) == Admission(secret="t" * 16)
        assert for_gateway(listener, None, anybody=True) == Admission()


def test_a_token_is_read_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  of-the-file-and-long\n")
    env = {TOKEN_VARIABLE: "of-the-environment"}
    assert read_token(str(file), env) == "of-the-file-and-long"
    assert read_token(None, {**env, f"{TOKEN_VARIABLE}_FILE": str(file)}) == "of-the-file-and-long"
    assert read_token(None, env) == "of-the-environment"
    assert read_token(None, {TOKEN_VARIABLE: " "}) is None


@pytest.mark.parametrize("token", [b"", b"short", b"with/a/slash/in/it/x", b"\xff" * 20])
def test_what_is_no_token_is_not_shown(tmp_path: Path, token: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(token)
    with pytest.raises(UsageError) as told:
        read_token(str(file), {})
    assert not token or token.decode("latin-1") not in str(told.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_token(str(tmp_path / "none"), {})
