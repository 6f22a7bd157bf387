"""`structiot demo` as the README prints it: the house on the page, on MQTT, for Home Assistant."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot import open_mqttclient
from structiot._kit.http.client import open_http
from structiot.mqtt import MqttClient
from tests.e2e.processes import Running, running, structiot

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

# Ten on two idle cores; a busy machine takes several times as long.
FIRST_VALUES_S = 60.0
PAGE = re.compile(r"the page:  (http://127\.0\.0\.1:\d+/)")
BROKER = re.compile(r"broker at (127\.0\.0\.1:\d+)")
STATE = re.compile(r'data-state="([a-z]+)"')
LAMP = "manager_00000001_0000_0000_0000_000000000001"
FRIDGE = "structiot/kitchen_counter/port_1"


class Demo:
    """The demonstration, its page and its broker."""

    def __init__(self, program: Running, page: str, broker: str) -> None:
        self.program = program
        self.page = page
        self.uri = f"mqtt://{broker}/"

    async def html(self, path: str = "") -> str:
        async with open_http(self.page) as http:
            answer = await http.get(f"/{path}")
            assert answer.status == 200
            return answer.body.decode()

    async def states(self) -> Counter[str]:
        """Count the values on the page by how they are."""
        return Counter(STATE.findall(await self.html()))

    async def until(self, is_true: Any, *, within_s: float = FIRST_VALUES_S) -> None:
        with anyio.fail_after(within_s):
            # A page is looked at again; nobody tells it.
            while not await is_true():  # noqa: ASYNC110
                await anyio.sleep(0.2)


@asynccontextmanager
async def demo(backend: str, *arguments: str) -> AsyncIterator[Demo]:
    command = structiot("demo", "--backend", backend, *arguments)
    async with running(*command) as program:
        lines = program.lines

        def found() -> tuple[str, str] | None:
            text = "\n".join(lines[:3])
            page, broker = PAGE.search(text), BROKER.search(text)
            return None if not (page and broker) else (page[1], broker[1])

        page, broker = await program.until(found, within_s=FIRST_VALUES_S)
        assert lines[0].startswith("the page:")
        yield Demo(program, page, broker)
        program.signal(signal.SIGINT)
        assert await program.ended() == 0
        assert [one for one in program.errors if "Traceback" in one] == []


async def announced(client: MqttClient) -> dict[str, Any]:
    """Give what is announced to Home Assistant, by identity."""
    found: dict[str, Any] = {}
    async with client.subscription("homeassistant/device/+/config") as messages:
        with anyio.move_on_after(2):
            async for message in messages:
                found[message.topic.split("/")[2]] = json.loads(message.payload)
    return found


async def test_the_house_is_on_the_page_and_on_mqtt(
    backend: str, record_property: Callable[[str, object], None]
):
    began = time.monotonic()
    async with demo(backend) as one:

        async def has_values() -> bool:
            return (await one.states())["live"] > 0

        await one.until(has_values)
        first_s = time.monotonic() - began
        assert first_s < FIRST_VALUES_S
        record_property("first_values_s", round(first_s, 1))

        async def is_whole() -> bool:
            html = await one.html()
            return html.count("data-device=") == 50 and "Bedroom radiator" in html

        await one.until(is_whole)
        html = await one.html()
        rooms = re.findall(r"<h2[^>]*>([^<]+)", html)
        assert {"Kitchen", "Bath", "Workshop", "Garden", "Cellar"} <= set(rooms)
        async with open_mqttclient(one.uri) as client:
            await is_switched_by_http(one, client)
            await is_switched_by_mqtt(client)
            found = await announced(client)
        assert len(found) >= 50
        kinds = {
            entity["platform"]
            for device in found.values()
            for entity in device["components"].values()
        }
        assert kinds >= {
            "binary_sensor", "button", "climate", "cover", "event", "fan", "light",
            "lock", "number", "select", "sensor", "siren", "switch", "text", "update",
        }  # fmt: skip


async def is_switched_by_http(one: Demo, client: MqttClient) -> None:
    """Switch a lamp as the page does; the broker has it."""
    html = await one.html()
    token = re.search(r'name="csrf-token" content="([^"]+)"', html)
    assert token is not None
    topic = f"structiot/{LAMP}/light/state"
    async with client.subscription(topic) as states, open_http(one.page) as http:
        with anyio.fail_after(20):
            before = (await anext(states)).payload
            answer = await http.request(
                "POST",
                f"/api/set/{LAMP}/light",
                json={"value": before != b"ON"},
                headers={
                    "X-CSRF-Token": token[1],
                    "Origin": one.page.rstrip("/"),
                },
            )
            assert answer.status == 200, answer.body
            async for message in states:
                if message.payload != before:
                    return


async def is_switched_by_mqtt(client: MqttClient) -> None:
    async with client.subscription(f"{FRIDGE}/state") as states:
        with anyio.fail_after(20):
            assert (await anext(states)).payload == b"ON"
            await client.publish(f"{FRIDGE}/set", "OFF", qos=1)
            assert (await anext(states)).payload == b"OFF"


async def test_a_house_of_another_size_leaves_nothing_behind(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    async with demo(backend, "--devices", "12", "--day-s", "60") as one:

        async def is_whole() -> bool:
            return (await one.html()).count("data-device=") >= 12

        await one.until(is_whole)
        assert "structiot-demo-" in {one[:15] for one in names_in(tmp_path)}
    assert names_in(tmp_path) == []


def names_in(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]
