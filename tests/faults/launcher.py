"""``tokenproxy`` with two numbers changed: a proxy may be killed any number of times in a run.

What happens after too many deaths has its own tests; a thousand kills in one run need none
of that.
"""

from tokenproxy.cli.main import main
from tokenproxy.launch import proxy_process

proxy_process.RESTARTS = proxy_process.FIRST_TRIES = 1_000_000

if __name__ == "__main__":
    main()
