"""What can wait is done in its order, and soon."""

from __future__ import annotations

import asyncio
from functools import partial

from tokenproxy.proxy.later import Later


def test_what_waits_is_done_in_its_order() -> None:
    done: list[str] = []

    async def main() -> None:
        later, all_done = Later(), asyncio.Event()

        def third() -> None:
            done.append("third")
            all_done.set()

        def first() -> None:
            done.append("first")
            later(third)

        later(first)
        later(partial(done.append, "second"))
        assert done == []
        await asyncio.wait_for(all_done.wait(), 10)

    asyncio.run(main())
    assert done == ["first", "second", "third"]
