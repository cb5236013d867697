"""``tokenproxy captured``: what ``--capture`` has kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tokenproxy.cli.failure import Failure
from tokenproxy.cli.ledgers import say


def captured(
    call: Annotated[
        str | None,
        typer.Argument(metavar="[CALL]", help="A call's id or its beginning; all are listed else."),
    ] = None,
    *,
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove all captures.", allow_from_autoenv=False)
    ] = False,
) -> None:
    """List captured calls, print one as JSON, or remove all.

    `run --capture` keeps the bodies of calls, credentials taken out, in the state directory.
    """
    from tokenproxy import paths
    from tokenproxy.record import capture_files

    try:
        directory = capture_files.captures_dir(paths.state_dir())
    except OSError as error:
        raise Failure(paths.no_state(error)) from None
    if purge:
        if call is not None:
            raise Failure("--purge removes all captures; it takes no CALL")
        try:
            removed = capture_files.prune(directory, 0)
        except OSError as error:
            raise Failure(f"a capture cannot be removed: {error}") from None
        print(f"{removed} {'capture' if removed == 1 else 'captures'} removed")
        return
    found = list(capture_files.captures(directory))
    if call is None:
        for path in found:
            print(_line(path))
        if not found:
            say("nothing is captured; `tokenproxy run --capture` keeps the bodies of calls")
        return
    meant = [path for path in found if path.name.startswith(call)]
    if len(meant) != 1:
        how_many = "no capture" if not meant else f"{len(meant)} captures"
        raise Failure(f"{how_many} of a call {call}; `tokenproxy captured` lists them")
    try:
        print(json.dumps(capture_files.read(meant[0]), indent=2, ensure_ascii=False))
    except (OSError, ValueError) as error:
        raise Failure(f"{meant[0]} cannot be read: {error}") from None


def _line(path: Path) -> str:
    status = path.stat()
    moment = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds")
    return (
        f"{path.name.partition('.')[0]}  run {path.parent.name}  {moment}  {status.st_size} bytes"
    )
