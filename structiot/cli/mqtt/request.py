"""`structiot mqtt request`, with the habits of mosquitto_rr."""

from __future__ import annotations

import logging
import sys
from contextlib import aclosing
from datetime import datetime
from typing import Any

import anyio
import asyncclick as click

from structiot.cli.mqtt.formats import writer_of
from structiot.cli.mqtt.options import TIMED_OUT, broker_options, quality
from structiot.cli.mqtt.payloads import (
    file_options,
    message_option,
    payloads,
    source_of,
)
from structiot.cli.mqtt.properties import PropertyCommand
from structiot.cli.mqtt.target import Target, topic_of
from structiot.errors import LinkLost, UsageError
from structiot.mqtt import Connected, Message, Messages, MqttClient
from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["request"]

MQTT_5 = 5

_log = logging.getLogger(__name__)


@click.command(cls=PropertyCommand, short_help="Ask and print the answer.")
@click.option("-t", "--topic", help="Topic to ask at.")
@message_option("The question; empty by default.")
@file_options
@click.option(
    "-e",
    "--response-topic",
    help="Where the answer comes; by default a topic of our own (5.0).",
)
@click.option("-q", "--qos", type=quality, default=1)
@click.option("-F", "--format", "pattern", help="How to print, as for sub.")
@click.option("-v", "--verbose", is_flag=True, help="Print the topic, too.")
@click.option("-N", "no_newline", is_flag=True, help="No end of line.")
@click.option(
    "-R", "--no-stale", is_flag=True, help="No retained message is an answer."
)
@click.option("--json", "wants_json", is_flag=True, help="Print a line of JSON.")
@click.option("--pretty", is_flag=True, help="JSON over several lines.")
@click.option(
    "-W",
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    help=f"Longest wait in seconds; the status is {TIMED_OUT} then.",
)
@broker_options(publishes=True)
async def request(
    target: Target,
    *,
    topic: str | None,
    response_topic: str | None,
    qos: int,
    timeout: float,  # noqa: ASYNC109 - what the option is called
    no_stale: bool,
    **given: Any,  # noqa: ANN401 - values of options
) -> None:
    """Publish a question and print the answer."""
    name = topic_of(target, topic)
    write = writer_of(
        pattern=given["pattern"],
        verbose=given["verbose"],
        wants_json=given["wants_json"],
        pretty=given["pretty"],
        end=b"" if given["no_newline"] else b"\n",
    )
    question = await _question(given)
    fields = dict(target.message_properties)
    if response_topic is not None:
        fields["response_topic"] = response_topic
    async with target.open() as client:
        with anyio.move_on_after(timeout) as scope:
            speaks_5 = await _speaks_5(client)
            # What -D asks for must not get lost in silence: 3.1.1 refuses it.
            has_properties = fields if speaks_5 else target.message_properties
            properties = PublishProperties(**fields) if has_properties else None
            if response_topic is not None:
                async with client.subscription(response_topic, qos=qos) as answers:
                    await client.publish(name, question, qos=qos, properties=properties)
                    answer = await _first(answers, no_stale=no_stale)
            elif speaks_5:
                answer = await client.request(
                    name, question, qos=qos, properties=properties
                )
            else:
                message = "with MQTT 3.1.1 say where the answer comes: -e TOPIC"
                raise UsageError(message)
            _log.info("answered from %s (QoS %d)", answer.topic, answer.qos)
            sys.stdout.buffer.write(write(answer, datetime.now().astimezone()))
            sys.stdout.buffer.flush()
    if scope.cancelled_caught:
        if not target.is_quiet:
            click.echo(f"no answer to {name} in {timeout:g} s", err=True)
        raise SystemExit(TIMED_OUT)


async def _question(given: dict[str, Any]) -> bytes:
    sources = {name: given[name] for name in ("message", "file", "whole", "null")}
    if not any(sources.values()):
        # As mosquitto_rr: a question may be empty without a word.
        sources["null"] = True
        sources["message"] = None
    async with aclosing(payloads(source_of(sources), given)) as found:
        (question,) = await anext(found)
        return question


async def _speaks_5(client: MqttClient) -> bool:
    async with client.events() as events:
        async for event in events:
            if isinstance(event, Connected):
                return event.version == MQTT_5
    return False  # it was closed meanwhile, and says so when it is used


async def _first(answers: Messages, *, no_stale: bool) -> Message:
    async for answer in answers:
        if not (no_stale and answer.retain):
            return answer
    raise LinkLost("the connection ended before an answer came")
