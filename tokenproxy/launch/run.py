"""`tokenproxy run`: one command behind a proxy of its own, from start to exit.

The order is the point:

1. What can be refused is refused before anything is disturbed: a command that
   does not exist, options, the ledger.
2. The proxy process starts importing while we make the run's CA.
3. The command starts at once if the proxy has come up before as installed here,
   else when it is ready. Connections wait in the listening socket's backlog.
4. When the command has ended: the proxy settles the account, we say one line,
   and leave with the command's status, whatever became of the rest.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence

from tokenproxy.config import IterationEnd, RunContext, Summary
from tokenproxy.launch import child, console, environment, java, listener, proven, proxy_process
from tokenproxy.launch.admission import for_run
from tokenproxy.launch.authority import make_authority
from tokenproxy.launch.conductor import Conductor
from tokenproxy.launch.ending import Ending, ending_of
from tokenproxy.launch.errors import PROXY_FAILED, SIGNALLED, CannotRunError, NoStateError
from tokenproxy.launch.options import RunOptions
from tokenproxy.launch.prepare import (
    DRAIN_S,
    Prepared,
    identify,
    prepare,
    proxy_config,
    telemetry_for_child,
    telemetry_hosts,
)
from tokenproxy.launch.proxy_process import Proxy
from tokenproxy.launch.run_dir import RunDir
from tokenproxy.launch.signals import Inbox
from tokenproxy.launch.summary import say, summary_line
from tokenproxy.launch.trust import write_trust, write_upstream_trust
from tokenproxy.launch.witness import Witness

FAIL_OPEN_S = 10.0
"""``--fail-open``: how long the command waits for a proxy."""
SETTLE_S = 5.0
"""Beyond the drain: ledger, telemetry's one second, the end of the process."""
TERMINATE_S = 5.0
"""From SIGTERM to SIGKILL, for a command that must not run on unobserved."""
CLOSE_S = 1.0
"""For the proxy process to be gone after it has given its summary."""
STDERR = 2


def run(
    options: RunOptions,
    env: Mapping[str, str],
    *,
    proxy_command: Sequence[str] = proxy_process.COMMAND,
) -> Ending:
    """Run a command behind a proxy of its own.

    Args:
        options: What was asked for.
        env: The environment that we were started with.
        proxy_command: What starts the proxy process.

    Raises:
        CannotRunError: The command was not run, or had to be ended; with the reason.
    """
    _occupy_standard_descriptors()
    try:
        prepared = prepare(options, env)
    except NoStateError as error:
        if not options.fail_open:
            raise
        from tokenproxy.launch.unobserved import run_alone

        return run_alone(options.command, env, str(error))
    return _Run(prepared, proxy_command).conduct()


class _Run:
    """One run, once nothing is left to refuse."""

    def __init__(self, prepared: Prepared, proxy_command: Sequence[str]) -> None:
        self._given = prepared
        self._options = prepared.options
        self._proxy_command = proxy_command
        self._marker = proven.marker(prepared.state, proxy_command)
        self._inbox = Inbox()
        self._witness = Witness()
        self._conductor = Conductor(self._inbox, self._witness)
        self._listener: socket.socket
        self._context: RunContext
        self._run_dir: RunDir
        self._proxy: Proxy
        self._console: console.Console | None = None
        self._clean = False
        """Whether the proxy's log is of no interest."""

    def conduct(self) -> Ending:
        try:
            self._listener = listener.open_listener()
            self._context = identify(self._given)
            self._run_dir = RunDir(self._given.state, self._context.run_id)
        except OSError as error:
            if not self._options.fail_open:
                raise CannotRunError(
                    f"cannot start: {error} (TOKENPROXY_STATE_DIR names another place;"
                    " --fail-open runs the command anyway, unobserved)",
                    PROXY_FAILED,
                ) from None
            self._inbox.open()
            return self._unobserved(str(error))
        self._inbox.open()
        try:
            return self._observed()
        finally:
            self._inbox.close()
            self._witness.stop()
            self._listener.close()
            if self._console is not None:
                self._console.close()
            self._run_dir.close(keep_log=not self._clean)

    def _observed(self) -> Ending:
        self._console = console.wanted(self._given.env, self._run_dir.path)
        self._proxy = Proxy(
            self._listener,
            self._run_dir.path,
            self._given.env,
            self._proxy_command,
            console_fd=self._console_fd,
        )
        self._conductor.proxy = self._proxy
        self._proxy.start()
        child_env: dict[str, str] = {}
        try:
            child_env = self._configure()
        except OSError as error:
            self._proxy.kill(f"its files cannot be written: {error.strerror}")
        if self._options.fail_open:
            self._conductor.wait(self._up_or_down, FAIL_OPEN_S)
        elif not self._marker.exists():
            self._conductor.wait(self._up_or_down)
        # Not before: a process that is forked makes each page that we write to cost a fault.
        # Where none is to be had, the command will say so.
        with contextlib.suppress(OSError):
            self._witness.start()
        self._conductor.turn()
        if self._conductor.interrupted is not None:
            self._discard_proxy()
            number = self._conductor.interrupted
            return Ending(SIGNALLED + number, interrupted=number == signal.SIGINT)
        if self._options.fail_open and not self._proxy.was_ready:
            reason = self._proxy.failure or f"not ready after {FAIL_OPEN_S:.0f} s"
            self._proxy.kill(reason)
            self._listener.close()
            return self._unobserved(reason)
        if self._proxy.failure is not None:
            raise self._proxy_failed()

        began_ns = time.monotonic_ns()
        command = self._spawn(child_env)
        self._proxy.command_started(command.pid)
        self._conductor.wait(self._ended_or_down)
        if not command.ended:
            if not self._proxy.was_ready:
                self._terminate(command)
                raise self._proxy_failed()
            # Refused at once is better than waiting for ever in the backlog.
            self._listener.close()
            say(
                f"the proxy has died {self._proxy.deaths} times ({self._proxy.failure});"
                f" calls of this command fail from now on; see {self._proxy.log}"
            )
            self._conductor.wait(lambda: command.ended)
        try:
            self._settle(command, time.monotonic_ns() - began_ns)
        except Exception as error:  # noqa: BLE001 - the status is the command's, whatever befalls us
            say(f"the account is not settled ({type(error).__name__}: {error})")
        return ending_of(command, self._conductor)

    @property
    def _console_fd(self) -> int | None:
        return None if self._console is None else self._console.fileno()

    def _configure(self) -> dict[str, str]:
        """Give the proxy its orders; returns the command's environment."""
        plan, run_dir = self._given.plan, self._run_dir.path
        direct: tuple[str, ...] = ()
        trust: dict[str, str] = {}
        authority = None
        admission = for_run(self._listener)
        if plan.hosts:
            authority = make_authority(plan.hosts)
            trust = write_trust(run_dir, authority.cert_pem, self._given.env)
            if admission.secret is None:  # a JVM does not log in
                trust |= java.for_child(
                    run_dir,
                    authority.cert_pem,
                    self._given.env,
                    listener.port_of(self._listener),
                )
            direct = telemetry_hosts(self._given.env)
        self._proxy.configure(
            proxy_config(
                self._given,
                self._context,
                authority,
                run_dir=run_dir,
                listen_fd=self._listener.fileno(),
                admission=admission,
                upstream_ca=write_upstream_trust(run_dir, self._given.env),
                console_fd=self._console_fd,
            )
        )
        for sentence in plan.notes:
            say(sentence)
        return environment.for_child(
            self._given.env,
            plan,
            self._context,
            port=listener.port_of(self._listener),
            secret=admission.secret,
            trust=trust,
            direct_hosts=direct,
            ledger=self._given.named_ledger,
            telemetry=telemetry_for_child(self._given),
        )

    def _spawn(self, env: Mapping[str, str]) -> child.Child:
        try:
            command = child.spawn(self._given.program, env, self._inbox)
        except CannotRunError:
            self._discard_proxy()
            raise
        self._conductor.child = command
        return command

    def _unobserved(self, reason: str) -> Ending:
        """``--fail-open``."""
        from tokenproxy.launch.unobserved import run_unobserved

        given = self._given
        return run_unobserved(
            given.program, given.env_as_given, reason, self._conductor, self._inbox
        )

    def _discard_proxy(self) -> None:
        """End a proxy that has had nothing to do, before its directory is removed."""
        self._proxy.kill("not needed")
        self._conductor.wait(lambda: not self._proxy.pid, CLOSE_S)
        self._clean = True

    def _terminate(self, command: child.Child) -> None:
        command.send(signal.SIGTERM)
        if not self._conductor.wait(lambda: command.ended, TERMINATE_S):
            command.send(signal.SIGKILL)
            self._conductor.wait(lambda: command.ended)

    def _proxy_failed(self) -> CannotRunError:
        proven.forget(self._marker)
        return CannotRunError(
            f"the proxy does not start: {self._proxy.failure}; its log is {self._proxy.log}"
            " (--fail-open runs the command anyway, unobserved)",
            PROXY_FAILED,
        )

    def _settle(self, command: child.Child, elapsed_ns: int) -> None:
        """Let the proxy close the account, and say what it was."""
        proxy = self._proxy
        proxy.read()
        if proxy.was_ready:
            proven.remember(self._marker)
        elif not self._has_work():
            self._discard_proxy()
            self._say_summary(Summary(), elapsed_ns)
            return
        proxy.finish(IterationEnd(ended_ns=time.time_ns(), exit_status=command.status or 0))
        self._conductor.wait(
            lambda: proxy.summary or proxy.failure or self._conductor.interrupted,
            DRAIN_S + SETTLE_S,
        )
        if self._console is not None:
            self._console.show()
        if proxy.summary is not None:
            self._say_summary(proxy.summary, elapsed_ns)
            self._conductor.wait(lambda: not proxy.pid, CLOSE_S)
            self._clean = not proxy.pid and not proxy.deaths
        else:
            reason = proxy.failure or "it is still busy"
            say(f"the account is not settled ({reason}); `tokenproxy ledger recover` completes it")

    def _say_summary(self, summary: Summary, elapsed_ns: int) -> None:
        if self._options.summary:
            iteration = self._context.iteration
            say(summary_line(summary, elapsed_ms=elapsed_ns / 1e6, iteration=iteration))
        for sentence in summary.warnings:
            say(sentence)

    def _has_work(self) -> bool:
        """Whether a proxy that never got ready has anything to account for."""
        from tokenproxy.telemetry import switch

        return (
            listener.has_waiting(self._listener)
            or self._run_dir.others_have_journals()  # of dead runs, which it settles
            or switch.enabled(self._given.env)
        )

    def _up_or_down(self) -> bool:
        conductor, proxy = self._conductor, self._proxy
        down = proxy.failure is not None or conductor.interrupted is not None
        return proxy.was_ready or down

    def _ended_or_down(self) -> bool:
        command = self._conductor.child
        return self._proxy.failure is not None or (command is not None and command.ended)


def _occupy_standard_descriptors() -> None:
    """If we were started with stdin, stdout or stderr closed, keep our own files from there.

    The command must find them closed (these are not inherited), and what we say must
    not end up in a socket of ours.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(descriptor)
