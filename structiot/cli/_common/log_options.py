"""Options of what runs for long: how its log is written, and how much each part says."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import asyncclick as click

from structiot.cli._common.options import LOG_FORMAT, LOG_LEVELS, OptionGroup

__all__ = ["log_options"]

_BY_NAME = {
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
# As docs/how_to/logging.md has them.
_PARTS = frozenset(
    {
        "connector",
        "dashboard",
        "gateway",
        "gateway.history",
        "manager",
        "manager.backplane",
        "manager.client",
        "maxsmart",
        "meross",
        "mqtt",
        "mqtt.broker",
        "sim",
    }
)


def _take_format(ctx: click.Context, _option: click.Parameter, given: str) -> None:
    ctx.meta[LOG_FORMAT] = given


def _take_levels(
    ctx: click.Context, _option: click.Parameter, given: Sequence[str]
) -> None:
    """Read `PART=LEVEL`.

    Raises:
        click.BadParameter: There is no such part, or no such level.
    """
    found = {}
    for one in given:
        part, mark, level = one.partition("=")
        part = part.removeprefix("structiot.")
        if not mark or level.lower() not in _BY_NAME:
            levels = ", ".join(_BY_NAME)
            message = f"{one!r} is no PART=LEVEL, such as gateway=debug, of {levels}"
            raise click.BadParameter(message)
        if not _is_part(part):
            message = f"there is no part {part!r}, as there are gateway and mqtt.broker"
            raise click.BadParameter(message)
        found[f"structiot.{part}"] = _BY_NAME[level.lower()]
    ctx.meta[LOG_LEVELS] = found


def _is_part(name: str) -> bool:
    if name in _PARTS:
        return True
    # Takes 20 ms; of somebody else's system the log is called as ours.
    from importlib.metadata import entry_points  # noqa: PLC0415

    return any(name == one.name for one in entry_points(group="structiot.drivers"))


log_options: OptionGroup = OptionGroup(
    click.option(
        "--log-format",
        type=click.Choice(("text", "json")),
        default="text",
        envvar="STRUCTIOT_LOG_FORMAT",
        show_envvar=True,
        callback=_take_format,
        expose_value=False,
        help="How the log is written.",
    ),
    click.option(
        "--log-level",
        multiple=True,
        metavar="PART=LEVEL",
        callback=_take_levels,
        expose_value=False,
        show_default=False,
        help="How much one part says, such as mqtt=info; may be given again.",
    ),
)
"""What commands have that run for long."""
