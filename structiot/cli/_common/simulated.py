"""Options of commands that simulate several devices."""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.options import OptionGroup

__all__ = ["count_and_host"]

count_and_host: OptionGroup = OptionGroup(
    click.option(
        "--count", type=click.IntRange(1, 1000), default=1, help="How many devices."
    ),
    click.option(
        "--host",
        default="127.0.0.2",
        help="Address of the first; the others have those that follow.",
    ),
)
