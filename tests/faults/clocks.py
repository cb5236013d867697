"""The machine's clock is set, by hours, while runs go on."""

from __future__ import annotations

import signal

from tests.faults.place import place
from tests.faults.reckoning import Outcome
from tests.faults.run import HERE
from tests.faults.upstream import wait_for

FAULT = "the clock is set back and forth by hours"
HOUR_S = 3600
STEPS = (-5 * HOUR_S, 30 * HOUR_S, 0, -30 * HOUR_S, 5 * HOUR_S)


def is_set(*, kill: bool) -> Outcome:
    """Amid each of some calls; with a proxy killed each time, whose successor finds its journal."""
    with place(FAULT + (", proxies are killed" if kill else "")) as here:
        clock = here.bench.root / "clock"
        clock.write_text("0")
        usual = here.bench.env["PYTHONPATH"]
        here.bench.env["PYTHONPATH"] = f"{HERE / 'clock'}:{usual}"
        here.bench.env["FAULTS_CLOCK"] = str(clock)
        run = here.run()
        run.up()
        here.whole(run, run.ask())
        for step in STEPS:
            call = run.ask(fault="stall:3" if kill else "pause:3:0.1")
            wait_for(lambda call=call: here.upstream.sent(call, 3), "no answer")  # type: ignore[misc] # the loop's value
            clock.write_text(str(step))
            if kill:
                run.hit(run.proxy(), signal.SIGKILL)
                run.done(call)
            else:
                here.whole(run, call)
            here.whole(run, run.ask())
        here.ended(run)
        if not kill:
            late = [row for row in here.bench.rows() if row["latency_ms"] < 0]
            here.outcome.problems += [f"a negative time: {row}" for row in late]
    return here.outcome
