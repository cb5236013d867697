from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import tokenproxy


def test_the_demo_records_shows_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """No key, no network, and nothing of the user's environment leads it astray."""
    ended = subprocess.run(
        [sys.executable, "-m", "tokenproxy", "demo"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "TMPDIR": str(tmp_path),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(Path(tokenproxy.__file__).parents[1]),
            "ANTHROPIC_BASE_URL": "http://127.0.0.1:1",
            "HTTPS_PROXY": "http://127.0.0.1:1",
            "TOKENPROXY_MODE": "sideways",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    out = ended.stdout
    assert "agent: done" in out
    assert "$ tokenproxy show\nrun " in out
    assert "↻ retry of" in out
    assert "agent Explore" in out
    assert "$ tokenproxy report --by model --by agent\nModel " in out
    assert "# 8 rows" in out
    assert "tokenproxy: 8 calls (1 failed)" in ended.stderr
    start = out.index('{"timestamp"')
    row = json.loads(out[start : out.index("}\n\nNow yours:") + 1].replace("\n", ""))
    assert row["schema"] == "tokenproxy.usage/1"
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_fails_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "import os, sys\nif 'tokenproxy.simulator.agent' in sys.orig_argv and "
        "'tokenproxy' not in sys.orig_argv: os._exit(1)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "tokenproxy", "demo"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": f"{Path(tokenproxy.__file__).parents[1]}{os.pathsep}{tmp_path}",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "the demo's run ended with status 1" in ended.stderr
    assert "Traceback" not in ended.stderr
