"""Prices from TOML: what an entry means, and what is said of a wrong one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenproxy.record import price_file
from tokenproxy.record.price_file import Override, PriceFile, PriceFileError, read
from tokenproxy.record.price_rates import PRICE_KEYS

ENTRY = """[[prices]]
provider = "deepseek"
model = "DeepSeek-Chat"
input_mtok = 1
output_mtok = 0.42
"""

BOTH = "input_mtok = 1\noutput_mtok = 1\n"


def parse(tmp_path: Path, text: str | bytes) -> PriceFile:
    file = tmp_path / "config.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(file)


def only(tmp_path: Path, text: str) -> Override:
    (entry,) = parse(tmp_path, text).entries
    return entry


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fits(
    entry: Override, at: str, model: str = "deepseek-chat", provider: str = "deepseek"
) -> bool:
    return entry.fits((provider, None), model, moment(at))


def test_an_entry(tmp_path: Path) -> None:
    entry = only(tmp_path, ENTRY)
    assert entry == Override(
        provider="deepseek",
        model="deepseek-chat",
        prices={"input_mtok": Decimal(1), "output_mtok": Decimal("0.42")},
    )


def test_a_file_without_entries(tmp_path: Path) -> None:
    assert parse(tmp_path, "").entries == ()
    assert parse(tmp_path, "# nothing yet\n").entries == ()


def test_every_price_key_is_taken(tmp_path: Path) -> None:
    lines = "".join(f"{key} = 1\n" for key in PRICE_KEYS)
    assert set(only(tmp_path, f'[[prices]]\nmodel = "m"\n{lines}').prices) == PRICE_KEYS


def test_numbers_are_exact(tmp_path: Path) -> None:
    entry = only(tmp_path, '[[prices]]\nmodel = "m"\ninput_mtok = 0.1\noutput_mtok = 0\n')
    assert entry.prices["input_mtok"] == Decimal("0.1")


def test_whom_and_what_an_entry_is_for(tmp_path: Path) -> None:
    at = "2026-11-22"
    entry = only(tmp_path, ENTRY)
    assert fits(entry, at)
    assert not fits(entry, at, provider="openai")
    assert not fits(entry, at, model="deepseek-chat-2")
    assert entry.fits(("llm.corp.example", "deepseek"), "deepseek-chat", moment(at))
    anybodys = only(tmp_path, '[[prices]]\nmodel = "deepseek-*"\n' + BOTH)
    assert fits(anybodys, at, model="deepseek-chat-2", provider="openai")
    assert not fits(anybodys, at, model="deeps")


def test_the_entry_that_wins_comes_first(tmp_path: Path) -> None:
    file = parse(tmp_path, '[[prices]]\nmodel = "*"\ninput_mtok = 9\noutput_mtok = 9\n' + ENTRY)
    found = file.fitting(("deepseek", None), "deepseek-CHAT", moment("2026-11-22"))
    assert [entry.prices["input_mtok"] for entry in found] == [1, 9]


@pytest.mark.parametrize(
    ("limits", "inside", "outside"),
    [
        ("from = 2026-02-01", ["2026-02-01T00:00"], ["2026-01-31T23:59"]),
        ("until = 2026-02-01", ["2026-01-31T23:59"], ["2026-02-01T00:00"]),
        ("from = 2026-02-01T08:00:00+08:00", ["2026-02-01T00:00"], ["2026-01-31T23:59"]),
        ("from = 2026-02-01T08:00:00", ["2026-02-01T08:00"], ["2026-02-01T07:59"]),
        (
            'hours = ["01:00-04:00", "22:30-24:00"]',
            ["2026-02-01T01:00", "2026-02-01T03:59", "2026-02-01T23:59"],
            ["2026-02-01T00:59", "2026-02-01T04:00", "2026-02-01T22:29"],
        ),
        ('weekdays = ["mon", "sun"]', ["2026-11-22", "2026-11-23"], ["2026-11-24"]),
        ("not_on = [2026-11-22]", ["2026-11-21T23:59", "2026-11-23"], ["2026-11-22T12:00"]),
    ],
)
def test_when_an_entry_holds(
    tmp_path: Path, limits: str, inside: list[str], outside: list[str]
) -> None:
    entry = only(tmp_path, ENTRY + limits)
    assert all(fits(entry, at) for at in inside)
    assert not any(fits(entry, at) for at in outside)


def test_a_price_that_is_not_known(tmp_path: Path) -> None:
    assert only(tmp_path, '[[prices]]\nmodel = "m"\npriced = false').prices == {}


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("[[price]]\nmodel = 1", 1, '"price" is no setting; there are only [[prices]] entries'),
        ("# a\nprice = 1", 2, '"price" is no setting'),
        ("prices = 1", 1, "prices are entries that begin with [[prices]]"),
        ("[prices]\nmodel = 'm'", 1, "prices are entries that begin with [[prices]]"),
        (
            ENTRY + "inptu_mtok = 1",
            6,
            '"inptu_mtok" is no key of [[prices]]; is input_mtok meant?',
        ),
        (ENTRY + "zebra = 1", 6, '"zebra" is no key of [[prices]]; usual ones are input_mtok'),
        (ENTRY + ENTRY + "# one\ncache_read_mtok = '1'", 12, "cache_read_mtok is not a number"),
        ('[[prices]]\nmodel = "m"\ninput_mtok = -1', 3, "input_mtok is negative"),
        ('[[prices]]\nmodel = "m"\ninput_mtok = -0.1', 3, "input_mtok is negative"),
        ('[[prices]]\nmodel = "m"\ninput_mtok = nan', 3, "input_mtok is not a finite number"),
        ('[[prices]]\nmodel = "m"\ninput_mtok = -inf', 3, "input_mtok is not a finite number"),
        (f'[[prices]]\nmodel = "m"\ninput_mtok = 1e{"9" * 20}', 3, "input_mtok is not a finite"),
        ('[[prices]]\nmodel = "m"\ninput_mtok = 1e99', 3, "input_mtok is more than any price"),
        ('[[prices]]\nmodel = "m"\ninput_mtok = 1', 1, "an entry needs output_mtok; write 0"),
        ('[[prices]]\nmodel = "m"\noutput_mtok = 1', 1, "an entry needs input_mtok; write 0"),
        ('[[prices]]\nmodel = "g*t"\n' + BOTH, 2, "a star stands only at the end of a model"),
        ('[[prices]]\nmodel = "gpt**"\n' + BOTH, 2, "a star stands only at the end of a model"),
        *(
            (
                f'[[prices]]\nmodel = "m"\nprovider = "{wrong}"\n' + BOTH,
                3,
                f'"{wrong}" is no provider in the ledger; is {right} meant?',
            )
            for wrong, right in (
                ("opnai", "openai"),
                ("Antropic", "anthropic"),
                ("mistral", "mistral_ai"),
                ("bedrock", "aws.bedrock"),
                ("api.openai.com", "openai"),
            )
        ),
        *(
            (
                f'[[prices]]\nmodel = "m"\nprovider = "{host}"\n' + BOTH,
                3,
                f'"{host}" is no provider in the ledger{why}',
            )
            for host, why in (
                ("localhost", ": rows of calls to an address bear the name"),
                ("localhost:4000", ": rows of calls to an address bear the name"),
                ("10.0.0.7", ": rows of calls to an address bear the name"),
                ("[::1]:8080", ": rows of calls to an address bear the name"),
                ("fe80::1", ": rows of calls to an address bear the name"),
                ("llm.corp.example:8080", "; write the host alone"),
                ("https://llm.corp.example", "; write the host alone"),
            )
        ),
        (ENTRY + "from = 0001-01-01T00:00:00+23:00", 6, "from is beyond all years"),
        ('[[prices]]\nmodel = "m"\ninput_mtok = true', 3, "input_mtok is not a number"),
        ('\n[[prices]]\nmodel = "m"', 2, "an entry without a price"),
        ("[[prices]]\ninput_mtok = 1", 1, "an entry without a model"),
        ("[[prices]]\ninput_mtok = 1\nmodel = ' '", 3, "model is not a name in quotes"),
        (ENTRY + "service_tier = 1", 6, "service_tier is not a name in quotes"),
        (ENTRY + "priced = false", 6, "priced is false, and then without prices"),
        ('[[prices]]\nmodel = "m"\npriced = "no"', 3, "priced is false, and then without prices"),
        (ENTRY + 'from = "2026-01-01"', 6, "from is not a date: write 2026-01-31"),
        (ENTRY + "from = 2026-02-01\nuntil = 2026-02-01", 7, "until is not after from"),
        (ENTRY + 'hours = "01:00-04:00"', 6, "hours is not a list"),
        (ENTRY + "hours = []", 6, "hours is not a list"),
        (ENTRY + 'hours = ["22:00-02:00"]', 6, 'hours are "09:30-17:00"'),
        (ENTRY + 'hours = ["22:00-24:30"]', 6, 'hours are "09:30-17:00"'),
        (ENTRY + "hours = [9]", 6, 'hours are "09:30-17:00"'),
        (ENTRY + 'weekdays = ["Monday"]', 6, "weekdays are mon, tue"),
        (ENTRY + "weekdays = [[]]", 6, "weekdays are mon, tue"),
        (ENTRY + 'not_on = ["2026-01-01"]', 6, "not_on lists dates"),
        (ENTRY + "not_on = [2026-01-01T00:00:00]", 6, "not_on lists dates"),
        ("prices = [{model = 'm'}]", None, "an entry without a price"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str, line: int | None, sentence: str
) -> None:
    with pytest.raises(PriceFileError) as caught:
        parse(tmp_path, text)
    place = str(tmp_path / "config.toml") + (f", line {line}" if line else "")
    assert str(caught.value).startswith(f"{place}: {sentence}")
    assert "\n" not in str(caught.value)


def test_what_is_no_toml_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(PriceFileError, match=r"config.toml is not TOML: .*\(at line 2, column 3\)"):
        parse(tmp_path, "\na b = 1")
    with pytest.raises(PriceFileError, match=r"config.toml, line 3: the text is not UTF-8$"):
        parse(tmp_path, b"# a\n\n# caf\xe9\n")
    with pytest.raises(PriceFileError, match=r"is not TOML: it is nested too deep$"):
        parse(tmp_path, "a = " + "[" * 10_000)
    with pytest.raises(PriceFileError, match=r"config.toml: a number in it has too many digits$"):
        parse(tmp_path, "a = " + "1" * 5_000)


@pytest.mark.parametrize(
    ("written", "provider"),
    [
        ("OpenAI", "openai"),
        ("azure.ai.openai", "azure.ai.openai"),
        ("moonshot_ai", "moonshot_ai"),
        ("LLM.corp.example", "llm.corp.example"),
        ("litellm", "litellm"),
        ("api.openai.corp.example", "api.openai.corp.example"),
    ],
)
def test_providers_of_the_ledger_and_hosts_of_gateways(
    tmp_path: Path, written: str, provider: str
) -> None:
    text = f'[[prices]]\nprovider = "{written}"\nmodel = "m"\n{BOTH}'
    assert only(tmp_path, text).provider == provider


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        PriceFileError, match=r"gone\.toml cannot be read: No such file or directory"
    ):
        read(tmp_path / "gone.toml")
    with pytest.raises(PriceFileError, match="cannot be read: Is a directory"):
        read(tmp_path)


@given(st.binary(max_size=200))
def test_any_bytes_are_prices_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(b"[[prices]]\nmodel = 'm'\n" + data)
    try:
        found = read(file)
    except PriceFileError as error:
        said = str(error)
    else:
        said = f"{file} has {len(found.entries)} entries"
    assert said.startswith(str(file))


def test_the_digest_tells_a_change(tmp_path: Path) -> None:
    before, after = parse(tmp_path, ENTRY), parse(tmp_path, ENTRY + "\n")
    assert before.entries == after.entries
    assert before.digest != after.digest
    assert len(before.digest) == 8


def test_our_corrections_are_sound_and_say_where_they_are_from() -> None:
    text = price_file.SHIPPED.read_text()
    entries = read(price_file.SHIPPED).entries
    assert len(entries) == text.count("[[prices]]") == text.count('\nsource = "https://')
    assert all(entry.provider for entry in entries)


def test_the_documentations_example_is_sound(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "prices.md").read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0]
    contract, own, internal = parse(tmp_path, example).entries
    assert contract.prices["web_searches_kcount"] == 10
    assert fits(own, "2026-11-22", "our-model", "llm.corp.example")
    assert internal.prices == {}
    for key in PRICE_KEYS:
        assert key in text
