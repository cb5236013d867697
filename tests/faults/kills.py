"""The proxy, the launcher, the command: hit by a signal at every step of a call's life."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.faults.place import place
from tests.faults.reckoning import Outcome
from tests.faults.run import Run, alive
from tests.faults.upstream import EVENTS, wait_for

STOPPED_S = 0.1
PAUSE_S = 0.25
"""How long an answer waits for the signal that is to hit in the middle of it."""
FOR_EVER_S = 60


class Moment(msgspec.Struct, frozen=True):
    """A step of a call's life, held until the signal has been sent."""

    name: str
    order: dict[str, Any]
    events: int = -1
    """Events of the answer that have been sent; -1: there is no answer yet."""

    def reach(self, run: Run, *, received: bool) -> str:
        """Bring a call there; returns its id. ``received``: the command has what was sent."""
        call = run.ask(**self.order)
        upstream = run.upstream
        what = f"{call} does not come to {self.name}"
        match self.name:
            case "connected":
                wait_for(lambda: run.told(call, "connected"), what)
            case "uploading":
                wait_for(lambda: call in upstream.reached(), what)
            case "asked":
                wait_for(lambda: upstream.exchange(call), what)
            case "over":
                run.done(call)
            case _:
                wait_for(lambda: upstream.sent(call, self.events), what)
                exchange = upstream.exchange(call)
                if received and self.events and exchange is not None:
                    size = len(exchange.sent)
                    wait_for(lambda: (run.told(call, "got") or 0) > size, what)
        return call


def moments(*, pause: bool) -> Iterator[Moment]:
    """Every step, with every event of the answer.

    Args:
        pause: The answer goes on after a moment; else it stays where it is.
    """
    yield Moment("connected", {"upload": "none"})
    yield Moment("uploading", {"upload": "half", "size": 200_000})
    yield Moment("asked", {"fault": f"late:{PAUSE_S if pause else FOR_EVER_S}"})
    for count in range(EVENTS):
        fault = f"pause:{count}:{PAUSE_S}" if pause else f"stall:{count}"
        yield Moment(f"{count} events", {"fault": fault}, count)
    yield Moment("over", {})
    yield Moment("over", {"stream": False})


def proxy_killed(*, received: bool, forward: bool = False, every: int = 1) -> Outcome:
    """Killed again and again while its command goes on calling."""
    with place("proxy: SIGKILL at each step of a call") as here:
        run = here.run(forward=forward)
        run.up()
        here.whole(run, run.ask())
        for moment in list(moments(pause=False))[::every]:
            call = moment.reach(run, received=received)
            proxy = run.proxy()
            begun = time.monotonic()
            run.hit(proxy)
            here.whole(run, run.ask())
            here.outcome.back_ms.append((time.monotonic() - begun) * 1e3)
            run.done(call)
        here.ended(run)
    return here.outcome


def proxy_terminated(*, received: bool, every: int = 1) -> Outcome:
    """Asked to end: the call that is under way comes to its end, and the next one works."""
    with place("proxy: SIGTERM at each step of a call") as here:
        run = here.run()
        run.up()
        here.whole(run, run.ask())
        for moment in list(moments(pause=True))[1::every]:
            call = moment.reach(run, received=received)
            run.hit(run.proxy(), signal.SIGTERM)
            here.whole(run, run.ask())
            here.whole(run, call)
        here.ended(run)
    return here.outcome


def stopped(*, received: bool, every: int = 1) -> Outcome:
    """Stopped and continued: everything goes on as if nothing had been."""
    with place("each of the three: SIGSTOP, SIGCONT at each step") as here:
        run = here.run()
        run.up()
        here.whole(run, run.ask())
        for number, moment in enumerate(list(moments(pause=True))[1::every]):
            call = moment.reach(run, received=received)
            who = (run.proxy(), run.process.pid, run.command)[number % 3]
            run.hit(who, signal.SIGSTOP)
            if who == run.command:  # the launcher stops with it, as a shell wants to see it
                wait_for(lambda: state(run.process.pid) == "T", "the launcher does not stop")
            time.sleep(STOPPED_S)
            # And goes on with it, whichever of the two is continued.
            both = (run.process.pid, run.command)
            run.hit(both[number // 3 % 2] if who == run.command else who, signal.SIGCONT)
            here.whole(run, call)
            here.whole(run, run.ask())
        here.ended(run)
    return here.outcome


def launcher_killed(*, received: bool, every: int = 1) -> Outcome:
    """The proxy serves on until the command is gone, and settles the account by itself."""
    with place("launcher: SIGKILL at each step of a call") as here:
        for moment in list(moments(pause=True))[1::every]:
            run = here.run()
            run.up()
            here.whole(run, run.ask())
            proxy = run.proxy()
            call = moment.reach(run, received=received)
            run.hit(run.process.pid)
            here.whole(run, call)
            here.whole(run, run.ask())
            here.ended(run, -signal.SIGKILL)
            wait_for(lambda pid=proxy: not alive(pid), "the proxy stays")  # type: ignore[misc] # the loop's value
    return here.outcome


def launcher_terminated(*, received: bool, every: int = 1) -> Outcome:
    """It goes to the command; the run ends as that does."""
    with place("launcher: SIGTERM at each step of a call") as here:
        for moment in list(moments(pause=False))[1::every]:
            run = here.run()
            run.up()
            moment.reach(run, received=received)
            run.hit(run.process.pid, signal.SIGTERM)
            here.ended(run, 128 + signal.SIGTERM)
    return here.outcome


def command_killed(*, received: bool, every: int = 1) -> Outcome:
    """The run ends as its command did."""
    with place("command: SIGKILL at each step of a call") as here:
        for moment in list(moments(pause=False))[::every]:
            run = here.run()
            run.up()
            moment.reach(run, received=received)
            run.hit(run.command)
            here.ended(run, 128 + signal.SIGKILL)
    return here.outcome


def all_killed(*, received: bool, every: int = 1) -> Outcome:
    """Launcher, proxy and command at once, as an out-of-memory killer or a container's end does."""
    with place("all three: SIGKILL at each step of a call") as here:
        for moment in list(moments(pause=False))[::every]:
            run = here.run()
            run.up()
            proxy = run.proxy()
            moment.reach(run, received=received)
            for pid in (run.process.pid, proxy, run.command):
                run.hit(pid)
            here.ended(run, -signal.SIGKILL)
    return here.outcome


def storm(seed: int, *, kills: int = 25) -> Outcome:
    """Several calls at once, and the proxy killed at any moment, while it starts too."""
    with place("proxy: SIGKILL at random, six calls at once") as here:
        dice = random.Random(seed)
        run = here.run()
        run.up()
        calls: list[str] = []
        for _ in range(kills):
            while len(calls) < 6:
                fault = f"pause:{dice.randrange(EVENTS)}:{dice.random() * PAUSE_S}"
                calls.append(run.ask(fault=fault, stream=dice.random() < 0.8))
            time.sleep(dice.random() * 2 * PAUSE_S)
            run.hit(run.proxy())
            calls = [call for call in calls if not run.told(call, "done")]
        for call in calls:
            run.done(call)
        here.whole(run, run.ask())
        here.ended(run)
    return here.outcome


def state(pid: int) -> str:
    """A process's state as the kernel has it: T is stopped."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123 - one line
        return file.read().rpartition(")")[2].split()[0]
