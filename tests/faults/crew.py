"""Tries faults, each in a process of its own, some at once.

Not by a pool: its threads fork, and what is forked beside a thread may wait for ever for a lock
that the other thread held.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess

from tests.faults import plan
from tests.faults.reckoning import Outcome

FORK = multiprocessing.get_context("fork")


class _Hand:
    """A process that tries one fault."""

    def __init__(self, number: int, job: plan.Job, longest_s: float) -> None:
        self.number = number
        self.limit = time.monotonic() + longest_s
        self.answer, theirs = FORK.Pipe(duplex=False)
        self.process: ForkProcess = FORK.Process(target=_do, args=(job, theirs))
        self.process.start()
        theirs.close()

    def outcome(self) -> Outcome | None:
        """What has become of it; None: it is still at it."""
        if self.answer.poll():
            try:
                outcome: Outcome = self.answer.recv()
            except EOFError:
                return _harness("a process that tried a fault died of it")
            return outcome
        return None if time.monotonic() < self.limit else _harness("a fault does not end")

    def dismiss(self) -> None:
        """End it, whatever it does; one that has told its outcome has nothing left to do."""
        self.process.kill()
        self.process.join()
        self.answer.close()


def tried(
    jobs: Sequence[plan.Job], at_once: int, longest_s: float
) -> Iterator[tuple[int, Outcome]]:
    """Each fault's place in the plan and what became of it, as they end.

    Args:
        jobs: The faults.
        at_once: How many are tried at a time.
        longest_s: For one to come to its end, seconds; one that hangs, or dies, is a fault too.
    """
    waiting = list(enumerate(jobs))[::-1]
    at_work: list[_Hand] = []
    try:
        while waiting or at_work:
            while waiting and len(at_work) < at_once:
                at_work.append(_Hand(*waiting.pop(), longest_s))
            first = min(hand.limit for hand in at_work)
            wait([hand.answer for hand in at_work], max(first - time.monotonic(), 0))
            for hand in list(at_work):
                if (outcome := hand.outcome()) is not None:
                    at_work.remove(hand)
                    hand.dismiss()
                    yield hand.number, outcome
    finally:
        for hand in at_work:
            hand.dismiss()


def _harness(problem: str) -> Outcome:
    return Outcome(fault="the harness", problems=[problem])


def _do(job: plan.Job, answer: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        one = job()
    except Exception as error:  # noqa: BLE001 - of the harness; the other faults are to be tried
        one = _harness(f"{type(error).__name__}: {error}")
    else:
        if not (one.expected or one.kills):  # a launcher may die before there is a command
            one.problems.append("nothing was tried")
    answer.send(one)
