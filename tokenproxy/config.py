"""Values that cross process borders: the run, the proxy's orders, the summary.

All are plain data. The launcher writes them as JSON into the proxy's control
pipe; nothing secret goes through argv or the environment.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Mode = Literal["auto", "forward", "reverse"]


class RunContext(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One iteration: what every row and span of a run share."""

    run_id: str
    trace_id: str
    span_id: str
    """The iteration's own span."""
    started_ns: int
    parent_span_id: str | None = None
    """From an inherited ``TRACEPARENT``."""
    trace_flags: int = 1
    tracestate: str | None = None
    story_id: str = ""
    iteration: int = 0
    complexity: int = 0
    project: str | None = None
    """Working directory's project: its repository's or its own name."""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    agent: str | None = None
    """Name of the wrapped command (``claude``); None for a gateway."""
    gateway: bool = False
    """``serve``: no iteration; each turn is a trace of its own."""


class IterationEnd(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the wrapped command ended."""

    ended_ns: int
    exit_status: int
    """As a shell sees it: 128 + n for signal n."""


class Admission(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who may use the listener; everybody who reaches it, if nothing is asked for."""

    users: bool = False
    """The user that we run as, root, and who else belongs to the run; by the kernel's word."""
    launcher: int = 0
    """Process whose descendants make their users belong to the run; 0: there is none."""
    secret: str | None = None
    """Who shows this."""

    def __repr__(self) -> str:
        """Without the secret, wherever it may be printed."""
        return f"Admission(users={self.users}, secret={'...' if self.secret else None})"


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a client may cost a gateway; 0: whatever it likes, as a run's own command may."""

    connections: int = 0
    """Open at once, in one process."""
    head_s: float = 0.0
    """Seconds until a request's head is complete, from its first byte or the connection's start."""
    idle_s: float = 0.0
    """Seconds in which a client that has something to say says nothing."""
    body_bytes: int = 0
    """Of one request."""


class ProxyConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The proxy process's orders."""

    run: RunContext
    ledger: str
    run_dir: str
    """0700 directory of this run: journal, log."""
    listen_fd: int
    """Inherited listening socket."""
    admission: Admission = Admission()
    limits: Limits = Limits()
    intercept_hosts: tuple[str, ...] = ()
    """Only these are opened; every other CONNECT is tunnelled."""
    gateway_hosts: dict[str, str] = msgspec.field(default_factory=dict)
    """Extra intercepted host -> provider whose API it speaks."""
    routes: dict[str, str] = msgspec.field(default_factory=dict)
    """``--route HOST=URL``."""
    upstreams: dict[str, str] = msgspec.field(default_factory=dict)
    """Reverse: provider -> base URL that its variable held before."""
    leads: dict[str, str] = msgspec.field(default_factory=dict)
    """Reverse, where that base URL is a gateway of ours: provider -> whose calls they become."""
    upstream_proxy: str | None = None
    """The user's own HTTPS_PROXY, chained."""
    proxy_mark: str | None = None
    """What is shown to it where it is a gateway of ours: calls in this tunnel are recorded here."""
    run_mark: str | None = None
    """A gateway: who shows this is a run of the same user's, which records its calls itself."""
    no_proxy: tuple[str, ...] = ()
    """Hosts that go past ``upstream_proxy``."""
    ca_cert_pem: str | None = None
    ca_key_pem: str | None = None
    upstream_ca: str | None = None
    """PEM file of the roots that upstream TLS is verified with: the system's and the user's own."""
    only_opened: bool = False
    """Nothing is tunnelled, no other server can be named: for a listener that others reach."""
    inject_include_usage: bool = False
    """Ask for the usage of streams where their clients left it open."""
    capture_days: float | None = None
    """Bodies are kept, for so many days; None: not at all."""
    otel_spool: str | None = None
    """Absolute path of the directory for telemetry that cannot be delivered."""
    console_fd: int | None = None
    """Inherited descriptor for telemetry's console exporters; None: our own stderr, the log."""
    generation: int = 0
    """Counts restarts of the proxy within a run; each has its own journal."""
    drain_s: float = 2.0
    """How long streams still open may go on when the command has ended."""


class Summary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run used; printed as one line."""

    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    """Calls with usage whose price is unknown."""
    incomplete: int = 0
    """Calls whose usage is partial or absent though they reached the provider and were answered."""
    relayed: int = 0
    """Requests that runs in front of a gateway have recorded themselves."""
    warnings: tuple[str, ...] = ()
    """Said once to the user: each one sentence."""
