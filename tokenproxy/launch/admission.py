"""Who may use a run's listener."""

from __future__ import annotations

import os
import socket

from tokenproxy import peers
from tokenproxy.config import Admission


def for_run(listener: socket.socket) -> Admission:
    """The run's own processes: by the kernel's word, or where it gives none by a secret.

    The word comes first because nobody has to know of it. A secret stands in the command's
    variables, as the password of its proxy's URL: programs print these, and not all log in.
    """
    if peers.telling(listener):
        return Admission(users=True, launcher=os.getpid())
    import secrets  # 4 ms, on systems without that word

    return Admission(secret=secrets.token_urlsafe(24))
