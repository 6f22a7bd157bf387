"""`structiot maxsmart info`, `ids` and `health`: who a device is, and how it does."""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.device_commands import DeviceTarget
from structiot.cli._common.output import members, show_json
from structiot.cli._common.tables import show_pairs, show_table
from structiot.cli.maxsmart.device import strip_command, try_anyway
from structiot.errors import PeerError, TransportError
from structiot.maxsmart import Identifier, MaxSmartStrip, StripHealth

__all__ = ["health", "ids", "info"]

FAILED = 1


@click.command(short_help="Say who a device is.")
@strip_command()
async def info(strip: MaxSmartStrip, *, wants_json: bool) -> None:  # noqa: ASYNC124 - awaited like the others
    """Say who the device at HOST is, and what it can."""
    known, can = strip.info, strip.capabilities
    if wants_json:
        show_json({**members(known), "capabilities": can})
        return
    words = {True: "yes", False: "no", None: "perhaps"}
    show_pairs(
        {
            "name": known.name,
            "address": known.host,
            "model": known.model,
            "firmware": known.firmware,
            "serial": known.serial,
            "MAC": _mac_shown(known.mac),
            "ports": ", ".join(known.port_names),
            "can": ", ".join(
                f"{name.replace('_', ' ')} {words[value]}"
                for name, value in can.items()
            ),
        }
    )


@click.command(short_help="Show what identifies a device.")
@strip_command(try_anyway("identifiers"))
async def ids(strip: MaxSmartStrip, *, wants_json: bool) -> None:
    """Show all that identifies the device at HOST, the most trusted first."""
    known = await strip.get_device_identifiers()
    ranked = [_identifier(one) for one in known.ranked]
    if wants_json:
        show_json({**members(known), "best": ranked[0], "ranked": ranked})
        return
    show_table(
        ("identifier", "value", "said by", "as one word"),
        [
            (one.kind.replace("_", " "), one.value, one.source, one.text)
            for one in known.ranked
        ],
    )
    others = {"powerline MAC": _mac_shown(known.plc_mac), "reports to": known.server}
    if any(others.values()):
        click.echo()
        show_pairs({name: value for name, value in others.items() if value})


@click.command(short_help="Say how a device does.")
@strip_command(opens=False)
async def health(target: DeviceTarget[MaxSmartStrip], *, wants_json: bool) -> None:
    """Ask the device at HOST for its data and tell how that went.

    The status is 1 if it cannot be reached; with --json its error is in the output.
    """
    try:
        async with target.open() as strip:
            found = await strip.health_check()
    except (TransportError, PeerError) as exc:
        if not wants_json:
            raise
        show_json(
            dict.fromkeys(StripHealth.__dataclass_fields__)
            | {
                "host": target.place,
                "is_reachable": False,
                "is_polled": False,
                "error": str(exc),
            }
        )
        raise SystemExit(FAILED) from exc
    if wants_json:
        show_json(found)
    else:
        latency = (
            None if found.latency_s is None else f"{found.latency_s * 1000:.0f} ms"
        )
        show_pairs(
            {
                "name": found.name,
                "address": found.host,
                "firmware": found.firmware,
                "state": found.error or "answers",
                "latency": latency,
                "protocol": found.transport.replace("_", " ").upper(),
            }
        )
    if not found.is_reachable:
        raise SystemExit(FAILED)


def _identifier(one: Identifier) -> dict[str, object]:
    return {**members(one), "text": one.text, "is_reliable": one.is_reliable}


def _mac_shown(mac: str | None) -> str | None:
    """Write a hardware address as it stands on the device."""
    return mac and ":".join(mac[at : at + 2] for at in range(0, 12, 2)).upper()
