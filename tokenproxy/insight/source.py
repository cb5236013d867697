"""Where a report's calls are, as a URL: ``clickhouse://user:password@host:port/database``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

PASSWORD_VARIABLE = "TOKENPROXY_CLICKHOUSE_PASSWORD"  # noqa: S105 - a variable's name
SCHEME = "clickhouse"
_HTTP_PORT, _HTTPS_PORT = 8123, 8443
_SWITCH = {"true": True, "1": True, "false": False, "0": False}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SourceError(Exception):
    """A source that cannot be used; the message is one sentence for the user."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A ClickHouse and the calls in it."""

    host: str
    port: int
    """Of its HTTP interface."""
    user: str = "default"
    password: str = ""
    database: str = "tokenproxy"
    table: str = "calls"
    """Of calls; ``{table}_by_model`` has a record for each model that a call billed."""
    secure: bool = False
    """TLS."""

    @property
    def place(self) -> str:
        """Host and port, for sentences; never with the password."""
        return f"{self.host}:{self.port}"


def parse_source(url: str, env: Mapping[str, str]) -> Source:
    """Read a source's URL.

    Args:
        url: ``clickhouse://[user[:password]@]host[:port][/database][?table=…&secure=…]``.
        env: Where the password is if the URL has none.

    Raises:
        SourceError: With what is wrong; the URL is not repeated, it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SourceError(f"the source's URL cannot be read: {_FORM}") from None
    if parts.scheme != SCHEME or not parts.hostname or parts.fragment:
        raise SourceError(f"the source must be a URL of the form {_FORM}")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(given.keys() - {"table", "secure"}):
        raise SourceError(f"the source's URL takes table and secure, not {unknown[0]!r}")
    if (secure := _SWITCH.get(given.get("secure", "false").lower())) is None:
        raise SourceError("secure is true or false in the source's URL")
    names = {
        "database": unquote(parts.path.strip("/")) or "tokenproxy",
        "table": given.get("table", "calls"),
    }
    for what, name in names.items():
        if not _NAME.fullmatch(name):
            raise SourceError(f"the {what} {name!r} of the source's URL is no name of ClickHouse's")
    password = parts.password
    return Source(
        host=parts.hostname,
        port=port or (_HTTPS_PORT if secure else _HTTP_PORT),
        user=unquote(parts.username or "default"),
        password=env.get(PASSWORD_VARIABLE, "") if password is None else unquote(password),
        secure=secure,
        **names,
    )


_FORM = "clickhouse://user:password@host:8123/database"
