"""`structiot mqtt sub`, with the habits of mosquitto_sub."""

from __future__ import annotations

import logging
import sys
from datetime import datetime
from random import random
from typing import Any

import anyio
import asyncclick as click

from structiot.cli._common.signals import run_until_stopped
from structiot.cli.mqtt.formats import writer_of
from structiot.cli.mqtt.options import TIMED_OUT, broker_options, quality
from structiot.cli.mqtt.properties import PropertyCommand
from structiot.cli.mqtt.target import Target, topic_of
from structiot.errors import CommandRefused, ConnectFailed
from structiot.mqtt import Connected, Disconnected, Message, MqttClient, matches
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["sub"]

REFUSED = 0x80

_log = logging.getLogger(__name__)


@click.command(cls=PropertyCommand, short_help="Print messages.")
@click.option("-t", "--topic", "topics", multiple=True, help="Filter; several may be.")
@click.option("-T", "--filter-out", multiple=True, help="Do not print these.")
@click.option("-U", "--unsubscribe", multiple=True, help="End a kept subscription.")
@click.option("-q", "--qos", type=quality, default=0)
@click.option("-v", "--verbose", is_flag=True, help="Print the topic, too.")
@click.option("-F", "--format", "pattern", help="How to print, as in mosquitto_sub(1).")
@click.option("-N", "no_newline", is_flag=True, help="No end of line.")
@click.option("--json", "wants_json", is_flag=True, help="A line of JSON a message.")
@click.option("--pretty", is_flag=True, help="JSON over several lines.")
@click.option(
    "--random-filter",
    type=click.FloatRange(0, 100),
    default=100.0,
    metavar="PERCENT",
    help="Print this share of the messages, by chance.",
)
@click.option("-C", "--count", type=click.IntRange(min=1), help="End after n messages.")
@click.option(
    "-W",
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help=f"End after n seconds, with status {TIMED_OUT}.",
)
@click.option("-R", "--no-stale", is_flag=True, help="No retained messages.")
@click.option("--retained-only", is_flag=True, help="End at the first live message.")
@click.option("--remove-retained", is_flag=True, help="Erase what is retained.")
@click.option("-E", "only_subscribes", is_flag=True, help="End once subscribed.")
@broker_options(retries=None)
async def sub(target: Target, **given: Any) -> None:  # noqa: ANN401 - values of options
    """Print the messages of topics until Ctrl-C, -C or -W."""
    printer = _Printer(given)
    topics = given["topics"]
    if target.topic or not topics:
        topics = (topic_of(target, None), *topics)
    status = 0

    async def listen() -> None:
        nonlocal status
        with anyio.move_on_after(given["timeout"]) as scope:
            async with target.open(wait_connected=False) as client:
                await _first_connection(client)
                if given["unsubscribe"]:
                    await client.unsubscribe(given["unsubscribe"])
                await _print_all(client, topics, printer, given)
        if scope.cancelled_caught:
            status = TIMED_OUT

    await run_until_stopped(listen)
    if status:
        raise SystemExit(status)


async def _first_connection(client: MqttClient) -> None:
    """Wait for it; later ones are opened in the background, by `--retries`."""
    async with client.events() as events:
        async for event in events:
            if isinstance(event, Connected):
                return
            if isinstance(event, Disconnected) and event.attempt:
                raise event.error or ConnectFailed(event.reason)


async def _print_all(
    client: MqttClient,
    topics: tuple[str, ...],
    printer: _Printer,
    given: dict[str, Any],
) -> None:
    codes = await client.subscribe([(name, given["qos"]) for name in topics])
    for name, code in zip(topics, codes, strict=True):
        if code >= REFUSED:
            reason = ReasonCode(code).text
            raise CommandRefused(f"the broker refuses {name!r}: {reason}", code=code)
    granted = (f"{name} (QoS {code})" for name, code in zip(topics, codes, strict=True))
    _log.info("subscribed to %s", ", ".join(granted))
    erased: set[str] = set()
    while not given["only_subscribes"]:
        message = await client.deliver_message()
        if message is None:
            return
        size, name = len(message.payload), message.topic
        _log.info("received %d bytes from %s (QoS %d)", size, name, message.qos)
        if printer.removes and message.retain:
            erased.add(message.topic)
            await client.publish(message.topic, b"", qos=1, retain=True)
        elif name in erased and not message.payload:
            # What erased it, which came back.
            erased.remove(name)
            continue
        if not printer.take(message):
            return


class _Printer:
    """Prints what is wanted, and knows when it is enough."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.removes: bool = given["remove_retained"]
        self._left: int | None = given["count"]
        self._filter_out: tuple[str, ...] = given["filter_out"]
        self._no_stale: bool = given["no_stale"]
        self._retained_only: bool = given["retained_only"]
        self._share: float = given["random_filter"] / 100
        self._write = writer_of(
            pattern=given["pattern"],
            verbose=given["verbose"],
            wants_json=given["wants_json"],
            pretty=given["pretty"],
            end=b"" if given["no_newline"] else b"\n",
        )

    def take(self, message: Message) -> bool:
        """Print a message; False if nothing more is wanted."""
        if self._left == 0 or (self._retained_only and not message.retain):
            return False
        if self._no_stale and message.retain:
            return True
        if any(matches(name, message.topic) for name in self._filter_out):
            return True
        if random() >= self._share:  # noqa: S311 - no secret
            return True
        out = sys.stdout.buffer
        out.write(self._write(message, datetime.now().astimezone()))
        out.flush()
        if self._left is not None:
            self._left -= 1
        return self._left != 0
