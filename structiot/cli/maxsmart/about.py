"""`structiot maxsmart info`, `ids` and `health`: who a device is, and how it does."""

from __future__ import annotations

import asyncclick as click

from structiot.cli.maxsmart.device import Where, device_command, json_option
from structiot.cli.output import show_json, show_pairs

__all__ = ["info"]


@click.command()
@device_command
@json_option
async def info(where: Where, *, wants_json: bool) -> None:
    """Say who the device at HOST is."""
    async with where.opened() as strip:
        known = strip.info
    if wants_json:
        show_json(known)
        return
    show_pairs(
        {
            "name": known.name,
            "address": known.host,
            "model": known.model,
            "firmware": known.firmware,
            "serial": known.serial,
            "MAC": mac_shown(known.mac),
            "ports": ", ".join(known.port_names),
        }
    )


def mac_shown(mac: str | None) -> str | None:
    """Write a hardware address as it stands on the device."""
    return mac and ":".join(mac[at : at + 2] for at in range(0, 12, 2)).upper()
