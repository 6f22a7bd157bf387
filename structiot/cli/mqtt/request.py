"""`structiot mqtt request`, with the habits of mosquitto_rr."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import anyio
import asyncclick as click

from structiot.cli.mqtt.formats import as_json, formatter
from structiot.cli.mqtt.options import (
    TIMED_OUT,
    Target,
    broker_options,
    quality,
    topic_of,
)
from structiot.mqtt import Message, MqttClient

__all__ = ["request"]


@click.command()
@click.option("-t", "--topic", help="Topic to ask at.")
@click.option("-m", "--message", default="", help="The question.")
@click.option(
    "-e",
    "--response-topic",
    help="Where the answer comes; by default a topic of our own (5.0).",
)
@click.option("-q", "--qos", type=quality, default=1, show_default=True)
@click.option("-F", "--format", "pattern", help="How to print, as for sub.")
@click.option("-v", "--verbose", is_flag=True, help="Print the topic, too.")
@click.option("--json", "wants_json", is_flag=True, help="Print a line of JSON.")
@click.option(
    "-W",
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help=f"Longest wait in seconds; the status is {TIMED_OUT} then.",
)
@broker_options()
async def request(
    target: Target,
    *,
    topic: str | None,
    message: str,
    response_topic: str | None,
    qos: int,
    timeout: float,  # noqa: ASYNC109 - what the option is called
    **given: Any,  # noqa: ANN401 - values of options
) -> None:
    """Publish a question and print the answer."""
    name = topic_of(target, topic)
    write = _writer(given)
    async with target.open() as client:
        with anyio.move_on_after(timeout) as scope:
            question = message.encode()
            if response_topic is None:
                answer = await client.request(name, question, qos=qos)
            else:
                answer = await _ask(client, name, question, response_topic, qos)
            sys.stdout.buffer.write(write(answer, datetime.now().astimezone()))
            sys.stdout.buffer.flush()
    if scope.cancelled_caught:
        raise SystemExit(TIMED_OUT)


async def _ask(
    client: MqttClient, topic: str, question: bytes, response_topic: str, qos: int
) -> Message:
    """Ask by hand, as 3.1.1 has to: the first message on the topic is the answer."""
    async with client.subscription(response_topic, qos=qos) as answers:
        await client.publish(topic, question, qos=qos)
        return await anext(answers)


def _writer(given: dict[str, Any]) -> Callable[[Message, datetime], bytes]:
    if given["wants_json"]:
        return lambda message, at: as_json(message, at).encode() + b"\n"
    pattern = given["pattern"] or ("%t %p" if given["verbose"] else "%p")
    try:
        write = formatter(pattern)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    return lambda message, at: write(message, at) + b"\n"
