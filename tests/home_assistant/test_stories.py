"""What a person does to a house, and what Home Assistant makes of it.

In each story an entity is given a name of its owner's; after everything that happens the
entities have the ids that they had, none is unavailable, and the log holds no warning.
"""

from __future__ import annotations

import signal
import sys
from contextlib import AsyncExitStack

import anyio
import pytest

from structiot.gateway import load_config, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.sim import FAMILIES, MaxSmartSim, sim_maxsmart
from tests._support.entity_kinds import entity_kinds
from tests.e2e.processes import running
from tests.home_assistant.energy import energy_is_valid
from tests.home_assistant.kinds import KINDS, kinds_device, kinds_driver
from tests.home_assistant.story import HTTP_PORT, UDP_PORT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

AT = "127.0.0.21"
MOVED = "127.0.0.22"


# ------------------------------------------------------------------ everything is there


async def test_strips_of_all_families_are_there(story, tmp_path):
    async with AsyncExitStack() as stack:
        sims: list[MaxSmartSim] = [
            await stack.enter_async_context(
                sim_maxsmart(
                    f"127.0.0.{30 + number}",
                    family=family,
                    http_port=HTTP_PORT,
                    udp_port=UDP_PORT,
                    seed=int(story.serial[-4:]),
                )
            )
            for number, family in enumerate(FAMILIES)
        ]
        devices = [
            {"host": sim.host, "name": f"Family {sim.family.name}"} for sim in sims
        ]
        config = load_config(story.config(*devices))
        gateway = await stack.enter_async_context(open_gateway(config))
        for sim in sims:
            ports = sim.family.ports
            await story.api.until_available(f"structiot_maxsmart_{sim.serial}_", ports)
        assert len(gateway.devices) == len(FAMILIES)


async def test_every_kind_of_entity_is_there_under_each_name(home, tmp_path):
    assert {type(entity) for entity, _ in KINDS} == entity_kinds()
    device = kinds_device()
    async with home.assistant.connected() as api:
        seen = []
        for name in (None, "Kinds", "Sorts"):
            mqtt = {"uri": home.broker.uri, "base_topic": "kinds"}
            with with_driver("kinds", kinds_driver(device, name)):
                config = load_config({"mqtt": mqtt, "kinds": {}})
                state_file = tmp_path / "state.json"
                async with open_gateway(config, state_file=state_file):
                    await anyio.sleep(2)
                    ids = await api.until_available("structiot_kinds_K1_", len(KINDS))
                    seen.append(ids)
                    states = await api.states(ids.values())
                    unknown = {ids[key] for key in ids if states[ids[key]] == "unknown"}
                    # A button that nobody pressed, and an event that has not happened.
                    assert {one.partition(".")[0] for one in unknown} <= {
                        "button",
                        "event",
                    }
        assert seen == [seen[0]] * 3


# ------------------------------------------------------------------ names and addresses


async def test_a_found_strip_is_listed_afterwards(story):
    async with story.strip(AT):
        async with story.gateway(
            discover=True, slug=f"maxsmart_{story.serial.lower()}"
        ):
            pass
        listed = {"host": AT, "name": "Kitchen"}
        async with story.gateway(listed, discover=True, slug="kitchen"):
            pass


async def test_a_strip_is_renamed(story):
    async with story.strip(AT):
        for name in ("Plug", "Lamp", "Plug"):
            async with story.gateway({"host": AT, "name": name}, slug=name.lower()):
                pass


async def test_a_strip_has_another_address(story):
    listed = {"host": AT, "name": "Desk"}
    async with story.strip(AT), story.gateway(listed, discover=True, slug="desk"):
        pass
    async with story.strip(MOVED), story.gateway(listed, discover=True, slug="desk"):
        pass


async def test_a_strip_moves_while_it_is_served(story):
    listed = {"host": AT, "name": "Desk"}
    async with (
        story.strip(AT) as sim,
        story.gateway(listed, discover=True, slug="desk") as gateway,
    ):
        await sim.unplug()
        await story.api.until_away(story.ids.values())
        await sim.plug_in(MOVED)
        await story.until_settled(gateway, "desk")


async def test_the_gateway_has_another_id_and_other_topics(story):
    listed = {"host": AT, "name": "Desk"}
    async with story.strip(AT):
        async with story.gateway(listed, slug="desk"):
            pass
        async with story.gateway(listed, slug="desk", gateway={"id": "another"}):
            pass
        base = {"base_topic": f"{story.base}/below"}
        async with story.gateway(listed, slug="desk", mqtt=base):
            pass


async def test_both_take_another_discovery_prefix(story):
    listed = {"host": AT, "name": "Desk"}
    assistant = story.home.assistant
    async with story.strip(AT):
        async with story.gateway(listed, slug="desk"):
            pass
        try:
            await anyio.to_thread.run_sync(assistant.take_prefix, "elsewhere")
            prefix = {"discovery_prefix": "elsewhere"}
            async with story.gateway(listed, slug="desk", mqtt=prefix):
                pass
        finally:
            await anyio.to_thread.run_sync(assistant.take_prefix, "homeassistant")
        async with story.gateway(listed, slug="desk"):
            pass


async def test_strips_are_renamed_by_a_reload(story):
    names = ("Plug", "Lamp", "Plug")
    async with (
        story.strip(AT),
        story.gateway({"host": AT, "name": "Desk"}, slug="desk") as gateway,
    ):
        for name in names:
            config = load_config(story.config({"host": AT, "name": name}))
            await gateway.reload(config)
            await story.until_settled(gateway, name.lower())


async def test_entities_announce_themselves_where_no_message_is_so_long(story):
    listed = {"host": AT, "name": "Desk"}
    async with story.strip(AT):
        async with story.gateway(listed, slug="desk") as gateway:
            for longest_bytes in (3000, None, 3000):
                # As if the broker took no more at the next connection.
                gateway.announcer.take_limit(longest_bytes)
                await story.until_settled(gateway, "desk")
        async with story.gateway({"host": AT, "name": "Sofa"}, slug="sofa"):
            pass


async def test_a_strip_is_replaced_by_a_plug_under_its_id(story):
    listed = {"host": AT, "name": "Desk", "id": story.serial}
    async with story.strip(AT), story.gateway(listed, slug="desk"):
        pass
    ports = {f"{story.unique_ids}port_{number}" for number in range(2, 7)}
    plug = story.strip(AT, family="mh_plug_130", serial=f"P{story.serial[1:]}")
    config = load_config(story.config(listed))
    async with plug, open_gateway(config, state_file=story.state_file):

        async def is_a_plug() -> bool:
            return not ports & set(await story.api.entity_ids(story.unique_ids))

        await story.api.until(is_a_plug, what="it has ports of the strip")
        left = await story.api.until_available(story.unique_ids, 1)
        assert left
        assert left.items() <= story.ids.items()


# ------------------------------------------------------------------ ends and beginnings


async def test_home_assistant_comes_back(story):
    listed = {"host": AT, "name": "Desk"}
    async with story.strip(AT), story.gateway(listed, slug="desk"):
        await anyio.to_thread.run_sync(story.home.assistant.reload)
        await story.same_as_before()


async def test_the_gateway_is_killed(story, tmp_path):
    listed = {"host": AT, "name": "Desk"}
    file = tmp_path / "structiot.toml"
    file.write_text(
        f"""
[mqtt]
uri = "{story.home.broker.uri}"
base_topic = "{story.base}"
[gateway]
id = "{story.base}"
state_file = "state.json"
[maxsmart]
discover = false
http_port = {HTTP_PORT}
udp_port = {UDP_PORT}
poll_s = 0.5
devices = [{{ host = "{AT}", name = "NAME" }}]
""",
        "utf-8",
    )
    text = file.read_text("utf-8")
    async with story.strip(AT):
        async with story.gateway(listed, slug="desk"):
            pass
        for name in ("Desk", "Desk", "Sofa"):
            file.write_text(text.replace("NAME", name), "utf-8")
            command = (sys.executable, "-m", "structiot", "run", "-c", str(file))
            async with running(*command) as program:
                await story.same_as_before()
                program.signal(signal.SIGKILL)
                await program.ended()
                await story.api.until_away(story.ids.values())
        async with story.gateway({"host": AT, "name": "Sofa"}, slug="sofa"):
            pass


# ------------------------------------------------------------------ energy


async def test_energy_is_what_the_energy_dashboard_takes(story):
    listed = {"host": AT, "name": "Desk"}
    kinds, prefix = kinds_device(), "structiot_kinds_K1_"
    mqtt = {"base_topic": f"{story.base}/energy"}
    config = story.config(listed, mqtt=mqtt)
    async with AsyncExitStack() as stack:
        stack.enter_context(with_driver("kinds", kinds_driver(kinds, "Kinds")))
        await stack.enter_async_context(story.strip(AT, loads=[40.0] * 6))
        await stack.enter_async_context(
            open_gateway(
                load_config({**config, "kinds": {}}), state_file=story.state_file
            )
        )
        ids = await story.api.until_available(prefix, len(KINDS))
        ids |= await story.api.until_available(story.unique_ids, 7)
        kinds.tell_state("energy", 12.75)
        meters = [ids[one] for one in ids if one.endswith("_energy")]
        assert len(meters) == 2 + 7, "the meters of the strip's ports, and of all of it"
        await energy_is_valid(story.api, meters)
