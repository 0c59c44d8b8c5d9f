"""`python -m facebench` is the `facebench` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; an interrupt while it is imported ends without a traceback."""
    try:
        from facebench.cli import main as run
    except KeyboardInterrupt:
        print("interrupted: nothing was computed", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
