"""What both comparisons let their user choose."""

from __future__ import annotations

import argparse
from pathlib import Path

PAYLOADS = [64, 1024, 8192, 65_536, 262_144, 1_048_576, 4_194_304]
CROWDS = [1, 100, 10_000]
QUICK_ROUNDS, QUICK_SECONDS = 1, 0.4


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def add_measuring(
    parser: argparse.ArgumentParser, *, measured: str, quick: str
) -> None:
    """Add the options for how long, how often and by what is measured."""
    parser.add_argument("--loops", type=words, metavar="asyncio,uvloop,trio")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="how long one run should take"
    )
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument(
        "--no-pin", action="store_true", help="leave cores to the system"
    )
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help=f"messages in a second of the {measured}'s processor time:"
        " for a busy machine",
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
