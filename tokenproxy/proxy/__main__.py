"""``python -m tokenproxy.proxy``: the proxy process."""

import sys

from tokenproxy.proxy.process import main

if __name__ == "__main__":
    sys.exit(main())
