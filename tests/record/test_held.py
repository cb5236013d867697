from __future__ import annotations

import threading

from tokenproxy.record.held import MOST, SMALL, Held


def test_what_was_added_and_removed_is_nothing() -> None:
    held, body = Held(), b"x" * (SMALL + 1)

    def work() -> None:
        for _ in range(2000):
            held.add(body)
            held.remove(body)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held.add(b"x" * (MOST - 1))
    assert not held.full
    held.add(body)
    assert held.full


def test_small_ones_and_those_that_were_not_kept_do_not_count() -> None:
    held = Held()
    for _ in range(MOST // SMALL + 1):
        held.add(b"x" * SMALL)
        held.add(None)
    assert not held.full
