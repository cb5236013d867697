"""A proxy that only speaks the control line. Standard library only: it must start at once.

    python stub_proxy.py RECORD BEHAVIOUR... --control-fd N

RECORD gets a JSON line for every order. Without any behaviour it answers each
connection with "generation N" and closes it, and gives a summary at the end.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any

BEHAVIOURS = {
    "slow": "be ready after so many seconds",
    "fatal": "say so instead of being ready",
    "crash": "die before being ready, with this word on stderr",
    "deaf": "never be ready",
    "mortal": "die when a connection says so",
    "mute": "never give a summary",
    "forgetful": "die once, on the finish",
    "warn": "a warning in the summary",
}


class StubProxy:
    def __init__(self, record: Path, behaviour: dict[str, str], control_fd: int) -> None:
        assert behaviour.keys() <= BEHAVIOURS.keys()
        self.record = record
        self.behaviour = behaviour
        self.control = socket.socket(fileno=control_fd)
        # Unbuffered: what is read ahead would not show in select.
        self.orders = self.control.makefile("rb", buffering=0)
        self.served = 0
        self.generation = 0

    def note(self, **what: Any) -> None:
        with self.record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(what) + "\n")

    def answer(self, **what: Any) -> None:
        self.control.sendall(json.dumps(what).encode() + b"\n")

    def run(self) -> int:
        if "crash" in self.behaviour:
            time.sleep(float(self.behaviour.get("slow", 0)))
            sys.stderr.write(f"Traceback...\n{self.behaviour['crash']}\n")
            return 3
        config = json.loads(self.orders.readline())
        self.generation = config.get("generation", 0)
        self.note(config=config, pid=os.getpid(), session=os.getsid(0), open=open_files())
        if "fatal" in self.behaviour:
            self.answer(fatal=self.behaviour["fatal"])
            return 1
        time.sleep(60 if "deaf" in self.behaviour else float(self.behaviour.get("slow", 0)))
        self.answer(ready=True)
        self.note(ready=self.generation)
        return self.serve(socket.socket(fileno=config["listen_fd"]))

    def serve(self, listener: socket.socket) -> int:
        while True:
            ready, _, _ = select.select([listener, self.control], [], [], 60)
            if listener in ready:
                self.accept(listener)
            if self.control in ready:
                line = self.orders.readline()
                if not line:
                    self.note(gone=True)
                    return 0
                self.note(**json.loads(line))
                if b"finish" in line:
                    return self.finish()

    def accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        self.served += 1
        with connection:
            if connection.recv(100) == b"die" and "mortal" in self.behaviour:
                os._exit(9)
            connection.sendall(b"generation %d" % self.generation)

    def finish(self) -> int:
        if "mute" in self.behaviour:
            time.sleep(60)
        if "forgetful" in self.behaviour and self.generation == 0:
            os._exit(9)
        warnings = [self.behaviour["warn"]] if "warn" in self.behaviour else []
        summary = {"calls": self.served, "input_tokens": 85_200, "warnings": warnings}
        self.answer(summary=summary)
        return 0


def open_files() -> dict[str, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[entry.name] = str(entry.readlink())
        except OSError:
            continue  # the listing's own
    return found


if __name__ == "__main__":
    words = dict(word.partition("=")[::2] for word in sys.argv[2:-2])
    sys.exit(StubProxy(Path(sys.argv[1]), words, int(sys.argv[-1])).run())
