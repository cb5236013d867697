"""Where built and installed programs are kept: as ``scripts/install-clients`` does."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path:
    """``TOKENPROXY_CACHE``, else ``tokenproxy-dev`` in the user's cache directory."""
    own = os.environ.get("TOKENPROXY_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(home) / "tokenproxy-dev"
