from __future__ import annotations

import os
from pathlib import Path

import pytest

from tokenproxy.launch import executable
from tokenproxy.launch.errors import CannotRunError


def make(path: Path, content: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    return path


def test_the_first_executable_on_path_is_taken(tmp_path: Path) -> None:
    make(tmp_path / "a" / "tool", mode=0o644)
    (tmp_path / "b" / "tool").mkdir(parents=True)
    wanted = make(tmp_path / "c" / "tool")
    make(tmp_path / "d" / "tool")
    path = os.pathsep.join(str(tmp_path / name) for name in ("none", "a", "b", "c", "d"))
    found = executable.find(["tool", "x"], {"PATH": path})
    assert found == executable.Executable(str(wanted), ("tool", "x"))


def test_an_empty_entry_of_path_is_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "tool")
    monkeypatch.chdir(tmp_path)
    assert executable.find(["tool"], {"PATH": "/none:"}).path == "./tool"


def test_without_path_the_systems_default_is_searched() -> None:
    assert executable.find(["sh"], {}).path in ("/bin/sh", "/usr/bin/sh")


@pytest.mark.parametrize(
    ("command", "status", "sentence"),
    [
        ("nothing", 127, "nothing: command not found"),
        ("", 127, "'': command not found"),
        ("plain", 126, "plain: Permission denied"),
        ("./nothing", 127, "./nothing: No such file or directory"),
        ("./plain/below", 126, "./plain/below: Not a directory"),
        ("./orphan", 127, "./orphan: its interpreter /none/sh does not exist"),
    ],
)
def test_what_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, status: int, sentence: str
) -> None:
    make(tmp_path / "plain", mode=0o644)
    make(tmp_path / "orphan", "#! /none/sh -e\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CannotRunError) as raised:
        executable.find([command], {"PATH": str(tmp_path)})
    assert (raised.value.status, str(raised.value)) == (status, sentence)


def test_a_text_without_interpreter_is_read_by_the_shell(tmp_path: Path) -> None:
    script = make(tmp_path / "script", "echo\n")
    found = executable.read_by_shell(executable.find([str(script), "x"], {}))
    assert found == executable.Executable("/bin/sh", ("/bin/sh", str(script), "x"))


def test_a_foreign_binary_is_not(tmp_path: Path) -> None:
    binary = make(tmp_path / "binary", "\x7fELF\0\0")
    with pytest.raises(CannotRunError, match="exec format error") as raised:
        executable.read_by_shell(executable.find([str(binary)], {}))
    assert raised.value.status == 126
