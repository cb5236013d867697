"""How the launcher ends: as its command did."""

from __future__ import annotations

import os
import signal

import msgspec

from tokenproxy.launch.child import Child
from tokenproxy.launch.conductor import Conductor
from tokenproxy.launch.signals import die_of


class Ending(msgspec.Struct, frozen=True):
    """How the launcher must end."""

    status: int
    interrupted: bool = False
    """The command died of an interrupt from the keyboard: then so do we, because a shell
    goes on with its script when a program only *exits* with 130."""

    def leave(self) -> None:
        """End this process. Does not return."""
        if self.interrupted:
            die_of(signal.SIGINT)
        os._exit(self.status)


def ending_of(command: Child, conductor: Conductor) -> Ending:
    """The ending of a command that has ended."""
    interrupt = signal.SIGINT
    return Ending(
        command.status or 0,
        interrupted=command.signal == interrupt and interrupt in conductor.shared,
    )
