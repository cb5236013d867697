"""``tokenproxy serve``: a standing gateway for many commands."""

from __future__ import annotations

import ipaddress
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
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
)

if TYPE_CHECKING:
    from tokenproxy.config import ProxyConfig, Summary

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
    route: RouteOption = None,
    ledger: LedgerOption = None,
    label: LabelOption = None,
    inject_include_usage: InjectOption = False,
    capture: CaptureOption = False,
    capture_days: CaptureDaysOption = CAPTURED_DAYS,
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
    listeners = _listen(listen, workers, allow_remote=allow_remote)
    try:
        plan = make_plan(
            "forward", _without_base_urls(env), options.joined_routes(route or (), env)
        )
        place = paths.ledger_path(ledger, env, paths.working_directory(env))
        check_ledger(place)
        check_prices(env)
        state = paths.state_dir(env)
        authority, certificate = gateway_authority(state, plan.hosts)
        labels = options.joined_labels(label or (), env)
        runs = [
            RunContext(
                run_id=ids.uuid7(),
                trace_id=ids.new_trace_id(),
                span_id=ids.new_span_id(),
                started_ns=time.time_ns(),
                labels=labels,
                gateway=True,
            )
            for _ in listeners
        ]
        run_dirs = [RunDir(state, run.run_id) for run in runs]
        configs = [
            ProxyConfig(
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
                capture_days=capture_days if capture else None,
            )
            for run, run_dir, listener in zip(runs, run_dirs, listeners, strict=True)
        ]
    except CannotRunError as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"the gateway cannot keep its state: {error}") from None
    try:
        _serve(configs, listeners, certificate, env)
    finally:
        for run_dir in run_dirs:
            run_dir.close(keep_log=False)


def _serve(
    configs: Sequence[ProxyConfig],
    listeners: Sequence[socket.socket],
    certificate: Path,
    env: Mapping[str, str],
) -> None:
    from tokenproxy.launch.summary import say, summary_line

    config, listener = configs[0], listeners[0]
    host, port = listener.getsockname()[:2]
    bound = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    # "Every address" is one to listen on, not one to go to.
    url = f"http://HOST:{port}" if ipaddress.ip_address(host).is_unspecified else bound

    def ready() -> None:
        say(f"listening on {bound}, ledger {config.ledger}")
        say(f"as the API:  ANTHROPIC_BASE_URL={url}/anthropic OPENAI_BASE_URL={url}/openai/v1 …")
        say(f"as a proxy:  HTTPS_PROXY={url} NODE_EXTRA_CA_CERTS={certificate}")

    begun = time.monotonic()
    if len(listeners) == 1:
        from tokenproxy.proxy import process

        summary = process.run_loop(
            process.serve(config, listener, ready=ready, ended=process.until_signal())
        )
    else:
        summary = _serve_by_workers(configs, listeners, env, ready)
    elapsed_ms = (time.monotonic() - begun) * 1000
    say(summary_line(summary, elapsed_ms=elapsed_ms, iteration=None))
    for sentence in summary.warnings:
        say(sentence)
    sys.stderr.flush()


def _serve_by_workers(
    configs: Sequence[ProxyConfig],
    listeners: Sequence[socket.socket],
    env: Mapping[str, str],
    ready: Callable[[], None],
) -> Summary:
    from tokenproxy.launch.proxy_process import Proxy
    from tokenproxy.launch.workers import Workers

    proxies = [
        Proxy(listener, Path(config.run_dir), env)
        for config, listener in zip(configs, listeners, strict=True)
    ]
    try:
        return Workers(proxies, configs).run(ready)
    except ChildProcessError as error:
        raise Failure(f"a worker cannot be started: {error}") from None


def _listen(where: str, workers: int, *, allow_remote: bool) -> list[socket.socket]:
    from tokenproxy.launch.workers import open_listeners

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
    try:
        return open_listeners(host, int(port), workers)
    except OSError as error:
        raise Failure(f"cannot listen on {where}: {error.strerror}; choose another port") from None


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def _without_base_urls(env: dict[str, str]) -> dict[str, str]:
    """A gateway's own way upstream is its routes', not that of a client's variables."""
    from tokenproxy.wire.routes import PROVIDERS

    variables = {provider.base_url_env for provider in PROVIDERS.values()}
    return {name: value for name, value in env.items() if name not in variables}
