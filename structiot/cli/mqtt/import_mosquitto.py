"""`structiot mqtt import-mosquitto`: what a Mosquitto has kept, for a broker of ours."""

from __future__ import annotations

from pathlib import Path

import anyio
import asyncclick as click

from structiot._kit.text import counted
from structiot.cli._common.options import common_options
from structiot.mqtt.broker import import_mosquitto as make_store

__all__ = ["import_mosquitto"]

_path = click.Path(path_type=Path)


@click.command("import-mosquitto", short_help="Take over what a Mosquitto has kept.")
@click.argument("db", type=_path)
@click.argument("store", type=_path)
@common_options
async def import_mosquitto(db: Path, store: Path) -> None:
    """Make STORE, for `broker --store`, of the mosquitto.db of a Mosquitto 2.

    Sessions, their subscriptions, messages that wait for them, and retained messages
    come over. Mosquitto must have ended. A file with damage in it makes no store.
    """
    found = await anyio.to_thread.run_sync(make_store, db, store)
    parts = [
        counted(found.sessions, "session"),
        counted(found.subscriptions, "subscription"),
        counted(found.deliveries, "message") + " under way",
        counted(found.retained, "retained message"),
    ]
    click.echo(f"{store}: {', '.join(parts)}")
    if found.left_out:
        click.echo(
            f"{found.left_out} left out: of QoS 0, or of sessions that do not last",
            err=True,
        )
