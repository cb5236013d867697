"""The telemetry sink: from finished calls to a collector, which may be down.

Lossy by contract: the ledger has the account, and has it first. Nothing here blocks
the recorder: spans and measurements go into the SDK's queues, whose own daemon threads
export them. At the end everything is flushed under one deadline, and what did not
arrive is said in one sentence.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tokenproxy import __version__, paths
from tokenproxy.config import IterationEnd, RunContext
from tokenproxy.record.call import Call
from tokenproxy.record.row import Row
from tokenproxy.telemetry import exporters, periodic, semconv, switch
from tokenproxy.telemetry.delivery import Delivery, SdkLog, sentences
from tokenproxy.telemetry.ids import GivenIds
from tokenproxy.telemetry.instance import Instance, claim
from tokenproxy.telemetry.metrics import Metrics
from tokenproxy.telemetry.periodic import PeriodicMeasures
from tokenproxy.telemetry.scope import RunScope
from tokenproxy.telemetry.semconv import Semconv
from tokenproxy.telemetry.series import Series
from tokenproxy.telemetry.spans import Spans
from tokenproxy.telemetry.switch import Signal

logger = logging.getLogger(__name__)

DEADLINE_S: Final = 0.8
"""All that waiting for a collector can cost at the end of a run, seconds; a second is promised."""

IDLE_S: Final = 900.0
"""A gateway's turn without a call for so long is over: a tool may run for minutes."""

_SWEEP_S = 30.0


class Telemetry:
    """Where finished calls become spans and measurements. Thread-safe; nothing raises."""

    def __init__(
        self,
        *,
        run: RunContext,
        dialect: Semconv,
        tracers: TracerProvider | None,
        meters: MeterProvider | PeriodicMeasures | None,
        ids: GivenIds,
        deliveries: Sequence[Delivery] = (),
        problems: Sequence[str] = (),
        sdk_log: SdkLog | None = None,
        instance: Instance | None = None,
    ) -> None:
        self._run = run
        self._dialect = dialect
        self._tracers, self._meters = tracers, meters
        self._ids = ids
        self._deliveries = deliveries
        self._problems = problems
        self._sdk_log = sdk_log
        self._instance = instance
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._series = Series(dialect)
        self._own = self._scope(run)
        self._dead: dict[str, RunScope] = {}
        """Runs that were killed and whose calls we tell in their place, by run_id."""
        if run.gateway:
            threading.Thread(target=self._sweep, name="tokenproxy-turns", daemon=True).start()

    def _scope(self, run: RunContext) -> RunScope:
        spans: Spans | None = None
        metrics: Metrics | None = None
        if self._tracers is not None:
            spans = Spans(
                run=run,
                semconv=self._dialect,
                tracer=self._tracers.get_tracer(
                    semconv.SCOPE, __version__, self._dialect.schema_url
                ),
                sampler=self._tracers.sampler,
                ids=self._ids,
            )
        if self._meters is not None:
            meter = self._meters.get_meter(semconv.SCOPE, __version__, self._dialect.schema_url)
            metrics = Metrics(run=run, semconv=self._dialect, meter=meter, series=self._series)
        return RunScope(run, spans, metrics)

    def call(self, call: Call, row: Row | None) -> None:
        """Take a finished call. Returns at once; a fault of ours is ours alone."""
        try:
            with self._lock:
                self._own.take(call, row)
        except Exception:
            logger.exception("call %s is missing in telemetry", call.start.call_id)

    def recovered(self, run: RunContext, call: Call, row: Row) -> None:
        """Take a call of a run that was killed: told as that run's, never as ours."""
        if run.run_id == self._run.run_id:
            self.call(call, row)
            return
        try:
            with self._lock:
                if run.run_id not in self._dead:
                    self._dead[run.run_id] = self._scope(run)
                self._dead[run.run_id].take(call, row)
        except Exception:
            logger.exception("call %s is missing in telemetry", call.start.call_id)

    def recovery_done(self, over: Collection[str]) -> None:
        """Close the dead runs that are over; one that lives on tells its own turns and end."""
        with self._lock:
            dead, self._dead = self._dead, {}
            for run_id in dead.keys() & set(over):
                try:
                    dead[run_id].close(None)
                except Exception:
                    logger.exception("killed run %s: its iteration is not told", run_id)

    def resumed(self, rows: Sequence[Row]) -> None:
        """Sum up what our run used before its proxy was killed; its spans have been told."""
        with self._lock:
            self._own.resume(rows)

    def passed(self, provider: str, server_address: str) -> None:
        """Count a request that was no call."""
        with self._lock:
            self._own.passed(provider, server_address)

    def finish(self, end: IterationEnd | None) -> tuple[str, ...]:
        """The run is over: export what is left, within :data:`DEADLINE_S` seconds.

        Returns sentences worth telling the user. The second time there is nothing to say.
        """
        if self._over.is_set():
            return ()
        deadline = time.monotonic() + DEADLINE_S
        self._over.set()
        try:
            with self._lock:
                self._own.close(end)
        except Exception:
            logger.exception("the iteration is missing in telemetry")
        self._shut_down(deadline)
        refusals = self._sdk_log.refusals if self._sdk_log is not None else {}
        return (*self._problems, *sentences(self._deliveries, refusals))

    def _sweep(self) -> None:
        """Export a gateway's turns that have gone quiet."""
        while not self._over.wait(_SWEEP_S):
            try:
                with self._lock:
                    self._own.sweep(time.time_ns() - int(IDLE_S * 1e9))
            except Exception:
                logger.exception("a turn is missing in telemetry")

    def _shut_down(self, deadline: float) -> None:
        """Flush both providers side by side; leave what takes longer to its daemon thread."""
        steps: dict[str, Callable[[], None]] = {}
        if self._tracers is not None:
            steps["spans"] = self._tracers.shutdown
        if self._meters is not None:
            steps["metrics"] = self._meters.shutdown
        threads = {
            what: threading.Thread(target=_quietly, args=(step,), daemon=True)
            for what, step in steps.items()
        }
        for thread in threads.values():
            thread.start()
        for thread in threads.values():
            thread.join(max(deadline - time.monotonic(), 0.0))
        late = {what for what, thread in threads.items() if thread.is_alive()}
        for delivery in self._deliveries:
            delivery.late = delivery.what in late
        if self._instance is not None and not late:
            self._instance.release()


def open_telemetry(
    env: Mapping[str, str], run: RunContext, *, state: Path | None = None
) -> Telemetry:
    """The sink that the environment asks for (:func:`tokenproxy.telemetry.switch.enabled`).

    Args:
        env: The process's environment. The SDK reads ``os.environ`` for what is not
            decided here (headers, certificates, limits).
        run: The run that is traced.
        state: Our state directory; default the user's.
    """
    sdk_log = SdkLog()
    sdk_log.install()
    ids, problems, deliveries = GivenIds(), list[str](), list[Delivery]()
    instance = _claim(env, state)
    resource = sender(instance.id)

    def open_traces(name: switch.Exporter) -> SpanProcessor:
        exporter, delivery = exporters.spans(env, name)
        deliveries.extend([delivery] if delivery else [])
        return BatchSpanProcessor(exporter)

    def open_metrics(name: switch.Exporter) -> MetricExporter:
        exporter, delivery = exporters.metrics(env, name)
        deliveries.extend([delivery] if delivery else [])
        return exporter

    # No atexit handlers: the end of the run is ours to bound, once.
    tracers: TracerProvider | None = None
    if processors := _each(env, "traces", open_traces, problems):
        with _said("traces", problems):
            tracers = TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)
            for processor in processors:
                tracers.add_span_processor(processor)
    meters: MeterProvider | PeriodicMeasures | None = None
    if takers := _each(env, "metrics", open_metrics, problems):
        with _said("metrics", problems):
            meters = _meters(env, takers, resource)
    return Telemetry(
        run=run,
        dialect=semconv.choose(env),
        tracers=tracers,
        meters=meters,
        ids=ids,
        deliveries=deliveries,
        problems=tuple(dict.fromkeys(problems)),
        sdk_log=sdk_log,
        instance=instance,
    )


def _each[T](
    env: Mapping[str, str],
    signal: Signal,
    build: Callable[[switch.Exporter], T],
    problems: list[str],
) -> list[T]:
    """Build a signal's exporters; one that cannot be built is said and left out."""
    choice = switch.choose(env, signal)
    problems.extend(choice.problems)
    built: list[T] = []
    for name in choice.exporters:
        sentence = switch.protocol(env, signal)[1] if name == "otlp" else None
        problems.extend([sentence] if sentence else [])
        with _said(signal, problems):
            built.append(build(name))
    return built


@contextmanager
def _said(signal: Signal, problems: list[str]) -> Iterator[None]:
    """A value that the SDK cannot take costs the signal, not the run."""
    try:
        yield
    except Exception as error:
        logger.exception("no %s", signal)
        detail = " ".join(str(error).split()) or type(error).__name__
        problems.append(f"telemetry: {signal} are off for this run: {detail}")


def _meters(
    env: Mapping[str, str], takers: Sequence[MetricExporter], resource: Resource
) -> MeterProvider | PeriodicMeasures:
    """Ours, which is cheaper; the SDK's for what only that can do."""
    if len(takers) == 1 and periodic.fits(env):
        return PeriodicMeasures(env, takers[0], resource)
    readers = [PeriodicExportingMetricReader(taker) for taker in takers]
    return MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)


def _claim(env: Mapping[str, str], state: Path | None) -> Instance:
    try:
        return claim((paths.state_dir(env) if state is None else state) / "telemetry")
    except OSError as error:
        logger.warning("no state directory: %s", error)
        return claim(None)


def sender(instance_id: str) -> Resource:
    """Who sends. The user's own words (``OTEL_RESOURCE_ATTRIBUTES``) win over our defaults."""
    ours = Resource(
        {
            semconv.SERVICE_NAME: semconv.SCOPE,
            semconv.SERVICE_VERSION: __version__,
            semconv.SERVICE_INSTANCE_ID: instance_id,
        }
    )
    return Resource.create().merge(ours).merge(OTELResourceDetector().detect())


def _quietly(step: Callable[[], None]) -> None:
    try:
        step()
    except Exception:
        logger.debug("shutdown", exc_info=True)
