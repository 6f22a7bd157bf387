"""Opening a strip, asking it and switching it, on every firmware family."""

from __future__ import annotations

from datetime import datetime

import anyio
import pytest

from structiot import Environment
from structiot.errors import (
    ConnectFailed,
    ProtocolViolation,
    UnsupportedDevice,
    UsageError,
)
from structiot.maxsmart import (
    MaxSmartRefused,
    StripInfo,
    maxsmart_device,
)
from structiot.maxsmart.wire.messages import HttpNumber, SetPort
from structiot.model import Device, DeviceInfo, Sensor, Switch
from structiot.sim import FAMILIES, sim_maxsmart
from structiot.testing import MemoryNetwork
from tests.link.maxsmart.strips import HOST, SERIAL, V3_FAMILIES, WallClock, bench

pytestmark = pytest.mark.virtual_time


# ---------------------------------------------------------------- opening


@pytest.mark.parametrize("family", FAMILIES)
async def test_every_family_is_opened_and_tells_its_power_in_watts(family):
    async with bench(family) as b:
        count = FAMILIES[family].ports
        assert b.strip.info.port_count == count
        assert b.strip.info.firmware == FAMILIES[family].firmware
        assert b.strip.info.serial == b.sim.serial == b.strip.info.id
        data = await b.strip.get_data()
        assert data.is_on == (True,) * count
        for port in range(1, count + 1):
            expected = pytest.approx(b.sim.power_w(port), abs=0.5)
            assert data.power_w[port - 1] == expected


async def test_a_strip_is_a_device_of_the_common_model():
    async with bench(sim={"name": "Desk"}) as b:
        assert isinstance(b.strip, Device)
        info = b.strip.info
        assert isinstance(info, DeviceInfo)
        assert isinstance(info, StripInfo)
        assert (info.system, info.name, info.host) == ("maxsmart", "Desk", HOST)
        assert info.mac is not None
        assert len(info.mac) == 12
        assert "Desk" in repr(b.strip)
        entities = {entity.key: entity for entity in b.strip.entities}
        assert entities["port_1"] == Switch(
            key="port_1", name=info.port_names[0], device_class="outlet"
        )
        power, current = entities["port_6_power"], entities["port_6_current"]
        assert isinstance(power, Sensor)
        assert isinstance(current, Sensor)
        assert (power.unit, current.unit) == ("W", "A")
        assert len(entities) == 6 * 4 + 2
        assert entities.keys() >= {"total_power", "total_energy"}


async def test_a_plug_has_one_port_and_no_total():
    async with bench("mh_plug_130") as b:
        assert [entity.key for entity in b.strip.entities] == [
            "port_1",
            "port_1_power",
            "port_1_energy",
            "port_1_current",
        ]
        assert b.strip.info.port_names == ("Port 1",)


async def test_a_given_name_goes_before_the_one_of_the_device():
    async with bench(sim={"name": "Desk"}, name="Office") as b:
        assert b.strip.info.name == "Office"


async def test_every_request_names_the_serial():
    async with bench() as b:
        await b.strip.turn_off(2)
        await b.strip.get_device_time()
        requests = b.asked(HttpNumber.DATA, HttpNumber.SET_PORT, HttpNumber.CLOCK)
        assert len(requests) == 4
        assert {request.serial for request in requests} == {SERIAL}
        assert requests[1].command == SetPort(port=2, is_on=False)


async def test_opening_sets_the_clock_to_local_time_with_its_zone():
    clock = WallClock()
    async with bench(clock=clock) as b:
        assert b.sim.local_time() == clock().replace(tzinfo=None)
        first = next(r for r in b.sim.requests if r.channel == "discovery")
        assert first.data == b"00dv=all,2024-05-01,13:45:10,14;"


@pytest.mark.parametrize("family", V3_FAMILIES)
async def test_devices_without_http_are_spoken_to_by_v3(family):
    async with bench(family) as b:
        await b.strip.turn_off(1)
        assert await b.strip.check_state(1) is False
        assert {r.channel for r in b.sim.requests} == {"discovery", "v3"}


async def test_v3_without_power_does_not_make_up_for_dead_http():
    network = MemoryNetwork()
    async with sim_maxsmart(
        HOST, family="mh_strip_211", environment=Environment(network=network)
    ) as sim:
        sim.faults.hang_up_next(9, on="http")
        with pytest.raises(ConnectFailed):
            async with maxsmart_device(HOST, environment=Environment(network=network)):
                pass


async def test_nobody_there_is_an_error_that_names_host_and_ports():
    with pytest.raises(ConnectFailed, match=r"127\.0\.0\.2 \(TCP 80, UDP 8888\)") as e:
        async with maxsmart_device(
            HOST, environment=Environment(network=MemoryNetwork())
        ):
            pass
    assert (e.value.host, e.value.port) == (HOST, 80)


async def test_a_device_that_accepts_and_says_nothing_is_given_up_in_time():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.is_silent = True
        started_at = anyio.current_time()
        with pytest.raises(ConnectFailed):
            async with maxsmart_device(
                HOST, connect_s=4.0, environment=Environment(network=network)
            ):
                pass
        assert anyio.current_time() - started_at == pytest.approx(4.0)


async def test_something_else_at_the_address_is_a_violation():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.lie_next("html", on="http")
        with pytest.raises(ProtocolViolation):
            async with maxsmart_device(HOST, environment=Environment(network=network)):
                pass


async def test_a_device_that_refuses_its_data_says_so_at_once():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.lie_next("code_400", on="http")
        with pytest.raises(MaxSmartRefused):
            async with maxsmart_device(HOST, environment=Environment(network=network)):
                pass


async def test_a_strip_is_opened_where_discovery_is_blocked():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.drop_next(99, on="discovery")
        async with maxsmart_device(
            HOST, environment=Environment(network=network)
        ) as strip:
            assert strip.info.serial is None
            assert strip.info.id == HOST
            await strip.turn_off(1)
            assert sim.ports[1] is False


@pytest.mark.parametrize(
    "options",
    [{"poll_s": 0}, {"reply_s": -1}, {"offline_after": 0}, {"watt_unit": "kW"}],
)
async def test_settings_that_cannot_work_are_refused(options):
    with pytest.raises(UsageError):
        async with maxsmart_device(
            HOST, environment=Environment(network=MemoryNetwork()), **options
        ):
            pass


async def test_the_unit_of_power_can_be_overridden():
    async with bench("mh_strip_211", sim={"loads": [0.005] * 6}, watt_unit="W") as b:
        assert (await b.strip.get_power_data(1)).power_w == 5.0


async def test_a_strip_that_is_busy_for_a_moment_is_opened_all_the_same():
    network = MemoryNetwork()
    async with sim_maxsmart(HOST, environment=Environment(network=network)) as sim:
        sim.faults.hang_up_next(on="http")
        async with maxsmart_device(
            HOST, environment=Environment(network=network)
        ) as strip:
            assert strip.info.serial == sim.serial


# ---------------------------------------------------------------- the rest


async def test_the_clock_is_told_without_a_zone():
    async with bench() as b:
        b.sim.set_local_time(datetime(2031, 2, 3, 4, 5, 6))  # noqa: DTZ001
        shown = await b.strip.get_device_time()
        assert shown == datetime(2031, 2, 3, 4, 5, 6)  # noqa: DTZ001


async def test_firmware_that_hangs_up_on_a_command_does_not_know_it():
    async with bench() as b:
        b.sim.faults.hang_up_next(2, on="502")
        with pytest.raises(UnsupportedDevice) as caught:
            await b.strip.get_device_time()
        assert caught.value.firmware == "1.30"


async def test_v3_devices_are_not_asked_what_they_cannot_tell():
    async with bench("revogi_511") as b:
        count = len(b.sim.requests)
        with pytest.raises(UnsupportedDevice):
            await b.strip.get_device_time()
        assert len(b.sim.requests) == count


async def test_entities_are_commanded_by_key():
    async with bench() as b:
        await b.strip.command("port_2", command=False)
        assert b.sim.ports[2] is False
        with pytest.raises(UsageError, match=r"port_2_power .* is only read"):
            await b.strip.command("port_2_power", command=True)
        with pytest.raises(UsageError, match=r"port_9 .* port_1, .* port_6"):
            await b.strip.command("port_9", command=True)
        with pytest.raises(UsageError, match="does not exist"):
            await b.strip.command("port_0", command=True)
        with pytest.raises(UsageError, match="true or false, not 'ON'"):
            await b.strip.command("port_1", "ON")


async def test_a_strip_that_was_closed_says_so():
    async with bench() as b:
        strip = b.strip
    with pytest.raises(UsageError, match="is closed"):
        await strip.turn_on(1)
    with pytest.raises(UsageError, match="is closed"):
        await strip.get_data()
    with pytest.raises(UsageError, match="is closed"):
        async with strip.events():
            pass


async def test_the_error_of_the_block_comes_out_as_it_is():
    with pytest.raises(LookupError, match="mine"):
        async with bench() as b, b.strip.readings():
            raise LookupError("mine")
