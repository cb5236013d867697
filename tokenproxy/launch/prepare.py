"""What must be right before a run disturbs anything, and what follows from it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tokenproxy import ids, paths
from tokenproxy.config import Admission, ProxyConfig, RunContext
from tokenproxy.launch import executable, nesting, traceparent
from tokenproxy.launch.authority import Authority
from tokenproxy.launch.errors import NoStateError, UsageError
from tokenproxy.launch.executable import Executable
from tokenproxy.launch.nesting import OuterRun
from tokenproxy.launch.options import RunOptions
from tokenproxy.launch.plan import ANY_PROXY_VARIABLES, PROXY_VARIABLES, Plan, make_plan
from tokenproxy.launch.run_dir import check_ledger

DRAIN_S = 2.0
"""For streams that are still open when the command has ended."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that could be refused, found good."""

    options: RunOptions
    env: dict[str, str]
    """The user's own, without any outer run's changes."""
    env_as_given: dict[str, str]
    """With them."""
    program: Executable
    plan: Plan
    ledger: Path
    state: Path
    named_ledger: str | None
    """The ledger if the user named it."""
    client_telemetry: bool = False
    """Whether the command's own telemetry is to be turned on."""
    spool: Path | None = None
    """For telemetry that cannot be delivered."""


def prepare(options: RunOptions, env: Mapping[str, str]) -> Prepared:
    """Refuse what can be refused; nothing is made but directories.

    Raises:
        NoStateError: There is no place for our state.
        CannotRunError: With the reason.
    """
    program = executable.find(options.command, env)
    outer = nesting.outer_run(env)
    own = nesting.without_outer_run(env)
    plan = make_plan(options.mode, own, {**outer.routes, **options.routes})
    client_telemetry = asks_telemetry(options, outer, own)
    named = options.ledger or own.get(paths.LEDGER_VARIABLE) or outer.ledger
    try:
        cwd = paths.working_directory(own)
        ledger = paths.ledger_path(named, own, cwd)
        state = paths.state_dir(own)
    except OSError as error:
        raise NoStateError(paths.no_state(error)) from None
    if plan.upstreams or plan.upstream_proxy:
        from tokenproxy.launch import gateways

        plan = gateways.behind(plan, state)
    check_text(ledger, state)
    check_ledger(ledger)
    check_prices(own)
    return Prepared(
        options=options,
        env=own,
        env_as_given=dict(env),
        program=program,
        plan=plan,
        ledger=ledger,
        state=state,
        named_ledger=str(ledger) if named else None,
        client_telemetry=client_telemetry,
        spool=spool_directory(options.otel_spool, cwd),
    )


def check_text(ledger: Path, state: Path) -> None:
    """Refuse paths that cannot be told to the proxy process.

    Raises:
        UsageError: One is such a path.
    """
    if _text(str(ledger)) != str(ledger) or _text(str(state)) != str(state):
        raise UsageError(
            "the path of the ledger or of the state directory is not UTF-8; name others with"
            f" --ledger and {paths.STATE_DIR_VARIABLE}"
        )


def spool_directory(named: str | None, cwd: Path) -> Path | None:
    """Where telemetry is kept that cannot be delivered; made if it is not there.

    Raises:
        UsageError: Nothing can be kept there.
    """
    if not named:
        return None
    from tokenproxy.telemetry import spool

    path = cwd / named
    if _text(str(path)) != str(path):
        raise UsageError("the path of the telemetry spool is not UTF-8")
    try:
        spool.prepare(path)
    except OSError as error:
        raise UsageError(
            f"nothing can be kept in --otel-spool {path}: {error.strerror}; name another directory"
        ) from None
    return path


def asks_telemetry(options: RunOptions, outer: OuterRun, env: Mapping[str, str]) -> bool:
    """Whether the command's telemetry is asked for: here, or of a run around this one.

    Raises:
        UsageError: Here, and there is nowhere to send it.
    """
    if not (options.client_telemetry or outer.client_telemetry):
        return False
    from tokenproxy.launch import client_telemetry

    if options.client_telemetry:
        client_telemetry.check(env)
    return bool(client_telemetry.signals(env))


def telemetry_for_child(given: Prepared) -> dict[str, str] | None:
    """What turns the command's own telemetry on, where that is asked for.

    The command's instance number is taken until this process ends.
    """
    if not given.client_telemetry:
        return None
    from tokenproxy.launch import client_telemetry
    from tokenproxy.telemetry import instance

    taken = instance.claim(given.state / "telemetry", "client")
    return client_telemetry.for_child(given.env, taken.id)


def check_prices(env: Mapping[str, str]) -> None:
    """Refuse a configuration whose prices cannot be used: costs would be silently others.

    Raises:
        UsageError: With the file, the line and what is wrong there.
    """
    config = paths.config_file(env)
    if config is None:
        return
    from tokenproxy.record import price_file

    try:
        price_file.read(config)
    except price_file.PriceFileError as error:
        raise UsageError(str(error)) from None


def identify(given: Prepared) -> RunContext:
    """The run's identity; takes the iteration's number.

    Raises:
        OSError: The number cannot be kept.
    """
    from tokenproxy.record.iteration import next_iteration

    options = given.options
    story_id = _text(options.story_id)
    directory = paths.working_directory(given.env)
    project = _text(paths.project_name(directory))
    parent = traceparent.inherited(given.env)
    run_id = ids.uuid7()
    trace_id = parent.trace_id if parent else ids.new_trace_id()
    return RunContext(
        run_id=run_id,
        trace_id=trace_id,
        span_id=ids.iteration_span_id(trace_id, run_id),
        started_ns=time.time_ns(),
        parent_span_id=parent.span_id if parent else None,
        trace_flags=parent.flags if parent else 1,
        tracestate=_text(parent.state) if parent and parent.state else None,
        story_id=story_id,
        iteration=next_iteration(
            given.ledger,
            story_id,
            project,
            options.iteration,
            directory=directory,
            state=given.state,
        ),
        complexity=options.complexity,
        project=project or None,
        labels={_text(key): _text(value) for key, value in options.labels.items()},
        agent=_text(Path(options.command[0]).name) or None,
    )


def proxy_config(
    given: Prepared,
    run: RunContext,
    authority: Authority | None,
    *,
    run_dir: Path,
    listen_fd: int,
    admission: Admission,
    upstream_ca: str | None = None,
    console_fd: int | None = None,
) -> ProxyConfig:
    """The proxy's orders."""
    plan = given.plan
    return ProxyConfig(
        run=run,
        ledger=str(given.ledger),
        run_dir=str(run_dir),
        listen_fd=listen_fd,
        admission=admission,
        intercept_hosts=plan.hosts,
        gateway_hosts=plan.gateway_hosts,
        routes=plan.routes,
        upstreams=plan.upstreams,
        leads=plan.leads,
        proxy_mark=plan.proxy_mark,
        upstream_proxy=_text(plan.upstream_proxy) if plan.upstream_proxy else None,
        no_proxy=tuple(_text(entry) for entry in plan.no_proxy),
        ca_cert_pem=authority.cert_pem if authority else None,
        ca_key_pem=authority.key_pem if authority else None,
        upstream_ca=upstream_ca,
        inject_include_usage=given.options.inject_include_usage,
        capture_days=given.options.capture_days,
        otel_spool=str(given.spool) if given.spool else None,
        console_fd=console_fd,
        drain_s=DRAIN_S,
    )


def telemetry_hosts(env: Mapping[str, str]) -> tuple[str, ...]:
    """Hosts that telemetry goes to directly: none if the user has a proxy, which may be the way."""
    from tokenproxy.telemetry.switch import otlp_hosts

    proxies = ("http_proxy", "HTTP_PROXY", *PROXY_VARIABLES, *ANY_PROXY_VARIABLES)
    return () if any(env.get(name) for name in proxies) else otlp_hosts(env)


def _text(value: str) -> str:
    """``value`` as text that UTF-8 can hold: bytes that were none become U+FFFD."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
