"""``tokenproxy serve``: a standing gateway for many commands."""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from tokenproxy.cli.failure import Failure
from tokenproxy.cli.shared import (
    CAPTURED_DAYS,
    CaptureDaysOption,
    CaptureOption,
    InjectOption,
    LabelOption,
    LedgerOption,
    RouteOption,
    SpoolOption,
)

if TYPE_CHECKING:
    from tokenproxy.launch.serving import Serving

LOOPBACK = ("127.0.0.1", "::1", "localhost")
HEAD_S = 30.0
"""For a request's head to come; a client that is well needs one packet."""


def serve(
    *,
    listen: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            envvar="TOKENPROXY_LISTEN",
            help="Loopback, unless --allow-remote.",
        ),
    ] = "127.0.0.1:4040",
    allow_remote: Annotated[
        bool,
        typer.Option(
            "--allow-remote",
            envvar="TOKENPROXY_ALLOW_REMOTE",
            help="Listen where other machines reach; model APIs alone are served then.",
        ),
    ] = False,
    token_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            envvar="TOKENPROXY_SERVE_TOKEN_FILE",
            help="Its content is what clients must show; also TOKENPROXY_SERVE_TOKEN.",
        ),
    ] = None,
    no_token: Annotated[
        bool,
        typer.Option(
            "--no-token",
            envvar="TOKENPROXY_NO_TOKEN",
            help="Serve whoever reaches it. Else: this user alone, and with --allow-remote nobody.",
        ),
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            max=256,
            metavar="N",
            envvar="TOKENPROXY_WORKERS",
            help="Processes that share the port; one a core at most.",
        ),
    ] = 1,
    max_connections: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            envvar="TOKENPROXY_MAX_CONNECTIONS",
            help="Clients' connections at once, for each worker.",
        ),
    ] = 1000,
    idle_timeout: Annotated[
        float,
        typer.Option(
            min=1,
            metavar="SECONDS",
            envvar="TOKENPROXY_IDLE_TIMEOUT",
            help="Close connections whose client is silent so long; not while it waits for us.",
        ),
    ] = 600,
    max_body: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="BYTES",
            envvar="TOKENPROXY_MAX_BODY",
            help="Of one request; 0: any. Bodies are passed on as they come, never kept whole.",
        ),
    ] = 0,
    route: RouteOption = None,
    ledger: LedgerOption = None,
    label: LabelOption = None,
    inject_include_usage: InjectOption = False,
    capture: CaptureOption = False,
    capture_days: CaptureDaysOption = CAPTURED_DAYS,
    otel_spool: SpoolOption = None,
) -> None:
    """Be a shared gateway that records the calls of many commands.

    One port speaks both ways: as a proxy (HTTPS_PROXY) and as the API itself
    (ANTHROPIC_BASE_URL, OPENAI_BASE_URL, …); GET /healthz tells that it serves. Ctrl-C or
    SIGTERM ends it once the open calls are recorded; SIGHUP replaces its workers without a
    gap, reading token, prices and authorities anew.
    """
    from tokenproxy.config import Limits
    from tokenproxy.launch import environment
    from tokenproxy.launch.errors import CannotRunError
    from tokenproxy.launch.serving import ServeOptions, Serving

    asked = ServeOptions(
        ledger=ledger,
        routes=tuple(route or ()),
        labels=tuple(label or ()),
        token_file=token_file,
        anybody=no_token,
        limits=Limits(
            connections=max_connections,
            head_s=min(HEAD_S, idle_timeout),
            idle_s=idle_timeout,
            body_bytes=max_body,
        ),
        inject_include_usage=inject_include_usage,
        capture_days=capture_days if capture else None,
        otel_spool=otel_spool,
    )
    listeners = _listen(listen, workers, allow_remote=allow_remote)
    try:
        serving = Serving(asked, environment.inherited(), listeners)
        try:
            _serve(serving, listeners[0])
        finally:
            serving.close()
    except CannotRunError as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"the gateway cannot keep its state: {error}") from None


def _serve(serving: Serving, listener: socket.socket) -> None:
    from tokenproxy.launch.summary import say, summary_line
    from tokenproxy.launch.workers import Workers

    host, port = listener.getsockname()[:2]
    bound = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    # "Every address" is one to listen on, not one to go to.
    place = "HOST" if ipaddress.ip_address(host).is_unspecified else bound.rpartition(":")[0][7:]
    # The token itself is shown nowhere.
    login, step = ("tokenproxy:TOKEN@", "/~TOKEN") if serving.token else ("", "")
    api, proxy = f"http://{place}:{port}{step}", f"http://{login}{place}:{port}"

    def ready() -> None:
        say(f"listening on {bound}, ledger {serving.ledger}")
        say(f"as the API:  ANTHROPIC_BASE_URL={api}/anthropic OPENAI_BASE_URL={api}/openai/v1 …")
        say(f"as a proxy:  HTTPS_PROXY={proxy} NODE_EXTRA_CA_CERTS={serving.certificate}")
        for note in serving.notes:
            say(note)

    begun = time.monotonic()
    try:
        summary = Workers(serving.workers, say).run(ready)
    except ChildProcessError as error:
        raise Failure(f"a worker cannot be started: {error}") from None
    elapsed_ms = (time.monotonic() - begun) * 1000
    say(summary_line(summary, elapsed_ms=elapsed_ms, iteration=None))
    if summary.relayed:
        what = "call is" if summary.relayed == 1 else "calls are"
        say(f"{summary.relayed} {what} recorded by the runs of yours that went through here")
    for sentence in (one for one in summary.warnings if one not in serving.notes):
        say(sentence)
    sys.stderr.flush()


def _listen(where: str, workers: int, *, allow_remote: bool) -> list[socket.socket]:
    from tokenproxy.launch.workers import open_listeners

    host, _, port = where.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the highest port
        raise Failure(f"--listen {where!r} is not HOST:PORT, for example 127.0.0.1:4040")
    if host not in LOOPBACK and not allow_remote:
        raise Failure(
            f"--listen {where}: other machines could reach this address; add --allow-remote and a"
            " token if they are to (docs/gateway.md), or listen on 127.0.0.1"
        )
    try:
        return open_listeners(host, int(port), workers)
    except OSError as error:
        # What asyncio and socket add in brackets says the address once more.
        reason = (error.strerror or str(error)).partition(" (while")[0]
        advice = {
            errno.EADDRINUSE: "; choose another port",
            errno.EACCES: "; choose a port above 1023",
            errno.EADDRNOTAVAIL: "; name an address of this machine",
        }
        raise Failure(
            f"cannot listen on {where}: {reason}{advice.get(error.errno or 0, '')}"
        ) from None
