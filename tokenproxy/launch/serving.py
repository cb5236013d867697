"""A gateway's orders to its workers, as often as they are needed: at the start, at each reload."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from tokenproxy import ids, no_proxy, paths
from tokenproxy.config import Limits, ProxyConfig, RunContext
from tokenproxy.launch import options
from tokenproxy.launch.admission import for_gateway, is_loopback, read_token
from tokenproxy.launch.errors import NoStateError, UsageError
from tokenproxy.launch.gateway_authority import gateway_authority
from tokenproxy.launch.gateways import Registration, behind
from tokenproxy.launch.plan import make_plan
from tokenproxy.launch.prepare import check_prices, check_text, spool_directory
from tokenproxy.launch.proxy_process import Proxy
from tokenproxy.launch.routes import is_here
from tokenproxy.launch.run_dir import RunDir, check_ledger
from tokenproxy.launch.trust import write_upstream_trust
from tokenproxy.launch.workers import Worker
from tokenproxy.telemetry import switch
from tokenproxy.telemetry.problems import problems
from tokenproxy.wire.providers import PROVIDERS

UNTOLD = (
    "this system does not tell whose a connection is: other users of this machine can use the"
    " gateway unless it asks for a token (--token-file)"
)


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    ledger: str | None = None
    routes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    token_file: str | None = None
    anybody: bool = False
    """``--no-token``."""
    limits: Limits = Limits()
    inject_include_usage: bool = False
    capture_days: int | None = None
    """How long captured bodies are kept; None: none are."""
    otel_spool: str | None = None
    """Directory for telemetry that cannot be delivered."""


class Serving:
    """One gateway: its sockets, its state, and what its workers are told."""

    def __init__(
        self, asked: ServeOptions, env: Mapping[str, str], listeners: Sequence[socket.socket]
    ) -> None:
        """Refuse what can be refused.

        Raises:
            CannotRunError: With the reason.
            OSError: The state cannot be kept.
        """
        self._asked = asked
        self._env = env
        self._listeners = listeners
        self._labels = options.joined_labels(asked.labels, env)
        self._plan = make_plan(
            "forward", _without_base_urls(env), options.joined_routes(asked.routes, env)
        )
        _refuse_itself(self._plan.upstream_proxy, listeners[0])
        try:
            self.ledger = paths.ledger_path(asked.ledger, env, paths.working_directory(env))
            self._state = paths.state_dir(env)
        except OSError as error:
            raise NoStateError(paths.no_state(error)) from None
        check_text(self.ledger, self._state)
        check_ledger(self.ledger)
        self._spool = spool_directory(asked.otel_spool, paths.working_directory(env))
        self._plan = behind(self._plan, self._state)
        self._authority, self.certificate = gateway_authority(self._state, self._plan.hosts)
        self.token = self._token()
        self.admission = for_gateway(listeners[0], self.token, anybody=asked.anybody)
        self._registration = Registration(self._state, *listeners[0].getsockname()[:2])
        # Its terminal, or whatever takes its words, is the gateway's own.
        self._console_fd = os.dup(2) if switch.prints(env) else None

    def close(self) -> None:
        """Runs that come from now on need not look for this gateway. The ports are still open."""
        self._registration.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever starts it should know."""
        notes = (*self._plan.notes, *problems(self._env))
        if self.admission.secret is None and not self.admission.users and not self._asked.anybody:
            notes = (*notes, UNTOLD)
        return notes

    def workers(self) -> list[Worker]:
        """A process for each socket, not started yet. Files that were named are read anew.

        Raises:
            CannotRunError: They cannot be used.
            OSError: Likewise.
        """
        check_prices(self._env)
        self.token = self._token()
        self.admission = for_gateway(self._listeners[0], self.token, anybody=self._asked.anybody)
        self._authority, self.certificate = gateway_authority(self._state, self._plan.hosts)
        made: list[Worker] = []
        try:
            made.extend(self._worker(listener) for listener in self._listeners)
        except BaseException:
            for worker in made:
                worker.run_dir.close(keep_log=False)
            raise
        return made

    def _token(self) -> str | None:
        return read_token(self._asked.token_file, self._env)

    def _worker(self, listener: socket.socket) -> Worker:
        plan = self._plan
        run = RunContext(
            run_id=ids.uuid7(),
            trace_id=ids.new_trace_id(),
            span_id=ids.new_span_id(),
            started_ns=time.time_ns(),
            labels=self._labels,
            gateway=True,
        )
        run_dir = RunDir(self._state, run.run_id)
        config = ProxyConfig(
            run=run,
            ledger=str(self.ledger),
            run_dir=str(run_dir.path),
            listen_fd=listener.fileno(),
            admission=self.admission,
            limits=self._asked.limits,
            intercept_hosts=plan.hosts,
            routes=plan.routes,
            upstream_proxy=plan.upstream_proxy,
            proxy_mark=plan.proxy_mark,
            run_mark=self._registration.mark,
            no_proxy=no_proxy.entries(self._env),
            ca_cert_pem=self._authority.cert_pem,
            ca_key_pem=self._authority.key_pem,
            upstream_ca=write_upstream_trust(run_dir.path, self._env),
            only_opened=not is_loopback(listener),
            inject_include_usage=self._asked.inject_include_usage,
            capture_days=self._asked.capture_days,
            otel_spool=str(self._spool) if self._spool else None,
            console_fd=self._console_fd,
        )
        proxy = Proxy(listener, run_dir.path, self._env, console_fd=self._console_fd)
        return Worker(proxy, config, run_dir)


def _refuse_itself(proxy: str | None, listener: socket.socket) -> None:
    """Every call would come back to us, again and again.

    Raises:
        UsageError: The proxy that we would go through is ourselves.
    """
    parts = urlsplit(proxy or "")
    if parts.port == listener.getsockname()[1] and is_here(parts.hostname or ""):
        raise UsageError(
            "HTTPS_PROXY names this gateway itself: unset it here, and set it for its clients"
        )


def _without_base_urls(env: Mapping[str, str]) -> dict[str, str]:
    """A gateway's own way upstream is its routes', not that of a client's variables."""
    variables = {provider.base_url_env for provider in PROVIDERS.values()}
    return {name: value for name, value in env.items() if name not in variables}
