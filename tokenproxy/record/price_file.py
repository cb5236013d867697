"""Prices from TOML: the user's own, and corrections of ours to the price library's.

.. code-block:: toml

    [[prices]]
    provider = "deepseek"        # the ledger's name or a gateway's host; left out: any
    model = "deepseek-chat"      # as on the wire; "deepseek-*" for all that begin so
    input_mtok = 0.28            # US dollars per million tokens
    cache_read_mtok = 0.028
    output_mtok = 0.42
    from = 2025-09-29            # optional, with or without a time; UTC
    until = 2026-04-24           # not included

The rules:

* An entry that fits wins over the price library; of several, the last in the file.
* It is the model's whole price list: a kind it does not name is billed as what it is
  part of (cached input as input), never at the library's price. ``priced = false``
  says that it is not to be priced.
* It needs ``input_mtok`` and ``output_mtok``, 0 where there is nothing to charge (embedding
  models have no output).
* A provider that is nearly a known one, or a known one's host, is taken for a mistake.
* It is for the standard service tier, or for the one it names. Calls in another tier
  have no known price then, except batches where the provider's factor is known.
* ``hours`` ("01:00-04:00", UTC), ``weekdays`` and ``not_on`` narrow it further.

What is wrong with a file is told in one sentence with its line.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from tokenproxy.record.price_rates import PRICE_KEYS
from tokenproxy.record.price_rules import LIBRARY_PROVIDERS, STANDARD
from tokenproxy.wire.providers import PROVIDERS

SHIPPED = Path(__file__).with_name("prices.toml")
"""Our corrections."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_ADDRESS = re.compile(r"(?:[\d.]+|localhost)(?::\d+)?|\[?[\da-f]*:[\da-f:.]*\]?(?::\d+)?")
_HEADER = re.compile(r"\s*\[\[\s*prices\s*\]\]")
_OWN_KEYS = frozenset(
    {
        "provider", "model", "from", "until", "hours", "weekdays", "not_on", "service_tier",
        "priced", "source",
    }
)  # fmt: skip
_NEEDED = ("input_mtok", "output_mtok")
_MOST = 1_000_000_000
_NAMES = frozenset({*LIBRARY_PROVIDERS, *(known.name for known in PROVIDERS.values())})
"""What the ledger calls providers that it knows."""
_HOSTS = {host: known.name for known in PROVIDERS.values() for host in known.hosts}
_MISNOMERS = {
    **{key: known.name for key, known in PROVIDERS.items()},
    **{name: name for name in _NAMES},
}
"""What may be written for a name of the ledger's, nearly -> that name."""
_CLOSE = 0.8
_USUAL = "usual ones are input_mtok, output_mtok, cache_read_mtok and cache_write_mtok"


class PriceFileError(Exception):
    """A file of prices that cannot be used; the message is one sentence for the user."""


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a file."""

    model: str
    """In lower case; with a final ``*``, the beginning of names."""
    provider: str | None = None
    """None: any."""
    prices: dict[str, Decimal]
    """By price key; empty: not to be priced."""
    since: datetime | None = None
    until: datetime | None = None
    hours: tuple[tuple[int, int], ...] = ()
    """Minutes of the day in UTC, the end not included; empty: all day."""
    weekdays: tuple[int, ...] = ()
    """From 0 for Monday; empty: all."""
    not_on: tuple[date, ...] = ()
    service_tier: str = STANDARD

    def fits(self, names: Sequence[str | None], model: str, at: datetime) -> bool:
        """Whether it is the price of a model at a moment, whatever the tier.

        Args:
            names: The provider's, and its family's if it is a gateway.
            model: In lower case.
            at: In UTC.
        """
        if self.provider is not None and self.provider not in names:
            return False
        if self.model.endswith("*"):
            if not model.startswith(self.model[:-1]):
                return False
        elif model != self.model:
            return False
        if (self.since is not None and at < self.since) or (
            self.until is not None and at >= self.until
        ):
            return False
        if (self.weekdays and at.weekday() not in self.weekdays) or at.date() in self.not_on:
            return False
        minute = at.hour * 60 + at.minute
        return not self.hours or any(start <= minute < end for start, end in self.hours)


class PriceFile(msgspec.Struct, frozen=True):
    """A file's entries, in its order."""

    entries: tuple[Override, ...] = ()
    digest: str = ""
    """Of its bytes, short: tells on a row which state of the file was used."""

    def fitting(self, names: Sequence[str | None], model: str, at: datetime) -> list[Override]:
        """The entries for a call, whatever its tier; the one that wins first."""
        model = model.lower()
        return [entry for entry in reversed(self.entries) if entry.fits(names, model, at)]


def read(path: Path) -> PriceFile:
    """The prices in a file.

    Raises:
        PriceFileError: It cannot be read, or something in it is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PriceFileError(f"{path} cannot be read: {error.strerror}") from None
    try:
        text = data.decode()
        parsed = tomllib.loads(text, parse_float=_number)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PriceFileError(f"{path}, line {line}: the text is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise PriceFileError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise PriceFileError(f"{path} is not TOML: it is nested too deep") from None
    except ValueError:
        raise PriceFileError(f"{path}: a number in it has too many digits") from None
    digest = hashlib.sha256(data).hexdigest()[:8]
    return PriceFile(_Reader(path, text).entries(parsed), digest)


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond all bounds
        return Decimal("inf")


class _Reader:
    """Checks what a file says, and knows where it says it."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._number = 0
        """Of the entry at hand, from 1."""

    def entries(self, parsed: Mapping[str, Any]) -> tuple[Override, ...]:
        for key in parsed:
            if key != "prices":
                self._refuse(key, f'"{key}" is no setting; there are only [[prices]] entries')
        entries = parsed.get("prices", [])
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            self._refuse("prices", "prices are entries that begin with [[prices]]")
        found = []
        for self._number, entry in enumerate(entries, 1):
            found.append(self._entry(entry))
        return tuple(found)

    def _entry(self, entry: Mapping[str, Any]) -> Override:
        for key in entry:
            if key not in _OWN_KEYS and key not in PRICE_KEYS:
                near = difflib.get_close_matches(key, _OWN_KEYS | PRICE_KEYS, 1)
                hint = f"; is {near[0]} meant?" if near else f"; {_USUAL}"
                self._refuse(key, f'"{key}" is no key of [[prices]]{hint}')
        prices = {key: self._price(key, entry[key]) for key in entry if key in PRICE_KEYS}
        if entry.get("priced", True) is not bool(prices):
            if "priced" in entry:
                self._refuse("priced", "priced is false, and then without prices, or left out")
            self._refuse("", f"an entry without a price; {_USUAL}")
        since, until = self._moment("from", entry), self._moment("until", entry)
        if since is not None and until is not None and until <= since:
            self._refuse("until", "until is not after from")
        model = self._word("model", entry)
        if model is None:
            self._refuse("", "an entry without a model")
        if "*" in model[:-1]:
            self._refuse("model", 'a star stands only at the end of a model: "gpt-*"')
        for key in _NEEDED if prices else ():
            if key not in prices:
                self._refuse("", f"an entry needs {key}; write 0 where there is none to charge")
        return Override(
            model=model.lower(),
            provider=self._provider(entry),
            prices=prices,
            since=since,
            until=until,
            hours=tuple(self._span(span) for span in self._list("hours", entry)),
            weekdays=tuple(self._weekday(day) for day in self._list("weekdays", entry)),
            not_on=tuple(self._day(day) for day in self._list("not_on", entry)),
            service_tier=self._word("service_tier", entry) or STANDARD,
        )

    def _price(self, key: str, value: Any) -> Decimal:
        number = Decimal(value) if type(value) is int else value
        if not isinstance(number, Decimal):
            self._refuse(key, f"{key} is not a number of US dollars")
        if not number.is_finite():
            self._refuse(key, f"{key} is not a finite number")
        if number < 0:
            self._refuse(key, f"{key} is negative")
        if number > _MOST:
            self._refuse(key, f"{key} is more than any price")
        return number

    def _provider(self, entry: Mapping[str, Any]) -> str | None:
        word = self._word("provider", entry)
        if word is None or (name := word.lower()) in _NAMES:
            return word and word.lower()
        near = difflib.get_close_matches(name, _MISNOMERS, 1, _CLOSE)
        meant = _HOSTS.get(name) or (_MISNOMERS[near[0]] if near else None)
        if meant:
            self._refuse("provider", f'"{word}" is no provider in the ledger; is {meant} meant?')
        if _ADDRESS.fullmatch(name):
            why = "rows of calls to an address bear the name of the API that it speaks"
            self._refuse("provider", f'"{word}" is no provider in the ledger: {why}')
        if ":" in name or "/" in name:
            self._refuse("provider", f'"{word}" is no provider in the ledger; write the host alone')
        return name

    def _word(self, key: str, entry: Mapping[str, Any]) -> str | None:
        value = entry.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            self._refuse(key, f"{key} is not a name in quotes")
        return value.strip()

    def _list(self, key: str, entry: Mapping[str, Any]) -> list[Any]:
        value = entry.get(key, [])
        if not isinstance(value, list) or (key in entry and not value):
            self._refuse(key, f"{key} is not a list")
        return value

    def _moment(self, key: str, entry: Mapping[str, Any]) -> datetime | None:
        value = entry.get(key)
        if value is None:
            return None
        if isinstance(value, datetime):
            try:
                return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
            except OverflowError:
                self._refuse(key, f"{key} is beyond all years")
        if isinstance(value, date):
            return datetime.combine(value, time(), UTC)
        return self._refuse(key, f"{key} is not a date: write 2026-01-31, without quotes")

    def _span(self, value: Any) -> tuple[int, int]:
        match = _HOURS.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            self._refuse("hours", 'hours are "09:30-17:00", in UTC, and within one day')
        start_h, start_m, end_h, end_m = map(int, match.groups())
        start, end = start_h * 60 + start_m, end_h * 60 + end_m
        if not start < end <= 24 * 60:
            self._refuse("hours", 'hours are "09:30-17:00", in UTC, and within one day')
        return start, end

    def _weekday(self, value: Any) -> int:
        if value not in WEEKDAYS:
            self._refuse("weekdays", f"weekdays are {', '.join(WEEKDAYS)}, in quotes")
        return WEEKDAYS.index(value)

    def _day(self, value: Any) -> date:
        if not isinstance(value, date) or isinstance(value, datetime):
            self._refuse("not_on", "not_on lists dates: write 2026-01-31, without quotes")
        return value

    def _refuse(self, key: str, sentence: str) -> NoReturn:
        line = self._line(key)
        place = f"{self._path}, line {line}" if line else str(self._path)
        raise PriceFileError(f"{place}: {sentence}")

    def _line(self, key: str) -> int | None:
        """Where the entry at hand says ``key``, else where it begins; from 1.

        None for entries that are not written as the documentation writes them.
        """
        assignment = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=|\s*\[+\s*{re.escape(key)}""")
        seen, begins = 0, None
        for number, line in enumerate(self._lines, 1):
            if _HEADER.match(line):
                seen += 1
                if seen == self._number:
                    begins = number
            elif seen == self._number and key and assignment.match(line):
                return number
        return begins
