"""The table of providers in ``docs/providers.md``: which test proves what.

``python -m tests.wire.provider_table`` prints it; ``make providers`` writes it
into the document; a test holds both together.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from tests.wire.cases import ASPECTS, Aspect, all_cases
from tokenproxy.wire.providers import PROVIDERS

DOCUMENT = Path(__file__).parents[2] / "docs" / "providers.md"
BEGIN, END = "<!-- made by: make providers -->\n", "<!-- end -->\n"

ELSEWHERE: dict[tuple[str, Aspect], str] = {
    ("deepseek", "price"): "`tests/record/`",  # its prices differ by the hour
    ("nvidia", "price"): "none known",
    ("huggingface", "price"): "none known",
    **{("bedrock-sdk", aspect): "as `bedrock`" for aspect in ASPECTS},
    **{("vertex-anthropic", aspect): "as `vertex`" for aspect in ASPECTS},
}
"""Cells without a case of their own, and where to look or why."""


def render() -> str:
    """The table, in Markdown."""
    shown: dict[tuple[str, Aspect], list[str]] = defaultdict(list)
    for case in all_cases():
        shown[case.provider, case.aspect].append(case.name)
    lines = [
        f"| base URL | row's `provider` | {' | '.join(ASPECTS)} |",
        f"|---|---|{'---|' * len(ASPECTS)}",
    ]
    for key, provider in PROVIDERS.items():
        cells = [_cell(shown[key, aspect], ELSEWHERE.get((key, aspect), "")) for aspect in ASPECTS]
        base = f"`/{key}{provider.base_path}`"
        variable = f"<br>{provider.base_url_env}" if provider.base_url_env else ""
        lines.append(f"| {base}{variable} | {provider.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(names: list[str], otherwise: str) -> str:
    return "<br>".join(names) or otherwise


def write() -> None:
    """Put the table into the document."""
    text = DOCUMENT.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    DOCUMENT.write_text(f"{head}{BEGIN}{render()}{END}{tail}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        sys.stdout.write(render())
