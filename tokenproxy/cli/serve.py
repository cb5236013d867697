"""``tokenproxy serve``: a standing gateway for many commands."""

from __future__ import annotations

import ipaddress
import socket
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from tokenproxy.cli.failure import Failure
from tokenproxy.cli.shared import InjectOption, LabelOption, LedgerOption, RouteOption

LOOPBACK = ("127.0.0.1", "::1", "localhost")


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
    route: RouteOption = None,
    ledger: LedgerOption = None,
    label: LabelOption = None,
    inject_include_usage: InjectOption = False,
) -> None:
    """Be a shared gateway that records the calls of many commands.

    One port speaks both ways: as a proxy (HTTPS_PROXY) and as the API itself
    (ANTHROPIC_BASE_URL, OPENAI_BASE_URL, …). Ctrl-C or SIGTERM ends it once the open
    calls are recorded.
    """
    from tokenproxy import ids, no_proxy, paths
    from tokenproxy.config import ProxyConfig, RunContext
    from tokenproxy.launch import environment, options
    from tokenproxy.launch.errors import CannotRunError
    from tokenproxy.launch.gateway_authority import gateway_authority
    from tokenproxy.launch.plan import make_plan
    from tokenproxy.launch.prepare import check_prices
    from tokenproxy.launch.run_dir import RunDir, check_ledger
    from tokenproxy.launch.trust import write_upstream_trust

    env = environment.inherited()
    listener = _listen(listen, allow_remote=allow_remote)
    try:
        plan = make_plan(
            "forward", _without_base_urls(env), options.joined_routes(route or (), env)
        )
        place = paths.ledger_path(ledger, env, paths.working_directory(env))
        check_ledger(place)
        check_prices(env)
        state = paths.state_dir(env)
        authority, certificate = gateway_authority(state, plan.hosts)
        run = RunContext(
            run_id=ids.uuid7(),
            trace_id=ids.new_trace_id(),
            span_id=ids.new_span_id(),
            started_ns=time.time_ns(),
            labels=options.joined_labels(label or (), env),
            gateway=True,
        )
        run_dir = RunDir(state, run.run_id)
        config = ProxyConfig(
            run=run,
            ledger=str(place),
            run_dir=str(run_dir.path),
            listen_fd=listener.fileno(),
            intercept_hosts=plan.hosts,
            routes=plan.routes,
            upstream_proxy=plan.upstream_proxy,
            no_proxy=no_proxy.entries(env),
            ca_cert_pem=authority.cert_pem,
            ca_key_pem=authority.key_pem,
            upstream_ca=write_upstream_trust(run_dir.path, env),
            only_opened=not _is_loopback(listener),
            inject_include_usage=inject_include_usage,
        )
    except CannotRunError as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"the gateway cannot keep its state: {error}") from None
    try:
        _serve(config, listener, certificate)
    finally:
        run_dir.close(keep_log=False)


def _serve(config: object, listener: socket.socket, certificate: Path) -> None:
    from tokenproxy.config import ProxyConfig
    from tokenproxy.launch.summary import say, summary_line
    from tokenproxy.proxy import process

    assert isinstance(config, ProxyConfig)  # noqa: S101 - narrows a lazily imported type
    host, port = listener.getsockname()[:2]
    bound = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    # "Every address" is one to listen on, not one to go to.
    url = f"http://HOST:{port}" if ipaddress.ip_address(host).is_unspecified else bound

    def ready() -> None:
        say(f"listening on {bound}, ledger {config.ledger}")
        say(f"as the API:  ANTHROPIC_BASE_URL={url}/anthropic OPENAI_BASE_URL={url}/openai/v1 …")
        say(f"as a proxy:  HTTPS_PROXY={url} NODE_EXTRA_CA_CERTS={certificate}")

    begun = time.monotonic()
    summary = process.run_loop(
        process.serve(config, listener, ready=ready, ended=process.until_signal())
    )
    elapsed_ms = (time.monotonic() - begun) * 1000
    say(summary_line(summary, elapsed_ms=elapsed_ms, iteration=None))
    for sentence in summary.warnings:
        say(sentence)
    sys.stderr.flush()


def _listen(where: str, *, allow_remote: bool) -> socket.socket:
    host, _, port = where.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the highest port
        raise Failure(f"--listen {where!r} is not HOST:PORT, for example 127.0.0.1:4040")
    if host not in LOOPBACK and not allow_remote:
        raise Failure(
            f"--listen {where}: whoever reaches this address could use the gateway; put an"
            " authenticating proxy in front of 127.0.0.1, or add --allow-remote if only those who"
            " may use it can reach it (docs/security.md)"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=1024)
    except OSError as error:
        raise Failure(f"cannot listen on {where}: {error.strerror}; choose another port") from None


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def _without_base_urls(env: dict[str, str]) -> dict[str, str]:
    """A gateway's own way upstream is its routes', not that of a client's variables."""
    from tokenproxy.wire.routes import PROVIDERS

    variables = {provider.base_url_env for provider in PROVIDERS.values()}
    return {name: value for name, value in env.items() if name not in variables}
