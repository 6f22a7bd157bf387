"""`python -m structiot` is the program `structiot`."""

from __future__ import annotations

import sys

from structiot.cli._common.hangups import hold_hangups

__all__ = ["main"]


def main() -> int:
    """Run the program and give its exit status."""
    # Before the imports, which take a second.
    hold_hangups()
    from structiot.cli.main import run_program  # noqa: PLC0415

    return run_program()


if __name__ == "__main__":
    sys.exit(main())
