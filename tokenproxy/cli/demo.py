"""``tokenproxy demo``: the whole tool on a sample agent and a simulated API."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tokenproxy.cli.failure import Failure

STORY = "DEMO-1"
AGENT = ("-m", "tokenproxy.simulator.agent")

_WIDTHS = (80, 140)
_OWN = ("TOKENPROXY_", "ANTHROPIC_")
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
_CUT = ("model", "input_tokens", "output_tokens", "cost_usd", "error")
_CUT_ROWS = 4


def demo() -> None:
    """Record a sample agent on a simulated API: no key, no network. Nothing is left behind.

    With OTEL_EXPORTER_OTLP_ENDPOINT set its trace and metrics go there, too.
    """
    from tokenproxy.simulator.server import Simulator

    with tempfile.TemporaryDirectory(prefix="tokenproxy-demo-") as directory:
        work = Path(directory) / "shop"
        work.mkdir()
        ledger = work / "provider_usage.jsonl"
        _say("A sample agent at work, its model simulated on this machine: no key, no network.\n")
        with Simulator("demo") as simulator:
            words = ["run", "--mode", "forward", "--story", STORY]
            words += ["--route", f"api.anthropic.com={simulator.url}", "--"]
            _say(f"$ tokenproxy {' '.join(words)} python {' '.join(AGENT)}")
            status = subprocess.run(
                [sys.executable, "-m", "tokenproxy", *words, sys.executable, *AGENT],
                cwd=work,
                env=_environment(ledger, Path(directory) / "state"),
                check=False,
            ).returncode
        if status or not ledger.exists():
            raise Failure(f"the demo's run ended with status {status}; see what it said above")
        _show(ledger)
    _say(
        "\nNow yours:\n"
        '  tokenproxy run -- claude -p "..."        one ledger row for every model call it makes\n'
        "  tokenproxy show                          that run as a tree\n"
        "  tokenproxy report --by day --by model    what it all cost\n"
        "  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 tokenproxy run -- ...   and a trace"
    )


def _environment(ledger: Path, state: Path) -> dict[str, str]:
    """The user's own without what would lead the run elsewhere."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OWN) and name.lower() not in _PROXIES
    }
    source = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (source, env.get("PYTHONPATH"))))
    return env | {
        "PYTHONPATH": path,
        "TOKENPROXY_LEDGER": str(ledger),
        "TOKENPROXY_STATE_DIR": str(state),
    }


def _show(ledger: Path) -> None:
    from tokenproxy.insight.period import local_zone
    from tokenproxy.insight.query import open_ledger
    from tokenproxy.insight.question import Choice, dimension
    from tokenproxy.insight.report import make_report
    from tokenproxy.insight.table import print_table
    from tokenproxy.insight.terminal import open_console
    from tokenproxy.insight.trace import last_run, make_trace
    from tokenproxy.insight.tree import print_trace

    _say("\n$ tokenproxy show")
    print_trace(make_trace(last_run(ledger)), open_console(), local_zone())
    _say("\n$ tokenproxy report --by model --by agent")
    with open_ledger([ledger]) as opened:
        by = [dimension("model"), dimension("agent")]
        print_table(make_report(opened, by, Choice(), local_zone().key), open_console())
    lines = ledger.read_text(encoding="utf-8").splitlines()
    _say(f"\n$ cat {ledger.name}   # {len(lines)} rows, one a call; some keys of the first,")
    for line in lines[:_CUT_ROWS]:
        _say(_cut(json.loads(line)))
    _say("                            # and one row whole:")
    width = min(max(shutil.get_terminal_size((100, 0)).columns, _WIDTHS[0]), _WIDTHS[1])
    _say(_folded(max(lines, key=len), width))


def _cut(row: dict[str, Any]) -> str:
    shown = json.dumps({key: row[key] for key in _CUT if key in row})
    return f"{shown[:-1]}, ...}}"


def _folded(line: str, width: int) -> str:
    """The line over several, broken behind commas only: joined again it is the same."""
    folded = [""]
    for piece in re.split("(?<=,)", line):
        if len(folded[-1]) + len(piece) > width:
            folded.append("")
        folded[-1] += piece
    return "\n".join(folded)


def _say(text: str) -> None:
    """Before what the run itself prints."""
    print(text, flush=True)
