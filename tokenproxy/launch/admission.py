"""Who may use a listener: a run's, a gateway's."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path

from tokenproxy import peers
from tokenproxy.config import Admission
from tokenproxy.launch.errors import UsageError


def for_run(listener: socket.socket) -> Admission:
    """The run's own processes: by the kernel's word, or where it gives none by a secret.

    The word comes first because nobody has to know of it. A secret stands in the command's
    variables, as the password of its proxy's URL: programs print these, and not all log in.
    """
    if peers.telling(listener):
        return Admission(users=True, launcher=os.getpid())
    import secrets  # 4 ms, on systems without that word

    return Admission(secret=secrets.token_urlsafe(24))


TOKEN_VARIABLE = "TOKENPROXY_SERVE_TOKEN"  # noqa: S105 - a variable's name
TOKEN_FILE_VARIABLE = "TOKENPROXY_SERVE_TOKEN_FILE"  # noqa: S105 - likewise
SHORTEST = 16
_TOKEN = re.compile(rf"[A-Za-z0-9._~-]{{{SHORTEST},}}")


def for_gateway(listener: socket.socket, token: str | None, *, anybody: bool) -> Admission:
    """Whom a gateway serves.

    Args:
        listener: Its socket.
        token: What its clients have to show.
        anybody: Nothing is asked for.

    Raises:
        UsageError: Whoever reaches it could use it, and nobody has said that this is meant.
    """
    if token is not None and anybody:
        raise UsageError("--no-token and a token exclude each other")
    if token is not None or anybody:
        return Admission(secret=token)
    if not is_loopback(listener):
        raise UsageError(
            "a gateway that others reach asks for a token: name a file that holds it with"
            f" --token-file, or set {TOKEN_VARIABLE}; or say --no-token if only those who may use"
            " it can reach it (docs/gateway.md)"
        )
    return Admission(users=peers.telling(listener))


def read_token(file: str | None, env: Mapping[str, str]) -> str | None:
    """A gateway's token: in the file, or in the environment; never in an argument, which all see.

    Raises:
        UsageError: It cannot be read, or is none.
    """
    name = file or env.get(TOKEN_FILE_VARIABLE)
    if name:
        try:
            token = Path(name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise UsageError(f"the token cannot be read from {name}: {reason}") from None
        where = name
    else:
        token, where = env.get(TOKEN_VARIABLE, "").strip(), TOKEN_VARIABLE
        if not token:
            return None
    if not _TOKEN.fullmatch(token):  # it is not shown
        raise UsageError(
            f"the token in {where} is none: it must have {SHORTEST} characters or more, of"
            " A-Z a-z 0-9 . _ ~ - (it stands in URLs)"
        )
    return token


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine reaches it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback
