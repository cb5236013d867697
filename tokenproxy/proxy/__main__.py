"""``python -m tokenproxy.proxy``: the proxy process."""

import gc
import os
import sys

if __name__ == "__main__":
    # What is imported stays: to look through it for garbage meanwhile takes a twentieth of the
    # start. Turned on again when all is there (``process``).
    gc.disable()

    from tokenproxy.proxy.process import main

    status = main()
    sys.stderr.flush()
    # The account is settled and told. What is left are daemon threads (an exporter that waits
    # for a dead collector) and an interpreter's teardown; the launcher waits for neither.
    os._exit(status)
