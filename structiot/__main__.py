"""`python -m structiot` is the program `structiot`."""

from __future__ import annotations

import sys

from structiot.cli._common.hangups import hold_hangups

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> int:
    """Run the program and give its exit status."""
    # Before the imports, which take a second.
    hold_hangups()
    try:
        from structiot.cli._common.leaving import leave, own_process  # noqa: PLC0415
        from structiot.cli.main import run_program  # noqa: PLC0415
    except KeyboardInterrupt:
        return _INTERRUPTED

    own_process()
    return leave(run_program())


if __name__ == "__main__":
    sys.exit(main())
