"""The image's file: what it is made of, as whom it runs, and that its commands are ours.

What an engine makes of it is tested in tests/real/stack/test_image.py.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

import tokenproxy
from tests.e2e.bench import Bench

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "docker" / "Dockerfile"
DOCUMENT = ROOT / "docs" / "image.md"

type Step = tuple[str, str]
"""An instruction and the rest of its line."""


def steps() -> list[Step]:
    """The instructions, comments left out and continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    split = [line.split(maxsplit=1) for line in whole.splitlines() if line]
    return [(words[0], words[1]) for words in split]


def stage() -> list[Step]:
    """The last stage, which is what is shipped."""
    found = steps()
    starts = [at for at, (word, _) in enumerate(found) if word == "FROM"]
    return found[starts[-1] :]


def told(word: str) -> list[str]:
    return [rest for name, rest in stage() if name == word]


def environment() -> dict[str, str]:
    pairs = [pair.partition("=") for rest in told("ENV") for pair in shlex.split(rest)]
    return {name: value for name, _, value in pairs}


def words_of(name: str) -> list[str]:
    (rest,) = told(name)
    made = json.loads(rest.partition("CMD ")[2] if name == "HEALTHCHECK" else rest)
    assert isinstance(made, list), "a shell's form would keep signals from the process"
    return made


def test_the_base_is_one_full_version() -> None:
    stages = {rest.partition(" AS ")[2] for word, rest in steps() if word == "FROM"}
    bases = {rest.split()[0] for word, rest in steps() if word == "FROM"} - stages
    (base,) = bases
    assert re.fullmatch(r"python:3\.13\.\d+-slim-[a-z]+", base), base
    assert f'base.name="docker.io/library/{base}"' in " ".join(told("LABEL"))


def test_it_runs_as_a_numbered_user_that_is_not_root() -> None:
    assert told("USER") == ["10001:0"]
    later = [word for word, _ in stage()[stage().index(("USER", "10001:0")) :]]
    assert "RUN" not in later
    assert "COPY" not in later


def test_what_must_outlive_it_is_in_one_volume() -> None:
    (volume,) = told("VOLUME")
    env = environment()
    assert env["TOKENPROXY_STATE_DIR"] == env["HOME"] == volume
    assert told("WORKDIR") == [volume]


def test_packages_come_with_their_hashes_or_not_at_all() -> None:
    first, *others = [rest for word, rest in steps() if word == "RUN" and "/bin/pip" in rest]
    assert "--require-hashes" in first
    assert "--only-binary :all:" in first
    assert others
    assert all("--require-hashes" not in rest for rest in others)
    without_index = steps().index(("ENV", next(r for w, r in steps() if "PIP_NO_INDEX=1" in r)))
    assert all(steps().index(("RUN", rest)) > without_index for rest in others)


def test_it_holds_no_secret_and_names_no_index() -> None:
    text = "\n".join(f"{word} {rest}" for word, rest in steps())
    assert "://" not in text
    assert not re.search(r"(?i)(password|secret|api_?key|bearer|--index|trusted-host)\b", text)
    names = {name for name in environment() if name.startswith("TOKENPROXY_")}
    assert names == {"TOKENPROXY_STATE_DIR", "TOKENPROXY_LISTEN", "TOKENPROXY_ALLOW_REMOTE"}


def test_its_version_is_the_packages() -> None:
    assert f"VERSION={tokenproxy.__version__}" in told("ARG")


def test_every_finding_that_is_let_pass_has_a_reason() -> None:
    found = [line for line in DOCKERFILE.read_text().splitlines() if "hadolint ignore" in line]
    assert found
    for line in found:
        assert re.fullmatch(r"# hadolint ignore=DL\d+ # .{20,}", line), line


def let_in(path: str) -> bool:
    """Whether .dockerignore lets a path of the tree reach a builder; the last match wins."""
    allowed = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        tries = [pattern, pattern + "/*", pattern.removeprefix("**/"), pattern + "/**"]
        if pattern.startswith("**/"):
            tries += ["*" + pattern.removeprefix("**"), "*" + pattern.removeprefix("**") + "/*"]
        if any(fnmatch(path, each) for each in tries):
            allowed = line.startswith("!")
    return allowed


def copied() -> list[str]:
    """Paths of the tree that a step reads."""
    found = []
    for word, rest in steps():
        if word == "COPY" and "--from" not in rest:
            found += rest.split()[:-1]
        found += re.findall(r"type=bind,source=([^,\s]+)", rest)
    return found


def test_what_is_copied_is_there_and_let_in() -> None:
    assert {"constraints.txt", "pyproject.toml", "tokenproxy"} <= set(copied())
    for path in copied():
        assert (ROOT / path).exists(), path
        assert let_in(path), path
    assert let_in("tokenproxy/cli/serve.py")


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        "tests/test_dockerfile.py",
        "docs/image.md",
        "docker/compose.yaml",
        ".env",
        "provider_usage.jsonl",
        "tokenproxy/cli/__pycache__/serve.cpython-313.pyc",
    ],
)
def test_what_is_not_needed_never_reaches_a_builder(path: str) -> None:
    assert not let_in(path)


def test_its_command_serves_and_its_health_check_sees_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    env = environment()
    env["TOKENPROXY_NO_TOKEN"] = "1"
    own = {name: env[name] for name in env if name.startswith("TOKENPROXY_")}
    own |= {"TOKENPROXY_STATE_DIR": str(bench.state), "TOKENPROXY_LISTEN": "0.0.0.0:0"}
    assert words_of("ENTRYPOINT") == ["tokenproxy"]
    gateway = bench.start(*words_of("CMD"), env=own)
    assert gateway.stderr is not None
    try:
        said = gateway.stderr.readline().decode()
        listening = re.search(r"listening on http://(0\.0\.0\.0:\d+),", said)
        assert listening, said
        assert healthy(listening[1]) == 0
    finally:
        gateway.terminate()
        gateway.communicate(timeout=30)
    assert gateway.returncode == 0
    assert healthy(listening[1]) != 0, "nobody listens any more"


def healthy(listen: str) -> int:
    python, *words = words_of("HEALTHCHECK")
    assert python == "python"
    asked = subprocess.run(
        [sys.executable, *words],
        env={"TOKENPROXY_LISTEN": listen, "HTTP_PROXY": "http://127.0.0.1:9"},
        capture_output=True,
        timeout=30,
        check=False,
    )
    return asked.returncode


def test_it_listens_on_the_port_that_it_exposes() -> None:
    assert environment()["TOKENPROXY_LISTEN"] == f"0.0.0.0:{told('EXPOSE')[0]}"
    assert told("STOPSIGNAL") == ["SIGTERM"]


def test_its_environment_is_documented() -> None:
    text = DOCUMENT.read_text()
    names = [name for name in environment() if name.startswith("TOKENPROXY_")]
    assert names
    for name in names:
        assert f"`{name}`" in text
