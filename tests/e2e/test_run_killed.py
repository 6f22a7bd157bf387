"""`structiot run` killed at random moments: after each start all is as it was, and true.

While the gateway is dead each state is made another than the broker shows: nothing that
it shows then is true by chance.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import anyio
import anyio.to_thread
import pytest

from structiot._kit.flow.tasks import service_group
from structiot._kit.http.client import open_http
from tests.e2e.killed_house import LAMP, House, Row, house
from tests.e2e.processes import Running, running, structiot
from tests.gateway.broker_watch import BrokerWatch, watching

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

# Of a start on a busy machine, with all devices reached and asked.
TRUE_WITHIN_S = 40.0


async def reached(home: House, program: Running) -> None:
    said = "the embedded broker listens" if home.store else "connected to the broker"
    await program.until(
        lambda: [line for line in program.errors if said in line],
        within_s=2 * TRUE_WITHIN_S,
    )


async def until_true(home: House, watch: BrokerWatch) -> None:
    with suppress(TimeoutError):
        await watch.until(lambda: not home.untrue(watch.latest), within_s=TRUE_WITHIN_S)
    assert home.untrue(watch.latest) == {}


async def check_page(home: House) -> None:
    """See that the page has every device, as soon as the last has dialled in again."""
    wanted = {f'data-key="{key}' for key in ("strip/port_1", "plug/switch", LAMP)}
    missing, until = wanted, anyio.current_time() + TRUE_WITHIN_S
    while missing and anyio.current_time() < until:
        async with open_http(f"http://127.0.0.1:{home.page}") as http:
            answer = await http.get("/")
        assert answer.status == 200
        missing = {one for one in wanted if one.encode() not in answer.body}
        await anyio.sleep(0.2)
    assert missing == set()


def announcements(watch: BrokerWatch) -> dict[str, str]:
    """Give whom each announcement is about: two of one device would be two devices."""
    found = {
        topic: json.dumps(json.loads(text)["device"]["identifiers"])
        for topic, text in watch.latest.items()
        if topic.startswith("homeassistant/")
    }
    assert len(set(found.values())) == len(found)
    return found


@asynccontextmanager
async def looking(home: House) -> AsyncIterator[BrokerWatch]:
    async with watching(home.uri, "structiot/#", "homeassistant/#") as watch:
        yield watch


async def shown_by(home: House) -> dict[str, str]:
    """Give what the broker shows while the gateway is dead."""
    if home.store is not None:
        return await home.stored()
    async with looking(home) as watch:
        with anyio.fail_after(10):
            # By the will that the gateway has left; at first there was none.
            while watch.latest.get("structiot/gateway/availability") == "online":  # noqa: ASYNC110
                await anyio.sleep(0.05)
        await watch.client.ping()
        return dict(watch.latest)


async def kills(
    folder: Path, backend: str, times: int, random: Random, uri: str | None
) -> None:
    arguments = ("run", "--backend", backend)
    async with house(folder, uri) as home:
        known: set[Row] = set()
        topics: set[str] = set()
        for number in itertools.count():
            is_early = number % 4 == 3
            started = structiot(*arguments, "--config", str(home.file))
            async with running(*started) as program, service_group() as tg:
                if is_early:
                    # While it starts, or while it reaches its devices.
                    tg.start_soon(home.be_pressed, random)
                    await anyio.sleep(random.uniform(0, 2))
                else:
                    await reached(home, program)
                    async with looking(home) as watch:
                        await until_true(home, watch)
                        announced = set(announcements(watch))
                        assert announced == (topics or announced)
                        topics = announced
                    if number >= times:
                        await check_page(home)
                        return
                    tg.start_soon(home.be_pressed, random)
                    await anyio.sleep(random.uniform(0, 2.5))
                before = await anyio.to_thread.run_sync(home.committed)
                program.process.kill()
                await program.ended()
            assert known <= before, "what was committed is gone"
            assert await anyio.to_thread.run_sync(home.integrity) == "ok"
            known = await anyio.to_thread.run_sync(home.committed)
            assert before <= known
            if home.strip.is_plugged_in and number % 3 == 1:
                await home.strip.unplug()
            elif not home.strip.is_plugged_in:
                await home.strip.plug_in()
            shown = await shown_by(home)
            await home.differ(shown)
            states = {one for one in home.truth() if one.endswith("/state")}
            assert states <= home.untrue(shown).keys()


def uri_of(broker: str, request: pytest.FixtureRequest) -> str | None:
    if broker == "embedded":
        return None
    return str(request.getfixturevalue("start_mosquitto")().uri)


async def test_killed_at_random_moments(
    tmp_path: Path, backend: str, request: pytest.FixtureRequest
):
    broker = "embedded" if backend == "asyncio" else "mosquitto"
    await kills(tmp_path, backend, 3, Random(3), uri_of(broker, request))


@pytest.mark.thorough
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("broker", ["embedded", "mosquitto"])
async def test_killed_a_hundred_times(
    tmp_path: Path, backend: str, broker: str, request: pytest.FixtureRequest
):
    await kills(tmp_path, backend, 100, Random(), uri_of(broker, request))
