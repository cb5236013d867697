"""`tokenproxy run` with a proxy of the test's choosing.

python -m tests.launch.driver '{"proxy": [...], "options": {...}}' COMMAND...
"""

from __future__ import annotations

import json
import os
import sys

import msgspec

from tokenproxy.launch import environment
from tokenproxy.launch.errors import CannotRunError
from tokenproxy.launch.options import RunOptions
from tokenproxy.launch.run import run
from tokenproxy.launch.summary import say


def main() -> None:
    given = json.loads(sys.argv[1])
    options = msgspec.convert({**given["options"], "command": sys.argv[2:]}, RunOptions)
    try:
        ending = run(options, environment.inherited(), proxy_command=given["proxy"])
    except CannotRunError as error:
        say(str(error))
        os._exit(error.status)
    ending.leave()


if __name__ == "__main__":
    main()
