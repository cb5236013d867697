"""For Python programs under test: no byte that was written to a file is lost.

Whatever is removed, replaced or cut is kept in the directory ``GRAVEYARD``. And with
``PLANTED_FAULT`` = ``module:Class.function`` that function raises an error.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import shutil
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

KEEP = os.environ.get("GRAVEYARD")
FAULT = os.environ.get("PLANTED_FAULT")
Function = Callable[..., Any]


def bury(what: Any, dir_fd: int | None = None) -> None:
    """Keep a copy of what is about to be lost: a path, or a descriptor."""
    with suppress(OSError):
        path = Path(f"/proc/self/fd/{what}") if isinstance(what, int) else Path(os.fsdecode(what))
        if dir_fd is not None:
            path = Path(f"/proc/self/fd/{dir_fd}").readlink() / path
        if path.is_file():
            shutil.copyfile(path, Path(KEEP or "", f"{uuid.uuid4().hex}-{path.name}"))


def burying(function: Function, which: int = 0) -> Function:
    """``function``, after what its argument names has been kept."""

    def wrapped(*args: Any, **named: Any) -> Any:
        bury(args[which], named.get("dir_fd"))
        return function(*args, **named)

    return wrapped


def opening(function: Function) -> Function:
    """os.open, likewise where it cuts."""

    def wrapped(path: Any, flags: int, *args: Any, **named: Any) -> Any:
        if flags & os.O_TRUNC:
            bury(path, named.get("dir_fd"))
        return function(path, flags, *args, **named)

    return wrapped


if KEEP:
    for name in ("unlink", "remove", "truncate", "ftruncate"):
        setattr(os, name, burying(getattr(os, name)))
    for name in ("replace", "rename"):
        setattr(os, name, burying(getattr(os, name), 1))
    os.open = opening(os.open)


def fail(*_: object, **__: object) -> None:
    """What stands in the place of the function."""
    raise RuntimeError("a planted fault")


class Planter(importlib.abc.MetaPathFinder):
    """Breaks one function of a module when that is imported."""

    def __init__(self, module: str, function: str) -> None:
        self.module, self.function = module, function

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        if fullname != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        assert spec is not None
        assert spec.loader is not None
        run = spec.loader.exec_module

        def broken(module: ModuleType) -> None:
            run(module)
            *place, last = self.function.split(".")
            owner: Any = module
            for step in place:
                owner = getattr(owner, step)
            setattr(owner, last, fail)

        spec.loader.exec_module = broken  # type: ignore[method-assign] # for this module alone
        return spec


if FAULT:
    sys.meta_path.insert(0, Planter(*FAULT.split(":")))
