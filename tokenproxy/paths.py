"""Where things lie on this machine: the state directory, the ledger, the project's name."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from platformdirs import PlatformDirs

LEDGER_NAME = "provider_usage.jsonl"
LOOP_DIR = ".claude-loop"
"""A loop's own directory; its ledger is ``.claude-loop/logs/provider_usage.jsonl``."""

STATE_DIR_VARIABLE = "TOKENPROXY_STATE_DIR"
LEDGER_VARIABLE = "TOKENPROXY_LEDGER"
CONFIG_VARIABLE = "TOKENPROXY_CONFIG"


def state_dir(env: Mapping[str, str] | None = None) -> Path:
    """Our directory for state that outlives a run, created for this user alone (0700).

    Args:
        env: Environment to read ``TOKENPROXY_STATE_DIR`` from; default the process's own.

    Raises:
        OSError: It cannot be created.
    """
    named = (os.environ if env is None else env).get(STATE_DIR_VARIABLE)
    if named:
        directory = _expanded(named).absolute()
    else:
        try:
            directory = _usual("XDG_STATE_HOME", ".local/state") or _platforms().user_state_path
        except RuntimeError as error:  # no HOME, and no account to ask
            raise OSError(errno.ENOENT, str(error), "~") from None
    make_private(directory)
    return directory


def make_private(directory: Path) -> None:
    """Create a directory for this user alone (0700), and what is missing above it likewise.

    A parent that others may write to would let them put another in its place. So would one that
    somebody else has made there before us, where everybody may: in ``/tmp``, say.

    Raises:
        OSError: It cannot be created, or is another user's.
    """
    for place in reversed([directory, *directory.parents]):
        if not place.is_dir():
            try:
                place.mkdir(mode=0o700, exist_ok=True)
            except FileExistsError:  # it is no directory, and does not become one
                reason = os.strerror(errno.ENOTDIR)
                raise NotADirectoryError(errno.ENOTDIR, reason, str(place)) from None
    # Root may keep to a user's place; and what the machine's own user has made is a volume, say.
    trusted = (os.geteuid(), 0)
    if directory.stat().st_uid in trusted or trusted == (0, 0):
        return
    # One that stands where only these may make any was given to us: an image's, for all its users.
    parent = directory.parent.stat()
    if parent.st_uid not in trusted or parent.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(errno.EPERM, "it belongs to another user", str(directory))


def no_state(error: OSError) -> str:
    """What to say of a state directory that cannot be had, and what to do."""
    where = f" ({error.filename})" if error.filename else ""
    reason = error.strerror or error
    return f"no directory for state: {reason}{where}; name one with {STATE_DIR_VARIABLE}"


def cache_dir(env: Mapping[str, str] | None = None) -> Path:
    """Our directory for what can be made anew; it may not be there yet.

    ``cache`` in ``TOKENPROXY_STATE_DIR``, else the user's cache directory.

    Args:
        env: As of :func:`state_dir`.

    Raises:
        OSError: There is no such place.
    """
    if (os.environ if env is None else env).get(STATE_DIR_VARIABLE):
        return state_dir(env) / "cache"
    import platformdirs

    try:
        return platformdirs.user_cache_path("tokenproxy", appauthor=False)
    except RuntimeError as error:  # no HOME, and no account to ask
        raise OSError(errno.ENOENT, str(error), "~") from None


def config_file(env: Mapping[str, str] | None = None) -> Path | None:
    """The user's configuration: ``TOKENPROXY_CONFIG``, or ``config.toml`` in their directory.

    None if there is none; one that is named is returned whether it is there or not.
    """
    named = (os.environ if env is None else env).get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    try:
        directory = _usual("XDG_CONFIG_HOME", ".config") or _platforms().user_config_path
        usual = directory / "config.toml"
        return usual if usual.exists() else None
    except (OSError, RuntimeError):  # no HOME, or nothing of it that we may see
        return None


def _usual(variable: str, below: str) -> Path | None:
    """Our directory where the XDG specification alone says it; None for platformdirs to say.

    It says the same, but its import is a tenth of what the user's command waits for.
    """
    env = os.environ
    home = env.get("HOME", "")
    base = env.get(variable) or (home and f"{home.rstrip('/')}/{below}")
    if sys.platform != "linux" or "ANDROID_DATA" in env or not base.startswith("/"):
        return None
    return Path(base) / "tokenproxy"


def _platforms() -> PlatformDirs:
    """Our directories as the platform has them. Asking for one may raise RuntimeError: no home."""
    from platformdirs import PlatformDirs

    return PlatformDirs("tokenproxy", appauthor=False)


def runs_dir(state: Path) -> Path:
    """Parent of every run's own directory: ``{state}/runs/{run_id}/``."""
    return state / "runs"


def ledger_path(explicit: str | None, env: Mapping[str, str], cwd: Path) -> Path:
    """The ledger of a run started in ``cwd``, as an absolute path; nothing is created but state.

    The first of: ``explicit`` (``--ledger``), ``TOKENPROXY_LEDGER``, the loop's own
    ledger when ``cwd`` or a parent holds ``.claude-loop/``, the user's state directory.

    Raises:
        OSError: There is no such home, or no state directory can be made.
    """
    named = explicit or env.get(LEDGER_VARIABLE)
    if named:
        return cwd.absolute() / _expanded(named)
    for directory in _upwards(cwd):
        if (directory / LOOP_DIR).is_dir():
            return directory / LOOP_DIR / "logs" / LEDGER_NAME
    return state_dir(env) / LEDGER_NAME


def _expanded(named: str) -> Path:
    try:
        return Path(named).expanduser()
    except RuntimeError as error:  # ~somebody who is not there
        raise OSError(errno.ENOENT, str(error), named) from None


def working_directory(env: Mapping[str, str]) -> Path:
    """Where we are; if that directory is gone, what the shell still calls it."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(env.get("PWD") or "/")


def project_name(cwd: Path) -> str:
    """Name of the enclosing git repository's directory, else of ``cwd`` itself."""
    for directory in _upwards(cwd):
        # A file in linked worktrees and submodules, a directory elsewhere.
        if (directory / ".git").exists():
            return directory.name
    return cwd.absolute().name


def _upwards(cwd: Path) -> Iterator[Path]:
    start = cwd.absolute()
    yield start
    yield from start.parents
