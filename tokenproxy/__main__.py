"""``python -m tokenproxy``: the command line."""

from tokenproxy.cli.main import main

if __name__ == "__main__":
    main()
