"""`structiot connector devices`: which devices are offered, and their services."""

from __future__ import annotations

import anyio
import anyio.to_thread
import asyncclick as click

from structiot.cli._common.options import (
    common_options,
    configure_logging,
    json_option,
)
from structiot.cli._common.output import show_json
from structiot.cli._common.tables import show_table
from structiot.cli.connector.configured import config_of, path_option
from structiot.gateway import open_gateway
from structiot.gateway.drivers.connector.offers import Offer, offer_of

__all__ = ["devices"]

_COLUMNS = ("id", "type", "name", "services")


@click.command(short_help="List what would be offered to the platform.")
@path_option
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=5.0,
    metavar="SECONDS",
    help="How long devices are looked for.",
)
@json_option
@common_options
@click.pass_context
async def devices(
    ctx: click.Context, path: str, *, wait_s: float, wants_json: bool
) -> None:
    """List the devices that can be reached now, as they would be offered.

    It asks the devices and not the platform: what is listed as services is what the
    device types there need.
    """
    configure_logging(ctx)
    config = await anyio.to_thread.run_sync(config_of, path, abandon_on_cancel=True)
    # Nothing is offered, and nothing is kept: a gateway may run with the same file.
    settings = config.gateway.model_copy(update={"state_file": None})
    history = config.history.model_copy(update={"enabled": False})
    none = {"connector": None, "gateway": settings, "history": history}
    config = config.model_copy(update=none)
    async with open_gateway(config) as gateway:
        await anyio.sleep(wait_s)
        found = [
            offer_of(level, one, config.links) for level, one in gateway.devices.items()
        ]
    offers = sorted(filter(None, found), key=lambda one: one.id)
    rows = [_row(one) for one in offers]
    if wants_json:
        show_json([dict(zip(_COLUMNS, row, strict=True)) for row in rows])
    elif rows:
        show_table(_COLUMNS, [(*row, " ".join(services)) for *row, services in rows])
    if not rows:
        click.echo("no device that is offered can be reached", err=True)


def _row(offer: Offer) -> tuple[str, str, str, list[str]]:
    keys = [key for key in offer.served.entities if key in offer.services]
    return offer.id, offer.type, offer.served.name, keys
