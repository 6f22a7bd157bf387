"""Readings to an InfluxDB: what waits, what is refused, and every character of it."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from structiot._kit.http.messages import HttpReply
from structiot.gateway.history.answers import RecordedSeries
from structiot.gateway.history.backlog import Part, Stretch
from structiot.gateway.history.lines import lines_of
from tests.gateway.history_house import House, of
from tests.gateway.influx_server import InfluxServer, parse
from tests.gateway.scripted_driver import of_gateway

pytestmark = pytest.mark.virtual_time
V2 = {"url": "http://127.0.0.1:8086", "org": "o", "bucket": "b b", "token": "secret!"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "history.sqlite")


@pytest.fixture
def server() -> InfluxServer:
    return InfluxServer()


def powers(server: InfluxServer) -> list[float | str]:
    return [
        one.fields["value"] for one in server.points if one.tags["entity"] == "power"
    ]


async def test_each_reading_arrives_with_who_told_it(
    house: House, server: InfluxServer
):
    async with server.on(house.network), house.gateway(influxdb=V2) as gateway:
        await house.tell(30, power=5.0, relay=True, mode='a "b" \\')
        await house.tell(30, power=6.5)
        (link,) = of(gateway).links()
        assert (link.is_up, link.name) == (True, "InfluxDB at 127.0.0.1")
    first = server.requests[0]
    assert first.path == "/api/v2/write"
    assert first.query == {"org": "o", "bucket": "b b", "precision": "ms"}
    assert first.headers["authorization"] == "Token secret!"
    assert powers(server) == [5.0, 6.5]
    (mode,) = (one for one in server.points if "text" in one.fields)
    assert mode.fields == {"text": 'a "b" \\'}
    assert mode.measurement == "structiot"
    assert mode.tags == {
        "device": "P1",
        "entity": "mode",
        "name": "plug",
        "slug": "plug",
        "system": "toy",
    }


async def test_a_database_of_version_1(house: House, server: InfluxServer):
    section = {"url": "http://127.0.0.1:8086/influx", "database": "home"}
    async with server.on(house.network), house.gateway(influxdb=section):
        await house.tell(30, power=5.0)
    assert server.requests[0].path == "/influx/write"
    assert server.requests[0].query == {"db": "home", "precision": "ms"}


async def test_what_is_told_while_it_is_away_arrives_later_also_after_a_restart(
    house: House, server: InfluxServer, caplog: pytest.LogCaptureFixture
):
    async with house.gateway(influxdb=V2) as gateway:
        await house.tell(30, power=1.0)
        await house.tell(30, power=2.0)
        (link,) = of(gateway).links()
        assert not link.is_up
    said = [one for one in of_gateway(caplog) if "InfluxDB" in one]
    assert len(said) == 1, said
    async with server.on(house.network), house.gateway(influxdb=V2):
        await house.tell(400, power=3.0)
    assert powers(server)[:3] == [1.0, 2.0, 3.0]
    times = [one.at_ms for one in server.points if one.tags["entity"] == "power"]
    assert times == sorted(times)


async def test_of_a_batch_that_is_refused_the_lines_that_it_is_about_are_left_out(
    house: House, server: InfluxServer, caplog: pytest.LogCaptureFixture
):
    server.refuses = b"entity=mode"
    async with server.on(house.network), house.gateway(influxdb=V2):
        for number in range(4):
            await house.tell(1, power=float(number), mode=f"m{number}")
        await anyio.sleep(30)
    assert powers(server) == [0.0, 1.0, 2.0, 3.0]
    said = [one for one in of_gateway(caplog) if "refuses a reading" in one]
    assert len(said) == 1
    assert "field type conflict" in said[0]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_only_a_person_can_mend_is_not_tried_again(
    house: House, server: InfluxServer, status: int, caplog: pytest.LogCaptureFixture
):
    server.replies = [HttpReply(status=status)] * 100
    async with server.on(house.network), house.gateway(influxdb=V2) as gateway:
        await house.tell(60, power=1.0)
        await anyio.sleep(900)
        assert len(server.requests) == 1
        server.replies.clear()
        await gateway.reload(
            {"toy": {}, "history": house.section(influxdb=V2)},
        )
        await anyio.sleep(60)
    assert powers(server)[0] == 1.0
    assert "secret!" not in caplog.text


async def test_a_busy_server_is_left_alone_for_as_long_as_it_says(
    house: House, server: InfluxServer
):
    server.replies = [HttpReply(status=429, headers={"Retry-After": "500"})]
    async with server.on(house.network), house.gateway(influxdb=V2):
        await house.tell(400, power=1.0)
        assert len(server.requests) == 1
        await house.tell(200, power=1.0)
    assert powers(server)[0] == 1.0


async def test_what_waits_is_bounded_and_the_oldest_goes(
    house: House, server: InfluxServer
):
    # 10 kB; a line has about a hundred.
    async with house.gateway(influxdb=V2 | {"most_mb": 0.01}, commit_s=1):
        for number in range(120):
            await house.tell(1.5, power=float(number))
    async with server.on(house.network), house.gateway(influxdb=V2):
        await anyio.sleep(60)
    found = powers(server)
    assert 40 < len(found) < 119
    assert 119.0 in found
    assert 0.0 not in found


async def test_a_reload_takes_up_another_server(house: House, server: InfluxServer):
    async with server.on(house.network), house.gateway() as gateway:
        await house.tell(30, power=1.0)
        section = house.section(influxdb=V2)
        assert await gateway.reload({"toy": {}, "history": section}) == ()
        await house.tell(30, power=2.0)
    assert powers(server) == [2.0]


NAMES = st.text(max_size=20)


@example(measurement="m\\, ", name="n\\\\= ", unit="u\\,0", value="\\")
@example(measurement="m\\\xa0\\", name="n \\", unit="u\\\\", value=1.0)
@given(
    NAMES,
    NAMES,
    NAMES,
    st.one_of(NAMES, st.floats(allow_nan=False, allow_infinity=False)),
)
def test_any_name_is_a_line(measurement: str, name: str, unit: str, value: float | str):
    series = RecordedSeries(
        system="toy", device="P1", entity="power", kind="text", unit=unit, name=name
    )
    stretch = Stretch(0, 0, 1)
    part = Part(stretch, 0, 1, rows=[(series, 1, value), (series, 2, None)])
    (line,) = lines_of([part], measurement).decode().split("\n")[:-1]
    point = parse(line)
    assert point.at_ms == 1
    (shown,) = point.fields.values()
    if isinstance(value, float):
        assert shown == value
