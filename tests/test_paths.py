from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from platformdirs import PlatformDirs

from tokenproxy import paths


def test_state_dir_is_the_named_one_and_only_the_users(tmp_path: Path) -> None:
    named = tmp_path / "a" / "state"
    assert paths.state_dir({"TOKENPROXY_STATE_DIR": str(named)}) == named
    assert stat.S_IMODE(named.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("owner", "us", "above", "ours"),
    [
        (4711, 4711, (0, 0o1777), True),
        (0, 4711, (0, 0o1777), True),
        (12345, 4711, (0, 0o1777), False),
        (12345, 4711, (0, 0o775), False),
        (12345, 4711, (12345, 0o755), False),
        (12345, 4711, (0, 0o755), True),
        (12345, 4711, (4711, 0o755), True),
        (12345, 0, (0, 0o1777), True),
    ],
    ids=[
        *("ours", "the machine's", "another's where all may", "another's where a group may"),
        *("another's below theirs", "given by the machine", "given by us", "another's for root"),
    ],
)
def test_a_directory_that_another_user_has_made_is_not_ours(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    owner: int,
    us: int,
    above: tuple[int, int],
    ours: bool,
) -> None:
    """Where everybody may make one, whoever was first could put theirs in place of our files."""
    place = tmp_path / "state"
    place.mkdir(mode=0o700)
    told = place.stat()
    stands_in, mode = above
    of_place = os.stat_result((*told[:4], owner, *told[5:]))
    of_parent = os.stat_result((stat.S_IFDIR | mode, *told[1:4], stands_in, *told[5:]))
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: us)
        patched.setattr(Path, "stat", lambda path, **_: of_parent if path == tmp_path else of_place)
        if ours:
            paths.make_private(place)
        else:
            with pytest.raises(PermissionError, match="another user"):
                paths.make_private(place)


def test_state_dir_defaults_to_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("TOKENPROXY_STATE_DIR", raising=False)
    found = paths.state_dir()
    assert found.is_dir()
    assert found.name == "tokenproxy"
    assert tmp_path in found.parents


def test_an_empty_variable_is_no_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.state_dir({"TOKENPROXY_STATE_DIR": ""}).name == "tokenproxy"


def test_explicit_ledger_wins_over_the_variable(tmp_path: Path) -> None:
    env = {"TOKENPROXY_LEDGER": "/elsewhere/a.jsonl"}
    assert paths.ledger_path("here.jsonl", env, tmp_path) == tmp_path / "here.jsonl"
    assert paths.ledger_path(None, env, tmp_path) == Path("/elsewhere/a.jsonl")


def test_a_loop_directory_above_holds_the_ledger(tmp_path: Path) -> None:
    (tmp_path / ".claude-loop").mkdir()
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    expected = tmp_path / ".claude-loop" / "logs" / "provider_usage.jsonl"
    assert paths.ledger_path(None, {}, below) == expected
    assert not expected.parent.exists()


def test_without_a_loop_the_ledger_is_in_the_state_directory(tmp_path: Path) -> None:
    env = {"TOKENPROXY_STATE_DIR": str(tmp_path / "state")}
    (tmp_path / "work").mkdir()
    expected = tmp_path / "state" / "provider_usage.jsonl"
    assert paths.ledger_path(None, env, tmp_path / "work") == expected


@pytest.mark.parametrize("worktree", [False, True])
def test_project_is_the_repositorys_directory(tmp_path: Path, *, worktree: bool) -> None:
    repository = tmp_path / "loom"
    below = repository / "src"
    below.mkdir(parents=True)
    if worktree:
        (repository / ".git").write_text("gitdir: /elsewhere/.git/worktrees/loom\n")
    else:
        (repository / ".git").mkdir()
    assert paths.project_name(below) == "loom"


def test_project_is_the_directory_without_a_repository(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    assert paths.project_name(plain) == "plain"


def test_platformdirs_is_not_imported_to_find_the_usual_directories(tmp_path: Path) -> None:
    code = (
        "import sys; from tokenproxy import paths; paths.state_dir({}); paths.config_file({});"
        "sys.exit('platformdirs' in sys.modules)"
    )
    env = {"HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=env, check=False)
    assert done.returncode == (sys.platform != "linux")


def test_a_home_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="home"):
        paths.state_dir({"TOKENPROXY_STATE_DIR": "~nobody-of-this-name/x"})
    with pytest.raises(OSError, match="home"):
        paths.ledger_path("~nobody-of-this-name/x", {}, tmp_path)


def test_the_config_is_the_named_one_or_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone.toml"
    assert paths.config_file({"TOKENPROXY_CONFIG": str(gone)}) == gone
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("TOKENPROXY_CONFIG", raising=False)
    assert paths.config_file() is None
    import platformdirs

    usual = platformdirs.user_config_path("tokenproxy", appauthor=False)
    usual.mkdir(parents=True)
    (usual / "config.toml").touch()
    assert paths.config_file({}) == usual / "config.toml"
    assert tmp_path in usual.parents


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs alone says it")
@pytest.mark.parametrize(
    "env",
    [
        {},
        {"HOME": "/h/u"},
        {"HOME": "/h/u//"},
        {"HOME": "/"},
        {"HOME": ""},
        {"HOME": "here"},
        {"HOME": "/h/u", "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": ""},
        {"HOME": "/h/u", "XDG_STATE_HOME": "/s/../t", "XDG_CONFIG_HOME": "/c/"},
        {"HOME": "/h/u", "XDG_STATE_HOME": "s", "XDG_CONFIG_HOME": "c"},
        {"HOME": "/h/u", "XDG_STATE_HOME": " ", "XDG_CONFIG_HOME": "~/c"},
        {"HOME": "/h/u", "ANDROID_DATA": "/data", "ANDROID_ROOT": "/system", "PREFIX": "/p"},
        {"XDG_STATE_HOME": "/s", "XDG_CONFIG_HOME": "/c"},
    ],
    ids=str,
)
def test_the_short_way_to_our_directories_leads_where_platformdirs_does(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str]
) -> None:
    monkeypatch.setattr(os, "environ", env)
    theirs = PlatformDirs("tokenproxy", appauthor=False)
    for variable, below, name in (
        ("XDG_STATE_HOME", ".local/state", "user_state_path"),
        ("XDG_CONFIG_HOME", ".config", "user_config_path"),
    ):
        short = paths._usual(variable, below)
        assert short is None or short == getattr(theirs, name)


def test_the_cache_is_with_the_state_where_that_is_named(tmp_path: Path) -> None:
    assert paths.cache_dir({"TOKENPROXY_STATE_DIR": str(tmp_path)}) == tmp_path / "cache"
    assert paths.cache_dir({}).name == "tokenproxy"
