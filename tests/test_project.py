"""The project as a tree: what a stranger who clones it relies on."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.version import Version

import tokenproxy
from tokenproxy.record.row import Row

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.12", "3.13")


@cache
def tracked() -> tuple[Path, ...]:
    """Files under version control; in an unpacked archive, all that is there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = [name for name in listed.stdout.split("\0") if name]
    files = [ROOT / name for name in names] or [
        path
        for path in ROOT.rglob("*")
        if not any(
            part == "__pycache__" or part[0] == "." for part in path.parts[len(ROOT.parts) :]
        )
    ]
    return tuple(path for path in files if path.is_file())


@cache
def project() -> dict[str, object]:
    made: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return made


@cache
def locked() -> dict[str, list[tuple[Version, Marker | None]]]:
    """Name -> the versions in the lock with the marker under which each holds."""
    found: dict[str, list[tuple[Version, Marker | None]]] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if pinned := re.match(r"([a-z0-9-]+)==(\S+)(?: ; (.*?))?(?: \\)?$", line):
            marker = Marker(pinned[3]) if pinned[3] else None
            found.setdefault(pinned[1], []).append((Version(pinned[2]), marker))
    return found


def requirements() -> list[Requirement]:
    made = project()
    groups = [made["dependencies"], *made["optional-dependencies"].values()]  # type: ignore[attr-defined] # TOML is untyped
    wanted = [Requirement(text) for group in groups for text in group]
    return [one for one in wanted if one.name != "tokenproxy"]  # an extra that takes another in


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_answers_every_requirement(python: str) -> None:
    for wanted in requirements():
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        versions = [
            version
            for version, marker in locked()[name]
            if marker is None
            or marker.evaluate({"python_version": python, "python_full_version": f"{python}.0"})
        ]
        assert len(versions) == 1, name
        assert versions[0] in wanted.specifier, f"{name} {versions[0]}: run make lock"


def test_every_locked_file_is_known_by_its_hash() -> None:
    text = (ROOT / "constraints.txt").read_text()
    entries = re.split(r"\n(?=[a-z0-9-]+==)", text)
    assert len(entries) > 50
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "--index" not in text


def test_the_version_is_the_changelogs() -> None:
    released = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert released[:1] == [tokenproxy.__version__]


def test_what_it_runs_on_is_said_the_same_everywhere() -> None:
    assert project()["requires-python"] == ">=3.12"
    finder = (ROOT / "scripts" / "find-python").read_text()
    assert "(3, 12) <= sys.version_info[:2]" in finder
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert settings["ruff"]["target-version"] == "py312"
    assert settings["mypy"]["python_version"] == "3.12"


def test_a_source_archive_holds_what_the_tree_holds() -> None:
    """Its Makefile, its tests and its documents speak of all of it."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
    always = {"pyproject.toml", ".gitignore", "PKG-INFO"}
    tree = {path.relative_to(ROOT).parts[0] for path in tracked()} - always
    assert tree <= set(settings["build"]["targets"]["sdist"]["include"])


MACHINE = re.compile(
    rb"/(?:root|work|home/[a-z]+|Users/[A-Za-z]+)/(?!\.\.\.)"
    rb"|/tmp/(?:lab|bash_jobs)"
    rb"|\b(?:registry\.npmjs|files\.pythonhosted|pypi\.org|pypi\.python)\b"
)
ALLOWED = {"tests/test_project.py"}


def test_nothing_names_the_machine_it_was_made_on_or_a_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {hit[0].decode()}"
        for path in tracked()
        if str(path.relative_to(ROOT)) not in ALLOWED
        for hit in MACHINE.finditer(path.read_bytes())
    ]
    assert found == []


def test_scripts_can_be_run_and_are_what_their_shell_reads() -> None:
    files = [path for path in (ROOT / "scripts").rglob("*") if path.is_file()]
    lists = ("pins", "stack")
    scripts = [*(path for path in files if path.name not in lists), ROOT / ".ci" / "run"]
    assert len(scripts) > 3
    for script in scripts:
        assert os.access(script, os.X_OK), script
        shell = script.read_text().splitlines()[0].removeprefix("#!")
        subprocess.run([shell, "-n", str(script)], check=True)


def test_json_files_are_json() -> None:
    found = [path for path in tracked() if path.suffix == ".json"]
    assert found
    for path in found:
        json.loads(path.read_text(encoding="utf-8"))


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)} -> {target}"
        for path in tracked()
        if path.suffix == ".md"
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_the_index_of_documents_leads_to_each() -> None:
    docs = ROOT / "docs"
    linked = re.findall(r"\]\(([\w-]+\.md)\)", (docs / "README.md").read_text(encoding="utf-8"))
    assert sorted(linked) == sorted(p.name for p in docs.glob("*.md") if p.name != "README.md")


def _anchors(document: Path) -> set[str]:
    """What its headings are linked by, as GitHub makes it of them."""
    text = re.sub(
        r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_links_to_headings_lead_to_one() -> None:
    broken = [
        f"{path.relative_to(ROOT)} -> {target}#{anchor}"
        for path in tracked()
        if path.suffix == ".md"
        for target, anchor in re.findall(
            r"\]\((?!https?://)([^)#\s]*)#([^)\s]+)\)", path.read_text(encoding="utf-8")
        )
        if anchor not in _anchors(path.parent / target if target else path)
    ]
    assert broken == []


def _keys(line: str) -> list[str]:
    return re.findall(r"`(\w+)`", line.split("|")[1])


def test_every_key_of_a_row_is_documented() -> None:
    text = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")
    named = [key for line in text.splitlines() if line.startswith("| `") for key in _keys(line)]
    assert named == [field for field in Row.__struct_fields__ if field in named]
    assert set(named) == set(Row.__struct_fields__)


class FindPython:
    """scripts/find-python in a world of its own: only what the test puts there exists."""

    def __init__(self, root: Path) -> None:
        self.bin = root / "bin"
        self.bin.mkdir()
        for tool in ("sh", "tr", "sed"):
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        self.env = {"PATH": str(self.bin), "HOME": str(root / "home")}

    def add(self, path: Path, version: str, *, works: bool = True) -> Path:
        """A stand-in that answers the script's one question as a Python would."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fit = (3, 12) <= tuple(map(int, version.split("."))) < (3, 15) and works
        path.write_text(f"#!{self.bin}/sh\n{f'echo {path}' if fit else 'exit 1'}\n")
        path.chmod(0o755)
        return path

    def __call__(self, **env: str) -> tuple[int, str]:
        ended = subprocess.run(
            [str(ROOT / "scripts" / "find-python")],
            env=self.env | env,
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stdout.strip() or ended.stderr.strip()


@pytest.fixture
def find(tmp_path: Path) -> FindPython:
    return FindPython(tmp_path)


@pytest.mark.skipif(
    any(Path(p).exists() for p in ("/usr/local/bin/python3.12", "/usr/local/bin/python3.13")),
    reason="a Python lies where the script looks whatever the environment",
)
def test_no_python_is_one_sentence(find: FindPython) -> None:
    find.add(find.bin / "python3", "3.11")
    status, said = find()
    assert status == 1
    assert said.count("\n") == 0
    assert "needs Python 3.12 or newer" in said
    assert "brew install" in said


def test_the_newest_tried_version_on_path_wins_over_an_old_python3(find: FindPython) -> None:
    find.add(find.bin / "python3", "3.11")
    twelve = find.add(find.bin / "python3.12", "3.12")
    assert find() == (0, str(twelve))
    thirteen = find.add(find.bin / "python3.13", "3.13")
    assert find() == (0, str(thirteen))


def test_a_shim_that_refuses_leads_to_its_pyenv(find: FindPython, tmp_path: Path) -> None:
    """HOME is empty and PYENV_ROOT unset: only PATH betrays where pyenv lies."""
    root = tmp_path / "py env"
    find.add(root / "shims" / "python3.13", "3.13", works=False)
    find.add(root / "versions" / "3.11.7" / "bin" / "python3", "3.11")
    wanted = find.add(root / "versions" / "3.13.0" / "bin" / "python3", "3.13")
    assert find(PATH=f"{root / 'shims'}:{find.bin}") == (0, str(wanted))
    assert find(PATH=f"{root / 'bin'}:{find.bin}") == (0, str(wanted))
    assert find(PYENV_ROOT=str(root)) == (0, str(wanted))


def test_of_an_environment_the_python_behind_it(tmp_path: Path) -> None:
    """`make install` with .venv switched on removes .venv and makes it anew."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "v"], check=True)
    found = subprocess.run(
        [str(ROOT / "scripts" / "find-python")],
        env={"PATH": f"{tmp_path / 'v' / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()).parents[1] != tmp_path / "v"


def test_uv_is_asked_last(find: FindPython, tmp_path: Path) -> None:
    managed = find.add(tmp_path / "managed" / "python3.13", "3.13")
    uv = find.bin / "uv"
    uv.write_text(f"#!{find.bin}/sh\necho {managed}\n")
    uv.chmod(0o755)
    assert find() == (0, str(managed))


def test_the_users_choice_is_not_second_guessed(find: FindPython, tmp_path: Path) -> None:
    find.add(find.bin / "python3.13", "3.13")
    chosen = find.add(tmp_path / "mine" / "python", "3.12")
    assert find(TOKENPROXY_PYTHON=str(chosen)) == (0, str(chosen))
    old = find.add(tmp_path / "old" / "python", "3.11")
    status, said = find(TOKENPROXY_PYTHON=str(old))
    assert status == 1
    assert said.startswith(f"TOKENPROXY_PYTHON={old} is not a Python 3.12")
