"""`structiot mqtt pub`, with the habits of mosquitto_pub."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import Any

import anyio
import asyncclick as click

from structiot.cli._common.output import show_json
from structiot.cli.mqtt.options import broker_options, quality
from structiot.cli.mqtt.payloads import (
    file_options,
    message_option,
    payloads,
    source_of,
)
from structiot.cli.mqtt.properties import PropertyCommand
from structiot.cli.mqtt.target import Target, topic_of
from structiot.mqtt import MqttClient, Receipt
from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["pub"]

_log = logging.getLogger(__name__)


@click.command(cls=PropertyCommand, short_help="Publish messages.")
@click.option("-t", "--topic", help="Topic to publish to.")
@message_option("The message.")
@click.option("-l", "--stdin-line", "lines", is_flag=True, help="A message a line.")
@file_options
@click.option("-q", "--qos", type=quality, default=0)
@click.option("-r", "--retain", is_flag=True, help="Have the broker keep it.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, help="Send n times.")
@click.option(
    "--repeat-delay",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Seconds between two of them.",
)
@click.option("--content-type", help="What the payload is (5.0).")
@click.option("--response-topic", help="Where answers are expected (5.0).")
@click.option("--correlation-data", help="What answers are recognised by (5.0).")
@click.option("--expiry", type=click.IntRange(min=0), help="Seconds it lives (5.0).")
@click.option(
    "--user-property",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="Whatever both sides agree on (5.0); several may be given.",
)
@click.option("--json", "wants_json", is_flag=True, help="A line of JSON a message.")
@broker_options(publishes=True)
async def pub(
    target: Target,
    *,
    topic: str | None,
    qos: int,
    retain: bool,
    repeat: int,
    repeat_delay: float,
    wants_json: bool,
    **given: Any,  # noqa: ANN401 - values of options
) -> None:
    """Publish messages: -m TEXT, -f FILE, -l (lines of stdin), -s (stdin) or -n."""
    name = topic_of(target, topic)
    source = source_of(given)
    properties = _properties(target, given)

    async with target.open() as client, aclosing(payloads(source, given)) as found:
        sender = _Sender(
            client,
            name,
            {"qos": qos, "retain": retain, "properties": properties},
            wants_json=wants_json,
        )
        async for batch in found:
            for payload in batch:
                for turn in range(repeat):
                    if turn and repeat_delay:
                        await sender.settle()
                        await anyio.sleep(repeat_delay)
                    await sender.send(payload)
            await sender.settle()


class _Sender:
    """Sends one message after the other before the first is acknowledged."""

    def __init__(
        self,
        client: MqttClient,
        topic: str,
        options: dict[str, Any],
        *,
        wants_json: bool,
    ) -> None:
        self._client = client
        self._topic = topic
        self._options = options
        self._wants_json = wants_json
        self._sent: list[tuple[int, Receipt | None]] = []

    async def send(self, payload: bytes) -> None:
        """Send a message; what becomes of it is told by `settle`."""
        receipt = None
        if self._options["qos"]:
            receipt = await self._client.publish_soon(
                self._topic, payload, **self._options
            )
        else:
            await self._client.publish(self._topic, payload, **self._options)
        self._sent.append((len(payload), receipt))

    async def settle(self) -> None:
        """Wait until everything is acknowledged."""
        qos, retain = self._options["qos"], int(self._options["retain"])
        for size, receipt in self._sent:
            if receipt is not None:
                await receipt.wait()
            _log.info("published %d bytes to %s (QoS %d)", size, self._topic, qos)
            if self._wants_json:
                told = {"topic": self._topic, "qos": qos, "retain": retain}
                show_json({**told, "payloadlen": size})
        self._sent.clear()


def _properties(target: Target, given: dict[str, Any]) -> PublishProperties | None:
    correlation = given["correlation_data"]
    own = {
        "content_type": given["content_type"],
        "response_topic": given["response_topic"],
        "correlation_data": None if correlation is None else correlation.encode(),
        "message_expiry_s": given["expiry"],
    }
    fields = dict(target.message_properties)
    fields |= {name: value for name, value in own.items() if value is not None}
    pairs = (*fields.pop("user_properties", ()), *given["user_property"])
    properties = PublishProperties(**fields, user_properties=pairs)
    return None if properties == PublishProperties() else properties
