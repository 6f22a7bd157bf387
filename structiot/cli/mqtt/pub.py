"""`structiot mqtt pub`, with the habits of mosquitto_pub."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import asyncclick as click

from structiot.cli.mqtt.options import Target, broker_options, quality, topic_of
from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["pub"]


@click.command()
@click.option("-t", "--topic", help="Topic to publish to.")
@click.option("-m", "--message", help="The message.")
@click.option(
    "-f", "--file", type=click.Path(path_type=Path), help="Send a file as the message."
)
@click.option("-l", "--stdin-line", "lines", is_flag=True, help="A message a line.")
@click.option("-s", "--stdin-file", "whole", is_flag=True, help="One message.")
@click.option("-n", "--null-message", "null", is_flag=True, help="An empty message.")
@click.option("-q", "--qos", type=quality, default=0, show_default=True)
@click.option("-r", "--retain", is_flag=True, help="Have the broker keep it.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, help="Send n times.")
@click.option("--repeat-delay", type=click.FloatRange(min=0), default=0.0)
@click.option("--content-type", help="What the payload is (5.0).")
@click.option("--response-topic", help="Where answers are expected (5.0).")
@click.option("--correlation-data", help="What answers are recognised by (5.0).")
@click.option("--expiry", type=click.IntRange(min=0), help="Seconds it lives (5.0).")
@click.option(
    "--user-property", nargs=2, multiple=True, metavar="NAME VALUE", help="(5.0)"
)
@broker_options()
async def pub(
    target: Target,
    *,
    topic: str | None,
    qos: int,
    retain: bool,
    repeat: int,
    repeat_delay: float,
    **given: Any,  # noqa: ANN401 - values of options
) -> None:
    """Publish messages: -m TEXT, -f FILE, -l (lines of stdin), -s (stdin) or -n."""
    name = topic_of(target, topic)
    source = _source(given)
    properties = _properties(given)
    async with target.open() as client, aclosing(_payloads(source, given)) as payloads:
        async for payload in payloads:
            for turn in range(repeat):
                if turn:
                    await anyio.sleep(repeat_delay)
                await client.publish(
                    name, payload, qos=qos, retain=retain, properties=properties
                )


def _source(given: dict[str, Any]) -> str:
    names = ("message", "file", "lines", "whole", "null")
    chosen = [name for name in names if given[name] not in {None, False}]
    if len(chosen) != 1:
        raise click.UsageError("say what to send by exactly one of -m -f -l -s -n")
    return chosen[0]


def _properties(given: dict[str, Any]) -> PublishProperties | None:
    correlation = given["correlation_data"]
    properties = PublishProperties(
        content_type=given["content_type"],
        response_topic=given["response_topic"],
        correlation_data=None if correlation is None else correlation.encode(),
        message_expiry_s=given["expiry"],
        user_properties=tuple(given["user_property"]),
    )
    return None if properties == PublishProperties() else properties


async def _payloads(source: str, given: dict[str, Any]) -> AsyncGenerator[bytes]:  # noqa: ASYNC900 - no scope in it
    if source == "message":
        yield given["message"].encode()
    elif source == "null":
        yield b""
    elif source == "file":
        try:
            yield await anyio.Path(given["file"]).read_bytes()
        except OSError as exc:
            message = f"cannot read {given['file']}: {exc.strerror}"
            raise click.ClickException(message) from exc
    elif source == "whole":
        yield await _in_thread(sys.stdin.buffer.read)
    else:
        while line := await _in_thread(sys.stdin.buffer.readline):
            yield line.removesuffix(b"\n")


async def _in_thread(read: Any) -> bytes:  # noqa: ANN401 - a method of a file
    # A read from a terminal cannot be interrupted, only left alone.
    data: bytes = await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
    return data
