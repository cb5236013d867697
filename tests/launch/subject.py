"""A command to be wrapped: says what it is given, does what it is told. Runs with -I -S.

subject.py state            all that a process inherits, as JSON
subject.py count SIGNAL...  handle them; at each SIGUSR2 say how many came, exit at SIGTERM
subject.py die SIGNAL       die of it
subject.py copy             stdin to stdout
subject.py talk WORD...     send each to the proxy, print what it answers
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
from collections import Counter
from pathlib import Path


def state() -> None:
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    files = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are wanted
        try:
            files[name] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - likewise
        except OSError:
            continue  # the listing's own
    found = {
        "argv": sys.argv[1:],
        "cwd": os.getcwd(),  # noqa: PTH109 - a string is wanted
        "signals": [line for line in status if line.startswith(("SigBlk", "SigIgn"))],
        "umask": next(line for line in status if line.startswith("Umask")),
        "files": files,
        "group": os.getpgrp(),
        "session": os.getsid(0),
        "environment": {os.fsencode(k).hex(): os.fsencode(v).hex() for k, v in os.environ.items()},
    }
    sys.stdout.write(json.dumps(found) + "\n")


def count(names: list[str]) -> None:
    seen: Counter[str] = Counter()
    over = False

    def note(number: int, _frame: object) -> None:
        seen[signal.Signals(number).name] += 1

    def report(_number: int, _frame: object) -> None:
        words = [f"{name}={seen[name]}" for name in names]
        if os.isatty(1) and "SIGWINCH" in names:
            words.append("size={}x{}".format(*os.get_terminal_size(1)))
        say(" ".join(words))

    def stop(_number: int, _frame: object) -> None:
        nonlocal over
        over = True

    for name in names:
        signal.signal(getattr(signal, name), note)
    signal.signal(signal.SIGUSR2, report)
    if "SIGTERM" not in names:
        signal.signal(signal.SIGTERM, stop)
    reader, writer = socket.socketpair()
    writer.settimeout(0)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    say(f"counting {os.getpid()}")
    while not over:
        reader.recv(
            100
        )  # not signal.pause: a signal just before it would be noticed only by the next


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def main() -> None:
    verb, *words = sys.argv[1:]
    if verb == "state":
        state()
    elif verb == "count":
        count(words)
    elif verb == "die":
        os.kill(os.getpid(), getattr(signal, words[0]))
    elif verb == "copy":
        shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)
    elif verb == "talk":
        for word in words:
            port = int(os.environ["HTTPS_PROXY"].rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(word.encode())
                say(connection.recv(100).decode() or "closed")


if __name__ == "__main__":
    main()
