"""The one-way flow: what each room may import, of ours and of others."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tokenproxy"

ANYBODY = {"config", "ids", "no_proxy", "paths", "peers", "processes", "units"}
ROOMS = {
    "wire": set(),
    "record": {"wire"},
    "telemetry": {"wire", "record"},
    "proxy": {"wire", "record", "telemetry"},
    # The start-up path: types and tables, never the proxy; telemetry's switch, its
    # complaints, instance numbers and spool, never its pipeline.
    "launch": {
        "wire.providers",
        "wire.endpoints",
        "record.iteration",
        "record.ledger",
        "record.price_file",
        "telemetry.switch",
        "telemetry.instance",
        "telemetry.spool",
        "telemetry.problems",
    },
    "insight": {"record.ledger", "record.row"},
    "simulator": set(),
}
"""Room -> rooms or modules of ours that it may import beside itself and ANYBODY."""

ONLY_IN = {
    "mitmproxy": {"proxy"},
    "opentelemetry": {"telemetry"},
    "clickhouse_connect": {"insight"},
    "duckdb": {"insight"},
    "rich": {"insight"},
    "typer": {"cli"},
    "genai_prices": {"record"},
    "platformdirs": {"paths"},
}
SIMULATOR = {"h11", "msgspec", "brotli", "zstandard", "cryptography", "wsproto"}
"""Beside the standard library: it must run where nothing of ours is to be trusted."""


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, ``from tokenproxy import x`` as ``tokenproxy.x``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


FILES = sorted(PACKAGE.rglob("*.py"))


def faults_of(room: str, names: Iterator[str]) -> list[str]:
    """What of ``names`` the room may not import."""
    found = []
    allowed = ROOMS.get(room)
    for name in names:
        first, *rest = name.split(".")
        if first == "tokenproxy":
            ours = ".".join(rest)
            mine = not rest or rest[0] in {room, "__version__", *ANYBODY}
            if allowed is None:
                # The command line may use all; the plain modules only each other.
                if room in ANYBODY and not mine:
                    found.append(name)
            elif not mine and not any(ours == a or ours.startswith(f"{a}.") for a in allowed):
                found.append(name)
        elif room not in ONLY_IN.get(first, {room}) or (
            room == "simulator" and first not in sys.stdlib_module_names | SIMULATOR
        ):
            found.append(name)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_room_may(path: Path) -> None:
    assert faults_of(room_of(path), imports(path)) == []


@pytest.mark.parametrize(
    ("room", "name"),
    [
        ("wire", "tokenproxy.record.row"),
        ("record", "tokenproxy.telemetry.pipeline"),
        ("record", "mitmproxy"),
        ("launch", "tokenproxy.proxy.engine"),
        ("launch", "tokenproxy.telemetry.pipeline"),
        ("launch", "opentelemetry.sdk"),
        ("insight", "tokenproxy.record.recorder"),
        ("simulator", "tokenproxy.wire.usage"),
        ("simulator", "duckdb"),
        ("config", "tokenproxy.wire.usage"),
        ("cli", "mitmproxy.http"),
    ],
)
def test_the_rules_can_be_broken(room: str, name: str) -> None:
    assert faults_of(room, iter([name])) == [name]


def test_only_one_way_out_is_through_the_sdk() -> None:
    """Everything else of telemetry is loaded in every run that has it on."""
    users = {path.parent for path in FILES for name in imports(path) if "opentelemetry" in name}
    assert users == {PACKAGE / "telemetry" / "sdk"}


def test_every_room_has_a_rule() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert rooms == {*ROOMS, "cli"}


def test_the_start_up_path_loads_nothing_heavy() -> None:
    """What stands before the start of the user's command costs it time."""
    heavy = ("mitmproxy", "opentelemetry", "duckdb", "rich", "genai_prices", "cryptography")
    code = (
        "import sys, tokenproxy.cli.app, tokenproxy.cli.run, tokenproxy.launch.run\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ended.stdout == "[]\n"
