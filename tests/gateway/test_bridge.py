"""Devices of a gateway at a platform: which, as what, and who they are there."""

from __future__ import annotations

import anyio
import pytest

from structiot.gateway import InvalidConfig, load_config, open_gateway
from structiot.gateway.drivers.connector.values import platform_id
from structiot.model import DeviceInfo, EntitiesChanged
from structiot.sim import sim_sepl_platform
from tests.gateway.bridge_house import (
    AT,
    TYPE,
    away,
    bridged,
    bringing,
    offered,
    section_of,
    serving,
    there,
    toy,
    until,
)
from tests.gateway.memory_house import URI, House
from tests.gateway.scripted_driver import scripted, source_of

pytestmark = pytest.mark.virtual_time


async def test_a_device_is_offered_by_its_identity():
    async with bridged(toy()) as house:
        device = house.platform.device("toy:P1")
        assert (device.type, device.name) == (TYPE, "Plug P1")
        assert house.online == ["toy:P1"]
        # What was there at the beginning is offered at once.
        assert house.handlers().count("commit") == 1
        assert house.status == ("running", "")


async def test_an_identity_has_nothing_that_topics_cannot_have():
    async with bridged(toy("a/b#+%c")) as house:
        assert house.online == ["toy:a%2Fb%23%2B%25c"]


async def test_a_device_whose_identity_has_half_a_character_costs_itself():
    """The gateway does not have it; nor would it be what ends the bridge."""
    half = toy("P\ud800")
    async with bridged(half, toy()) as house:
        assert house.online == ["toy:P1"]
        assert house.status == ("running", "")
    assert platform_id(half.info) == "toy:P%ED%A0%80"


async def test_the_first_link_that_fits_says_what_a_device_is():
    links = offered(
        {"type": "iot#one", "from": "toy_p1", "tags": {"room": "hall"}},
        {"type": "iot#two", "from": "Plug P[23]", "model": "T?"},
        {"type": "iot#three", "system": "toy", "from": "* P3"},
        {"type": "iot#four", "from": "*", "system": "other"},
        {"type": "iot#four", "from": "*", "model": "T2"},
    )
    async with bridged(*map(toy, ("P1", "P2", "P3", "P4")), links=links) as house:
        kinds = {one.uri: one.type for one in house.platform.devices}
        assert kinds == {"toy:P1": "iot#one", "toy:P2": "iot#two", "toy:P3": "iot#two"}
        assert house.platform.device("toy:P1").tags == ["room:hall"]


async def test_links_to_one_type_add_up_and_others_do_not():
    links = offered(
        {"from": "toy_p1/relay"},
        {"from": ["toy_p1/po*", "nobody/x"]},
        {"from": "toy_p1/lamp", "type": "iot#other"},
    )
    async with bridged(toy(), links=links) as house:
        _, why = await house.command("lamp")
        assert why == "error: Plug P1 has no service 'lamp'; services: power, relay"


async def test_who_has_not_said_who_it_is_is_not_offered():
    device = toy("10.0.0.7", is_provisional=True)
    async with bridged(device) as house:
        assert house.platform.devices == ()


async def test_a_device_that_comes_later_is_added():
    device = toy()
    device.tell(away())
    device.first[0] = away()
    async with bridged(device) as house:
        assert house.platform.devices == ()
        device.tell(there())
        await anyio.sleep(2)
        assert house.online == ["toy:P1"]
        assert house.events("relay") == ["false"]


async def test_another_name_is_no_other_device():
    device = toy()
    async with bridged(device) as house:
        device.info = DeviceInfo(id="P1", system="toy", name="Kettle")
        device.tell(EntitiesChanged(at_utc=AT))
        await anyio.sleep(2)
        assert [(one.uri, one.name) for one in house.platform.devices] == [
            ("toy:P1", "Kettle")
        ]
        assert house.handlers().count("clear") == 1


async def test_a_device_that_is_renamed_in_the_configuration_is_no_other_one():
    device, drivers = toy(), []

    async def run(driver):
        drivers.append(driver)
        driver.registry.add(source_of(device, name="Desk", settings=1))
        driver.registry.started()
        await anyio.sleep_forever()

    house = House()
    async with (
        house.broker(),
        sim_sepl_platform(environment=house.environment) as platform,
        serving(house, platform, scripted(run)) as found,
    ):
        drivers[0].registry.add(source_of(device, name="Hall", settings=1))
        for _ in range(60):
            await anyio.sleep(2)
            assert await found.command("relay") == ("false", "")
        device.tell_state("relay", True)
        await anyio.sleep(2)
        assert found.events("relay")[-1] == "true"
        assert [(one.uri, one.name) for one in platform.devices] == [("toy:P1", "Hall")]
        assert found.handlers().count("clear") == 1


async def test_a_device_that_is_away_goes_offline_after_a_minute_and_comes_back():
    device = toy()
    async with bridged(device) as house:
        device.tell(away())
        await anyio.sleep(30)
        assert house.online == ["toy:P1"]
        await anyio.sleep(90)
        assert house.online == []
        assert [one.uri for one in house.platform.devices] == ["toy:P1"]
        device.tell(there())
        await anyio.sleep(2)
        assert house.online == ["toy:P1"]
        assert len(house.platform.devices) == 1


async def test_a_restart_with_other_names_sends_nothing_and_makes_no_second_device(
    tmp_path,
):
    house, state_file = House(), tmp_path / "state.json"
    async with (
        house.broker(),
        sim_sepl_platform(environment=house.environment) as platform,
    ):
        first = bringing(toy(), name="Desk")
        async with serving(house, platform, first, state_file=state_file):
            assert [one.name for one in platform.devices] == ["Desk"]
        platform.messages.clear()
        again = bringing(toy(), name="Desk")
        async with serving(house, platform, again, state_file=state_file) as found:
            assert {"clear", "put", "commit"} & {*found.handlers()} == set()
            assert found.online == ["toy:P1"]
        renamed = bringing(toy(), name="Hall")
        async with serving(house, platform, renamed, state_file=state_file):
            assert [one.name for one in platform.devices] == ["Hall"]
        assert len(platform.gateways) == 1


async def test_who_was_there_before_a_restart_and_does_not_come_goes_offline(tmp_path):
    house, state_file = House(), tmp_path / "state.json"
    async with (
        house.broker(),
        sim_sepl_platform(environment=house.environment) as platform,
    ):
        both = bringing(toy("P1"), toy("P2"))
        async with serving(house, platform, both, state_file=state_file) as found:
            assert found.online == ["toy:P1", "toy:P2"]
        one = bringing(toy("P1"))
        async with serving(house, platform, one, state_file=state_file) as found:
            assert found.online == ["toy:P1", "toy:P2"]
            await anyio.sleep(120)
            assert found.online == ["toy:P1"]


async def test_a_state_file_of_anybody_costs_nothing(tmp_path):
    state_file = tmp_path / "state.json"
    state_file.write_text(
        '{"version": 1, "sections": {"connector": {"gids": 5, "devices":'
        ' {"a": 1, "b": ["", "", {}], "c": ["t", "n", {"x": ":"}], "d": ["t", "n"]}}}}'
    )
    async with bridged(toy(), state_file=state_file) as house:
        assert house.online == ["toy:P1"]


# ---------------------------------------------------------------- settings


async def test_other_links_are_taken_up_without_a_restart():
    async with bridged(toy("P1"), toy("P2")) as house:
        gateway, mqtt = house.gateway, {"uri": URI}
        both = {"mqtt": mqtt, "toy": {}, "connector": section_of(house.platform)}
        opened = {name: one.availability for name, one in gateway.devices.items()}
        links = offered({"from": "toy_p2"})
        await gateway.reload(load_config({**both, "links": links}))
        await anyio.sleep(8)
        assert house.online == ["toy:P2"]
        # Neither the devices nor the connection were touched.
        assert {k: one.availability for k, one in gateway.devices.items()} == opened
        assert house.handlers().count("handshake") == 1
        await gateway.reload(load_config({**both, "links": offered()}))
        await anyio.sleep(8)
        assert house.online == ["toy:P1", "toy:P2"]
        await gateway.reload(load_config({"mqtt": mqtt, "toy": {}}))
        await anyio.sleep(3)
        assert (house.online, house.platform.connections) == ([], 0)
        assert "connector" not in gateway.drivers


async def test_another_section_is_taken_up_without_a_restart():
    async with bridged(toy()) as house:
        gateway = house.gateway
        opened = {name: one.availability for name, one in gateway.devices.items()}
        section = section_of(house.platform, every_s=2.0)
        config = {"mqtt": {"uri": URI}, "toy": {}, "connector": section}
        await gateway.reload(load_config({**config, "links": offered()}))
        await anyio.sleep(8)
        assert house.online == ["toy:P1"]
        assert {k: one.availability for k, one in gateway.devices.items()} == opened


async def test_a_file_has_the_platform_and_keeps_the_gateway(tmp_path):
    conf, house = tmp_path / "connector.conf", House()
    async with (
        house.broker(),
        sim_sepl_platform(environment=house.environment) as platform,
    ):
        lines = [f"{key} = {value}" for key, value in platform.config.items()]
        conf.write_text("\n".join(["[CONNECTOR]", *lines, ""]))
        config = load_config(
            {
                "mqtt": {"uri": URI},
                "connector": {"conf": str(conf)},
                "links": offered(),
            }
        )
        async with open_gateway(config, environment=house.environment):
            await until(lambda: platform.gateways)
            await anyio.sleep(1)
        (gid,) = platform.gateways
        assert f"gid = {gid}" in conf.read_text()


def test_an_authority_stands_beside_the_configuration(tmp_path):
    (tmp_path / "ca.pem").write_text("of whom to trust")
    path = tmp_path / "structiot.toml"
    path.write_text(
        '[connector]\nhost = "sepl.example"\nport = 8093\nuser = "me"\n'
        'password = "word"\nencryption = true\ncafile = "ca.pem"\n'
    )
    config = load_config(path).connector.config("")
    assert (config.cafile, config.has_tls) == (tmp_path / "ca.pem", True)


async def test_a_file_that_is_missing_is_made_and_parks_it(tmp_path):
    conf, house = tmp_path / "connector.conf", House()
    section = {"conf": str(conf)}
    opened = house.gateway(connector=section, links=offered())
    async with house.broker(), opened as gateway:
        await anyio.sleep(5)
        told = gateway.drivers["connector"]
        assert told.state == "parked"
        assert "was not there and has been made: fill in host" in told.reason
        assert "[CONNECTOR]" in conf.read_text()


def said(section: dict[str, object]) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        load_config({"connector": section})
    return [problem.message for problem in caught.value.problems]


PLATFORM = {"host": "sepl.example", "port": 8093, "user": "me", "password": "word"}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "[connector] host, port, user, password: to be filled in"),
        ({**PLATFORM, "conf": "x"}, "host belongs into the file that conf names"),
        ({**PLATFORM, "platform": "senergy"}, "api_url, token_url, client_id: to be"),
        ({**PLATFORM, "api_url": "x"}, "api_url begins with https:// or http://"),
        ({**PLATFORM, "port": "8093"}, "port must be a whole number, not a str"),
        ({**PLATFORM, "username": "me"}, "unknown key 'username'"),
        (
            {**PLATFORM, "ca_file": "x"},
            "'ca_file' in [connector]; did you mean 'cafile'",
        ),
        (
            {**PLATFORM, "cafile": "/no/ca.pem", "encryption": True},
            "cannot be read: no",
        ),
        ({**PLATFORM, "cafile": "x"}, "cafile goes with encryption = yes"),
    ],
)
def test_what_cannot_work_is_said(section, message):
    assert any(message in one for one in said(section))
    assert not any("word" in one and "password" not in one for one in said(section))


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ({"type": None}, "type is missing: the device type, as the platform names"),
        ({"tags": {"a:b": "c"}}, "tags: tag_id has :"),
        ({"tags": {"a": "b;c"}}, "tags: tag has : or"),
        ({"type": ""}, "type must be"),
    ],
)
def test_what_cannot_be_offered_is_said(link, message):
    (given,) = offered(link)
    given = {key: value for key, value in given.items() if value is not None}
    with pytest.raises(InvalidConfig) as caught:
        load_config({"connector": PLATFORM, "links": [given]})
    assert message in str(caught.value)
    with pytest.raises(InvalidConfig, match="there is no platform"):
        load_config({"links": offered()})
