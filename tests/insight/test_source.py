from __future__ import annotations

import pytest

from tokenproxy.insight.source import Source, SourceError, parse_source

PASSWORD = {"TOKENPROXY_CLICKHOUSE_PASSWORD": "from the variable"}


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("clickhouse://db", Source(host="db", port=8123)),
        ("clickhouse://db/", Source(host="db", port=8123)),
        ("clickhouse://db:9123/usage", Source(host="db", port=9123, database="usage")),
        (
            "clickhouse://anna:p%40%2F%3A%C3%A9@db/x?table=mine&secure=true",
            Source(
                host="db",
                port=8443,
                user="anna",
                password="p@/:é",
                database="x",
                table="mine",
                secure=True,
            ),
        ),
        ("clickhouse://[::1]:8123/x", Source(host="::1", port=8123, database="x")),
        ("clickhouse://anna:@db", Source(host="db", port=8123, user="anna")),
    ],
)
def test_a_url_says_where_the_calls_are(url: str, source: Source) -> None:
    assert parse_source(url, {}) == source


def test_the_password_may_be_in_a_variable_and_that_of_the_url_wins() -> None:
    assert parse_source("clickhouse://anna@db", PASSWORD).password == "from the variable"
    assert parse_source("clickhouse://anna:own@db", PASSWORD).password == "own"
    assert parse_source("clickhouse://anna:@db", PASSWORD).password == ""


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://u:secret@db/x", "must be a URL of the form clickhouse://user:password@host:8123"),
        ("secret", "must be a URL of the form"),
        ("clickhouse:///secret", "must be a URL of the form"),
        ("clickhouse://u:secret@db/x#y", "must be a URL of the form"),
        ("clickhouse://u:secret@db:port/x", "cannot be read"),
        ("clickhouse://u:secret@[db/x", "cannot be read"),
        ("clickhouse://u:secret@db:99999/x", "cannot be read"),
        ("clickhouse://u:secret@db/x?user=y", "takes table and secure, not 'user'"),
        ("clickhouse://u:secret@db/x?secure=maybe", "secure is true or false"),
        ("clickhouse://u:secret@db/x/y", "the database 'x/y' of the source's URL is no name"),
        ("clickhouse://u:secret@db/x?table=a%60b", "the table 'a`b' of the source's URL"),
        ("clickhouse://u:secret@db/x?table=", "the table '' of the source's URL"),
    ],
)
def test_what_is_wrong_is_a_sentence_without_the_password(url: str, sentence: str) -> None:
    with pytest.raises(SourceError) as error:
        parse_source(url, {})
    assert sentence in str(error.value)
    assert "secret" not in str(error.value)
