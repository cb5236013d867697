"""``tokenproxy ledger``: check, repair, describe, export and ship it."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tokenproxy.cli.failure import Failure
from tokenproxy.cli.ledgers import default_ledger, keep_log_quiet, one_ledger, plain_ledger, say
from tokenproxy.cli.shared import DEFAULT_LEDGER
from tokenproxy.cli.ship import SETTINGS, ship

if TYPE_CHECKING:
    from tokenproxy.record.ledger import Verification

ledger = typer.Typer(no_args_is_help=False, rich_markup_mode=None)

_NOT_SOUND = 1

File = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        metavar="FILE",
        help=f"Ledger to read. Default: that of TOKENPROXY_LEDGER, else {DEFAULT_LEDGER}.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@ledger.command()
def schema() -> None:
    """Print the JSON Schema of a row."""
    from tokenproxy.record.schema import schema_text

    sys.stdout.write(schema_text())


@ledger.command()
def verify(*, file: File = None, as_json: Json = False) -> None:
    """Check every line: a row, valid, and there once. Status 1 if not."""
    import msgspec

    from tokenproxy.record.ledger import Verification

    # Before the first run, which is no failure, it has been said where a ledger would be.
    absent = file is None and not default_ledger()
    path = plain_ledger(file)
    found = Verification() if absent else _verified(path)
    if as_json:
        print(
            json.dumps({"ledger": str(path), "sound": found.sound, **msgspec.structs.asdict(found)})
        )
    elif not absent:
        _tell(path, found)
    if not found.sound:
        raise typer.Exit(_NOT_SOUND)


def _verified(path: Path) -> Verification:
    from tokenproxy.insight.query import LedgerError, check_readable
    from tokenproxy.record import ledger as record

    try:
        check_readable(path)
        return record.verify(path)
    except LedgerError as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"the ledger {path} cannot be read: {error.strerror}") from None


def _tell(path: Path, found: Verification) -> None:
    rows = "1 row" if found.rows == 1 else f"{found.rows} rows"
    print(f"{path}: {rows}, {'sound' if found.sound else 'NOT SOUND'}")
    if found.legacy:
        print(f"  {found.legacy} of an older tool, {found.repaired} of these not strict JSON")
    if found.refetched:
        print(f"  {found.refetched} of batch results fetched again, which count once")
    for sentence in found.problems:
        print(f"  {sentence}")
    hidden = found.bad_lines + found.invalid - len(found.problems)
    if hidden > 0:
        print(f"  ... and {hidden} more")
    for call_id in found.duplicates:
        print(f"  call {call_id} is there more than once")
    if found.torn_tail:
        print("  the last line has no newline: a writer was killed, or is at work")


@ledger.command()
def recover(*, as_json: Json = False) -> None:
    """Give the calls of killed runs their rows. Every start of tokenproxy does it too."""
    import msgspec

    from tokenproxy.paths import no_state, runs_dir, state_dir
    from tokenproxy.record import recovery

    keep_log_quiet()
    try:
        done = recovery.recover(runs_dir(state_dir()))
    except OSError as error:
        raise Failure(no_state(error)) from None
    for problem in done.problems:
        say(problem)
    rows = [one.row for one in done.recovered]
    if as_json:
        found = {"journals": done.journals, "rows": msgspec.to_builtins(rows)}
        print(json.dumps(found | {"problems": list(done.problems)}, indent=2))
    elif not rows:
        print("nothing to recover")
    else:
        for row in rows:
            what = f"{row.timestamp}  {row.model or row.provider}  {row.outcome}"
            print(f"{what}, counts {row.completeness}, run {row.run_id}")
    if done.problems:
        raise typer.Exit(_NOT_SOUND)


@ledger.command()
def export(
    *,
    file: File = None,
    per_iteration: Annotated[
        bool, typer.Option("--per-iteration", help="One row an iteration instead of one a call.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV.")] = False,
) -> None:
    """Print the ledger in claude-loop's twelve fields. JSON lines unless told otherwise."""
    if as_json and as_csv:
        raise Failure("--json and --csv exclude each other")
    from tokenproxy.insight import export as exporting
    from tokenproxy.insight.query import LedgerError, open_ledger

    try:
        with open_ledger(default_ledger() if file is None else [one_ledger(file)]) as opened:
            for skipped in opened.skipped:
                say(str(skipped))
            rows = exporting.rows(opened, per_iteration=per_iteration)
    except LedgerError as error:
        raise Failure(str(error)) from None
    if as_csv:
        writer = csv.DictWriter(sys.stdout, exporting.FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([{name: _cell(value) for name, value in row.items()} for row in rows])
    elif as_json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:
            print(json.dumps(row))


ledger.command(context_settings=SETTINGS)(ship)


def _cell(value: Any) -> Any:
    """Booleans as JSON writes them."""
    return str(value).lower() if isinstance(value, bool) else value
