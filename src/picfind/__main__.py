"""The `picfind` command, also as `python -m picfind`."""

from __future__ import annotations

import sys


def main() -> None:
    """Load the command line and run it. Ctrl-C while it loads is no more than Ctrl-C later."""
    try:
        from picfind.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
