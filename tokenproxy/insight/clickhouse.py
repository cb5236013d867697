"""Calls in ClickHouse, asked in its own words: the tables of ``docker/scale/clickhouse``.

ClickHouse does the adding up; what comes here is a record a line of the report.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tokenproxy.insight.source import Source, SourceError
from tokenproxy.insight.sums import INCOMPLETE, KEPT, TOKENS, WHOLE

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_CONNECT_S = 10
_ANSWER_S = 600

# Error codes of ClickHouse (src/Common/ErrorCodes.cpp).
_UNKNOWN_IDENTIFIER, _UNKNOWN_TABLE, _UNKNOWN_DATABASE = 47, 60, 81
_WRONG_USER = {192, 193, 194, 516}
_ACCESS_DENIED = 497
_EXTRA = "report --source needs ClickHouse's client: pip install 'tokenproxy[clickhouse]'"


@contextmanager
def open_clickhouse(source: Source) -> Iterator[ClickHouseEngine]:
    """Connect.

    Raises:
        SourceError: The client is not installed, or there is no such ClickHouse, database or
            user; later, that a question could not be answered.
    """
    try:
        import clickhouse_connect
        from clickhouse_connect.driver.exceptions import Error
    except ImportError:
        raise SourceError(_EXTRA) from None
    # What it logs beside what it raises would come to stderr.
    logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
    client: Client | None = None
    try:
        client = clickhouse_connect.get_client(
            host=source.host,
            port=source.port,
            username=source.user,
            password=source.password,
            database=source.database,
            secure=source.secure,
            connect_timeout=_CONNECT_S,
            send_receive_timeout=_ANSWER_S,
            autogenerate_session_id=False,
        )
        yield ClickHouseEngine(client, source)
    except Error as error:
        raise SourceError(_sentence(error, source)) from None
    except (ValueError, LookupError, OSError) as error:
        if client is not None:
            raise
        raise SourceError(f"what listens at {source.place} is no ClickHouse: {_HOW}") from error
    finally:
        if client is not None:
            client.close()


class ClickHouseEngine:
    """A table of calls in ClickHouse."""

    at_once = True

    def __init__(self, client: Client, source: Source) -> None:
        self._client = client
        self._calls = f"`{source.database}`.`{source.table}`"
        self._by_model = f"`{source.database}`.`{source.table}_by_model`"
        self._zone = "UTC"

    def prepare(self, zone: str) -> None:
        """Let times be written in this zone."""
        self._zone = zone

    def calls(self, *, by_model: bool) -> str:
        """The calls; FINAL takes out what was delivered more than once and not yet merged."""
        if not by_model:
            return f"{WHOLE} FROM {self._calls} FINAL"
        return (
            f"SELECT {KEPT}, {INCOMPLETE} AS incomplete, model, {', '.join(TOKENS)},"  # noqa: S608 - names are checked
            f" spent_usd AS spent, unpriced FROM {self._by_model}"
        )

    def placeholder(self, name: str) -> str:
        """A typed parameter."""
        return f"{{{name}:String}}"

    def clock(self, form: str) -> str:
        """In the zone that was prepared; %M is not used, it differs."""
        return f"formatDateTime(started, '{form}', '{self._zone}')"

    def moment(self, parameter: str) -> str:
        """Any moment of any zone."""
        return f"parseDateTime64BestEffort({parameter}, 6, 'UTC')"

    def label(self, parameter: str) -> str:
        """NULL where there is none; a map would say ''."""
        return f"if(mapContains(labels, {parameter}), labels[{parameter}], NULL)"

    def text(self, expression: str) -> str:
        """As ClickHouse writes it."""
        return f"toString({expression})"

    def money(self, column: str) -> str:
        """Decimals add up exactly, in whatever order."""
        return f"sum({column})"

    def quantile(self, column: str, level: float) -> str:
        """Interpolated as DuckDB's quantile_cont is."""
        return f"quantileExactInclusive({level})({column})"

    def ask(self, sql: str, parameters: Mapping[str, str]) -> list[tuple[Any, ...]]:
        """Run the query."""
        found = self._client.query(sql, parameters=dict(parameters))
        return [tuple(record) for record in found.result_rows]


_HOW = "the URL needs the port of its HTTP interface (8123, or 8443 with secure=true)"


def _sentence(error: Exception, source: Source) -> str:
    """What went wrong, for the user; without the password, which the client does not tell."""
    code: int | None = getattr(error, "code", None)
    named = f"{source.database}.{source.table}"
    refused = f"ClickHouse at {source.place} refuses the user {source.user!r} or the password"
    known: dict[int | None, str] = {
        None: f"no ClickHouse can be reached at {source.place}: {_HOW}",
        **dict.fromkeys(_WRONG_USER, refused),
        _UNKNOWN_DATABASE: f"ClickHouse at {source.place} has no database {source.database!r}",
        _UNKNOWN_TABLE: (
            f"ClickHouse at {source.place} has no table {named}, or no view {named}_by_model: "
            "make them with docker/scale/clickhouse/*.sql, or name another with ?table="
        ),
        _UNKNOWN_IDENTIFIER: f"the table {named} is not as docker/scale/clickhouse/*.sql makes it",
        _ACCESS_DENIED: f"the user {source.user!r} may not read {named} at {source.place}",
    }
    other = f"ClickHouse at {source.place} cannot answer (its error {code}): {_reason(error)}"
    return known.get(code, other)


def _reason(error: Exception) -> str:
    """ClickHouse's own words, the first sentence."""
    _, _, said = str(error).partition("DB::Exception: ")
    return (said or type(error).__name__).splitlines()[0].partition(" (for url")[0][:300]
