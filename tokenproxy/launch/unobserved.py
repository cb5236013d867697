"""``--fail-open``: a command that runs though nobody records its calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokenproxy.launch import child, executable
from tokenproxy.launch.conductor import Conductor
from tokenproxy.launch.ending import Ending, ending_of
from tokenproxy.launch.executable import Executable
from tokenproxy.launch.signals import Inbox
from tokenproxy.launch.summary import say
from tokenproxy.launch.witness import Witness


def run_alone(command: Sequence[str], env: Mapping[str, str], reason: str) -> Ending:
    """Run a command for which nothing was made yet.

    Raises:
        CannotRunError: There is no such command.
    """
    program = executable.find(command, env)
    inbox = Inbox()
    inbox.open()
    try:
        return run_unobserved(program, env, reason, Conductor(inbox, Witness()), inbox)
    finally:
        inbox.close()


def run_unobserved(
    program: Executable, env: Mapping[str, str], reason: str, conductor: Conductor, inbox: Inbox
) -> Ending:
    """The command as it would be without us, save that we wait for it; and why it is alone.

    Raises:
        CannotRunError: It cannot be started.
    """
    say(f"the proxy does not start ({reason}); the command runs unobserved")
    command = child.spawn(program, env, inbox)
    conductor.child = command
    conductor.wait(lambda: command.ended)
    return ending_of(command, conductor)
