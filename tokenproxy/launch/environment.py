"""The command's environment: a copy of the user's, with us in the calls' way.

Never our own environment: what the launcher and the proxy do themselves goes
the user's way.

``NODE_USE_ENV_PROXY`` is left alone: with it Node 22 prints a warning on the
stderr of every process it starts. Node's own ``fetch`` heeds ``HTTPS_PROXY``
only with it; such commands are seen in reverse mode, or when the user sets it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from tokenproxy import no_proxy
from tokenproxy.config import RunContext
from tokenproxy.launch import nesting, traceparent
from tokenproxy.launch.plan import PROXY_VARIABLES, Plan
from tokenproxy.wire.providers import PROVIDERS

RUN_ID = "TOKENPROXY_RUN_ID"


def inherited() -> dict[str, str]:
    """The environment that we were started with.

    Python itself may have set ``LC_CTYPE`` since (PEP 538, in the C locale); the
    command must not see that.
    """
    env = dict(os.environ)
    try:
        initial = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return env
    env.pop("LC_CTYPE", None)
    for entry in initial:
        if entry.startswith(b"LC_CTYPE="):
            env["LC_CTYPE"] = os.fsdecode(entry.partition(b"=")[2])
    return env


def for_child(
    env: Mapping[str, str],
    plan: Plan,
    run: RunContext,
    *,
    port: int,
    secret: str | None = None,
    trust: Mapping[str, str],
    direct_hosts: Iterable[str] = (),
    ledger: str | None = None,
    telemetry: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The command's environment.

    Args:
        env: The user's.
        plan: The way of calls.
        run: The iteration; parent of what the command traces.
        port: Ours, on 127.0.0.1.
        secret: What clients must show to us; None: nothing.
        trust: Variable -> file, for clients that must trust the run's CA.
        direct_hosts: Hosts to be reached without any proxy (telemetry).
        ledger: The ledger, if the user named one, for runs inside this one.
        telemetry: What turns the command's own telemetry on; None if nobody asked for it.
    """
    ours = f"http://tokenproxy:{secret}@127.0.0.1:{port}" if secret else f"http://127.0.0.1:{port}"
    first_step = f"/~{secret}" if secret else ""
    changed = dict.fromkeys(
        no_proxy.VARIABLES, no_proxy.for_child(plan.no_proxy, plan.hosts, direct_hosts)
    )
    if plan.hosts:
        changed |= dict.fromkeys(PROXY_VARIABLES, ours)
        changed |= trust
    for name in plan.variables:
        provider = PROVIDERS[name]
        login = _login(plan.upstreams.get(name))
        changed[provider.base_url_env] = (
            f"http://{login}127.0.0.1:{port}{first_step}/{name}{provider.base_path}"
        )
    changed |= telemetry or {}
    child = {name: value for name, value in env.items() if name not in traceparent.VARIABLES}
    child |= changed
    child |= traceparent.for_child(run)
    child[RUN_ID] = run.run_id
    child[nesting.VARIABLE] = nesting.note(
        env,
        changed,
        routes=plan.routes,
        ledger=ledger,
        client_telemetry=telemetry is not None,
    )
    return child


def _login(url: str | None) -> str:
    """``user:password@`` of the user's gateway: clients make an Authorization header of it."""
    login, at, _ = urlsplit(url or "").netloc.rpartition("@")
    return login + at
