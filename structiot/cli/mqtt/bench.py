"""`structiot mqtt bench`: what a broker and the way to it can do, with our client."""

from __future__ import annotations

import struct
from dataclasses import replace
from time import perf_counter

import anyio
import asyncclick as click

from structiot._kit.flow.tasks import service_group
from structiot.cli._common.options import json_option
from structiot.cli._common.output import show_json
from structiot.cli._common.tables import show_pairs
from structiot.cli.mqtt.options import broker_options, quality
from structiot.cli.mqtt.properties import PropertyCommand
from structiot.cli.mqtt.target import Target
from structiot.mqtt import Messages, MqttClient

__all__ = ["bench"]

SILENCE_S = 5.0
_stamp = struct.Struct(">d")


class _Tally:
    """What arrived, and how late."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.delivered = 0
        self.ages_s: list[float] = []
        self.last_at = perf_counter()
        self.is_complete = anyio.Event()

    def take(self, payload: bytes) -> None:
        now = perf_counter()
        self.delivered += 1
        self.last_at = now
        self.ages_s.append(now - _stamp.unpack_from(payload)[0])
        if self.delivered >= self.expected:
            self.is_complete.set()

    def age_ms(self, share: float) -> float:
        if not self.ages_s:
            return 0.0
        ordered = sorted(self.ages_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


@click.command(cls=PropertyCommand, short_help="Measure throughput and latency.")
@click.option("-t", "--topic", default="structiot/bench")
@click.option("--publishers", type=click.IntRange(1, 1000), default=1)
@click.option("--subscribers", type=click.IntRange(0, 1000), default=1)
@click.option(
    "-C",
    "--count",
    type=click.IntRange(min=1),
    default=10_000,
    help="Messages of each publisher.",
)
@click.option(
    "--size",
    type=click.IntRange(min=_stamp.size),
    default=64,
    help="Bytes of a payload.",
)
@click.option("-q", "--qos", type=quality, default=0)
@json_option
@broker_options(takes_topic=False)
async def bench(
    target: Target,
    *,
    topic: str,
    publishers: int,
    subscribers: int,
    count: int,
    size: int,
    qos: int,
    wants_json: bool,
) -> None:
    """Publish and subscribe as fast as it goes, and say how fast that was.

    All clients run in this one process: a fast broker waits for them.
    """
    tally = _Tally(publishers * count * subscribers)
    async with service_group() as readers:
        for _ in range(subscribers):
            await readers.start(_subscribe, target, topic, qos, tally)
        begun = perf_counter()
        async with service_group(is_awaited=True) as writers:
            for _ in range(publishers):
                writers.start_soon(_publish, target, topic, qos, count, size)
        published_s = perf_counter() - begun
        if subscribers:
            await _wait_for_rest(tally)
    delivered_s = max(tally.last_at - begun, 1e-9)
    figures = {
        "broker": target.place,
        "qos": qos,
        "published": publishers * count,
        "published_per_s": round(publishers * count / published_s),
        "delivered": tally.delivered,
        "lost": tally.expected - tally.delivered,
        "delivered_per_s": round(tally.delivered / delivered_s),
        "age_ms_median": round(tally.age_ms(0.5), 2),
        "age_ms_99": round(tally.age_ms(0.99), 2),
    }
    if wants_json:
        show_json(figures)
    else:
        show_pairs({name.replace("_", " "): figures[name] for name in figures})


async def _wait_for_rest(tally: _Tally) -> None:
    """Wait while something still arrives."""
    while not tally.is_complete.is_set():
        before = tally.delivered
        with anyio.move_on_after(SILENCE_S):
            await tally.is_complete.wait()
        if tally.delivered == before:
            return


async def _subscribe(
    target: Target,
    topic: str,
    qos: int,
    tally: _Tally,
    *,
    task_status: anyio.abc.TaskStatus[None],
) -> None:
    # Several clients of one id would throw each other out.
    async with (
        _named(target).open() as client,
        client.subscription(topic, qos=qos, max_items=1_000_000) as messages,
    ):
        task_status.started()
        await _take_all(messages, tally)


async def _take_all(messages: Messages, tally: _Tally) -> None:
    async for message in messages:
        tally.take(message.payload)


async def _publish(target: Target, topic: str, qos: int, count: int, size: int) -> None:
    async with _named(target).open() as client:
        await _publish_all(client, topic, qos, count, size)


async def _publish_all(
    client: MqttClient, topic: str, qos: int, count: int, size: int
) -> None:
    rest = bytes(size - _stamp.size)
    receipts = []
    for _ in range(count):
        payload = _stamp.pack(perf_counter()) + rest
        if qos:
            receipts.append(await client.publish_soon(topic, payload, qos=qos))
        else:
            await client.publish(topic, payload)
    for receipt in receipts:
        await receipt.wait()


def _named(target: Target) -> Target:
    """The same broker for another client."""
    return replace(target, client_id=None)
