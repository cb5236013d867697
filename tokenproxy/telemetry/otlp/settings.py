"""What the environment says of OTLP over HTTP.

Source: OpenTelemetry specification, protocol/exporter.md and
configuration/sdk-environment-variables.md. A signal's own variable wins over the one for
all. Values that the SDK has an opinion on are left to it (:mod:`tokenproxy.telemetry.otlp.fit`).
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import msgspec

from tokenproxy import __version__
from tokenproxy.telemetry import switch
from tokenproxy.telemetry.problems import COMPRESSIONS, HEADER
from tokenproxy.telemetry.switch import Signal

_OF_THE_BODY: Final = frozenset(
    ("content-type", "content-encoding", "content-length", "transfer-encoding")
)


class Settings(msgspec.Struct, frozen=True):
    """How to send one signal."""

    host: str
    port: int
    path: str
    timeout_s: float
    headers: Mapping[str, str]
    compression: str
    """``gzip``, ``deflate`` or ``none``."""
    tls: bool
    certificate: str | None
    """File or directory with the authorities to trust; None for the system's."""
    client_certificate: str | None
    client_key: str | None

    def trust(self) -> ssl.SSLContext:
        """What TLS connections are made with.

        Raises:
            OSError: A file cannot be read, or is no certificate or key; it says which.
        """
        named = self.certificate
        try:
            if named is not None and Path(named).is_dir():
                made = ssl.create_default_context(capath=named)
            else:
                made = ssl.create_default_context(cafile=named)
        except OSError as error:
            raise OSError(f"{named}: {error.strerror or error}") from error
        if self.client_certificate is not None:
            try:
                made.load_cert_chain(self.client_certificate, self.client_key)
            except OSError as error:
                files = " and ".join(filter(None, (self.client_certificate, self.client_key)))
                raise OSError(f"{files}: {error.strerror or error}") from error
        return made


def settings(env: Mapping[str, str], signal: Signal) -> Settings:
    """The settings of a signal, whose endpoint is a plain URL of http or https.

    Raises:
        ValueError: A header of the user's cannot be sent.
    """
    parts = switch.split(switch.endpoint(env, signal))
    tls = parts.scheme == "https"
    compression = (_said(env, signal, "COMPRESSION") or "none").lower()
    if compression not in COMPRESSIONS:
        compression = "none"
    headers = {
        "user-agent": f"tokenproxy/{__version__}",
        **_login(parts.username, parts.password),
        **_headers(env, signal),
        "content-type": "application/x-protobuf",
    }
    if compression != "none":
        headers["content-encoding"] = compression
    path = parts.path or "/"
    return Settings(
        host=parts.hostname or "",
        port=parts.port or (443 if tls else 80),
        path=f"{path}?{parts.query}" if parts.query else path,
        timeout_s=switch.timeout_s(env, signal),
        headers=headers,
        compression=compression,
        tls=tls,
        certificate=_said(env, signal, "CERTIFICATE") or _bundle(env),
        client_certificate=_said(env, signal, "CLIENT_CERTIFICATE"),
        client_key=_said(env, signal, "CLIENT_KEY"),
    )


def headers_of(said: str) -> dict[str, str]:
    """The headers in ``OTEL_EXPORTER_OTLP_HEADERS``: ``name=value,name=value``, values quoted."""
    found: dict[str, str] = {}
    for part in said.split(","):
        words = part.strip()
        if not words:
            continue
        header = HEADER.fullmatch(words)
        if header is None:  # said by tokenproxy.telemetry.problems
            continue
        name, value = header[1], header[2].strip()
        if " " not in value:  # else it is no quoted one
            name, value = unquote(name).strip(), unquote(value).strip()
        found[name.lower()] = value
    return found


def _headers(env: Mapping[str, str], signal: Signal) -> dict[str, str]:
    """The user's, but for those that tell of the body: they are ours to say.

    Raises:
        ValueError: One would not be a header of HTTP (RFC 9110, 5.1 and 5.5).
    """
    said = switch.stated(env, signal, "HEADERS")
    if not said:
        return {}
    variable, headers = said[0][0], headers_of(said[0][1])
    for name, value in headers.items():
        named = name and all("!" <= each <= "~" and each != ":" for each in name)
        if not named or any((each < " " and each != "\t") or each == "\x7f" for each in value):
            # Neither is shown: it may be a credential that came out of place.
            raise ValueError(
                f"{variable} has a header that cannot be sent: its name or value has a character"
                " that HTTP does not allow there"
            )
    return {name: value for name, value in headers.items() if name not in _OF_THE_BODY}


def _login(user: str | None, password: str | None) -> dict[str, str]:
    """A user in the endpoint, as HTTP clients send it."""
    if user is None:
        return {}
    both = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"authorization": f"Basic {base64.b64encode(both).decode()}"}


def _bundle(env: Mapping[str, str]) -> str | None:
    """What Python's HTTP clients, and the SDK's with them, trust instead of the system's."""
    return env.get("REQUESTS_CA_BUNDLE") or env.get("CURL_CA_BUNDLE") or None


def _said(env: Mapping[str, str], signal: Signal, what: str) -> str | None:
    said = switch.stated(env, signal, what)
    return said[0][1] if said else None
