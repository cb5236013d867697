"""``python -m tokenproxy.proxy``: the proxy process."""

import os
import sys

from tokenproxy.proxy.process import main

if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # The account is settled and told. What is left are daemon threads (an exporter that waits
    # for a dead collector) and an interpreter's teardown; the launcher waits for neither.
    os._exit(status)
