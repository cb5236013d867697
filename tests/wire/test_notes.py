from __future__ import annotations

import re

from tokenproxy.wire import notes


def test_every_note_has_its_meaning() -> None:
    words = {
        value for name, value in vars(notes).items() if name.isupper() and isinstance(value, str)
    }
    assert words == set(notes.MEANING)
    assert all(re.fullmatch(r"[a-z_]+", word) for word in words)


def test_detailed() -> None:
    assert notes.detailed(notes.REFUSAL_CATEGORY, "cyber") == "refusal_category:cyber"
