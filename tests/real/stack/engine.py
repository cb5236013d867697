"""A container engine with a store of its own: Podman on runc, as root, on Debian's packages.

The base image is Debian's own Python in the place and under the name of the one that
docker/Dockerfile names (scripts/clients/rootfs), for no registry may be asked.
"""

from __future__ import annotations

import ast
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.real import needs

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


class Engine:
    """``podman`` with these words; everything that it keeps is gone at the end."""

    def __init__(self) -> None:
        for program in ("podman", "runc"):
            needs.require(shutil.which(program), program, "run scripts/install-clients stack")
        if os.geteuid() != 0:
            needs.require(None, "root, as which images are built here", "run the test as root")
        # Not below pytest's directories: it keeps those of the last runs, and this is large.
        self._store = Path(tempfile.mkdtemp(prefix="tokenproxy-engine-"))
        (self._store / "containers.conf").touch()
        self.env = dict(os.environ) | {"CONTAINERS_CONF": str(self._store / "containers.conf")}
        self._argv = [
            "podman",
            f"--root={self._store / 'root'}",
            f"--runroot={self._store / 'run'}",
            f"--tmpdir={self._store / 'tmp'}",
            "--storage-driver=overlay",
            "--runtime=runc",
            "--cgroup-manager=cgroupfs",
            "--events-backend=file",
            "--log-level=fatal",  # it tells that without systemd nobody asks after health
        ]

    def argv(self, *words: str) -> list[str]:
        """Podman's own options, then these."""
        return [*self._argv, *words]

    def __call__(
        self, *words: str, check: bool = True, timeout_s: float = 120, tmpdir: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end; a failure says what it said."""
        ended = subprocess.run(
            self.argv(*words),
            env=self.env | ({"TMPDIR": str(tmpdir)} if tmpdir else {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and ended.returncode != 0:
            said = (ended.stdout + ended.stderr)[-2000:]
            raise AssertionError(f"podman {words[0]} failed ({ended.returncode}): {said}")
        return ended

    def load_base(self, name: str) -> None:
        """Give the stand-in the base image's name, and the environment that its file sets."""
        tar = needs.backend("rootfs", "python", "rootfs.tar")
        path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        self("import", f"--change=ENV PATH={path}", str(tar), f"docker.io/library/{name}")

    def build(self, file: Path, context: Path, tag: str, *options: str) -> None:
        """Build an image; packages come from where this machine's own pip gets them."""
        kept = needs.cache() / "rootfs" / "build"  # pip's cache mount is kept there
        kept.mkdir(parents=True, exist_ok=True)
        words = ["build", "--format=docker", "--pull=never", "--layers=false", "--network=host"]
        with pip_mounts() as mounts:
            self(
                *words,
                *limits(),
                *mounts,
                f"--file={file}",
                f"--tag={tag}",
                *options,
                str(context),
                timeout_s=600,
                tmpdir=kept,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self("rm", "--all", "--force", "--volumes", "--time=0", check=False)
        self("rmi", "--all", "--force", check=False)
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if (mounted := line.split()[1]).startswith(f"{self._store}/"):
                subprocess.run(["umount", "--lazy", mounted], check=False)
        shutil.rmtree(self._store, ignore_errors=True)


def limits() -> list[str]:
    """Limits that this process may set: Podman's own are higher, which takes a capability."""
    wanted = {"nofile": (resource.RLIMIT_NOFILE, 1024), "nproc": (resource.RLIMIT_NPROC, 4096)}
    found = []
    for name, (kind, enough) in wanted.items():
        hard = resource.getrlimit(kind)[1]
        value = enough if hard == resource.RLIM_INFINITY else min(hard, enough)
        found.append(f"--ulimit={name}={value}:{value}")
    return found


@contextmanager
def pip_mounts() -> Iterator[list[str]]:
    """Options that show a build's steps how this machine's pip reaches its index.

    They are mounted for the steps' time; nothing of them is in the Dockerfile or the image.
    """
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    settings: dict[str, str] = {}
    for line in listed.stdout.splitlines():  # the environment's come last, and win
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    reach = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
    lines = [f"{name} = {settings[name]}" for name in reach if name in settings]
    trusted = settings.get("cert") or os.environ.get("SSL_CERT_FILE") or CERTIFICATES
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("\n".join(["[global]", f"cert = {CERTIFICATES}", *lines, ""]))
        file.flush()
        yield [
            f"--volume={file.name}:/etc/pip.conf:ro",
            f"--volume={trusted}:{CERTIFICATES}:ro",
        ]
