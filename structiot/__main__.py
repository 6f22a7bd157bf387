"""`python -m structiot` is the program `structiot`."""

from __future__ import annotations

import sys

from structiot.cli.main import run_program

if __name__ == "__main__":
    sys.exit(run_program())
