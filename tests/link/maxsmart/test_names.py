"""Names: read, changed within limits, read back, told to who watches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import DeviceReplaced, ReplyTimeout, UnsupportedDevice, UsageError
from structiot.maxsmart import MaxSmartRefused
from structiot.maxsmart.wire.messages import Request, SetName, V3Number
from structiot.model import EntitiesChanged
from structiot.sim import FAMILIES, sim_maxsmart
from tests.link.maxsmart.strips import HOST, V3_FAMILIES, bench, waiting

pytestmark = pytest.mark.virtual_time

WITH_NAMES = ["mh_strip_130", "mh_strip_110"]


@pytest.mark.parametrize("family", WITH_NAMES)
async def test_names_are_changed_read_back_and_told_to_who_watches(family):
    async with bench(family) as b, b.strip.events() as events:
        await waiting(events)
        assert await b.strip.change_port_name(3, "TV") == "TV"
        assert b.sim.port_names[2] == "TV"
        assert b.strip.info.port_names == (
            "Port 1",
            "Port 2",
            "TV",
            "Port 4",
            "Port 5",
            "Port 6",
        )
        entities = {entity.key: entity.name for entity in b.strip.entities}
        assert (entities["port_3"], entities["port_3_power"]) == ("TV", "TV power")
        told = await waiting(events)
        assert [type(event) for event in told] == [EntitiesChanged]
        assert await b.strip.retrieve_port_names() == b.strip.info.port_names


async def test_port_zero_is_the_strip_itself():
    async with bench() as b:
        assert await b.strip.change_port_name(0, "Desk") == "Desk"
        assert b.strip.info.name == b.sim.name == "Desk"
        assert b.strip.info.port_names[0] == "Port 1"


@pytest.mark.parametrize("port", [0, 1])
async def test_a_plug_has_one_name(port):
    async with bench("mh_plug_130") as b:
        assert await b.strip.change_port_name(port, "Fridge") == "Fridge"
        assert b.strip.info.name == b.sim.name == "Fridge"


@pytest.mark.parametrize(
    "name",
    [
        "TV & Hi-Fi",
        "50 %",
        "#1",
        "a+b",
        "é",
        "电视",
        'the "big" one',
        "\\",
        "{datetime}",
        "x=1;y",
    ],
)
async def test_every_character_arrives_as_it_was_written(name):
    async with bench() as b:
        assert await b.strip.change_port_name(1, name) == name
        assert b.sim.port_names[0] == name


async def test_names_are_read_anew_when_another_client_has_changed_them():
    async with bench() as b, b.strip.events() as events:
        await waiting(events)
        async with bench() as _:
            pass
        b.sim.rename(2, "Lamp")
        b.sim.rename(0, "Attic")
        assert await b.strip.retrieve_port_names() == (
            "Port 1",
            "Lamp",
            *(f"Port {n}" for n in range(3, 7)),
        )
        assert b.strip.info.name == "Attic"
        assert EntitiesChanged in {type(event) for event in await waiting(events)}


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(WITH_NAMES)))
async def test_where_no_names_are_told_ports_are_called_by_their_numbers(family):
    async with bench(family) as b:
        count = FAMILIES[family].ports
        names = tuple(f"Port {port}" for port in range(1, count + 1))
        assert await b.strip.retrieve_port_names() == names
        assert b.strip.supports("port_names") is False


async def test_null_names_of_a_plug_are_none():
    async with bench(replace(FAMILIES["mh_plug_130"], port_names="null")) as b:
        assert await b.strip.retrieve_port_names() == ("Port 1",)


async def test_an_old_answer_never_follows_a_new_one():
    async with bench(identify_s=20) as b, b.strip.readings():
        await anyio.sleep(14)
        b.sim.faults.delay_next(0.4, on="discovery")
        await anyio.sleep(6.1)
        # A poll has asked, and its answer with the old name is on its way.
        assert b.questions == 2
        b.sim.rename(0, "Attic")
        await b.strip.retrieve_port_names()
        await anyio.sleep(1)
        assert b.strip.info.name == "Attic"


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("family", "name", "limit"),
    [
        ("mh_strip_130", "x" * 22, "22 characters; firmware 1.30 takes 21"),
        ("mh_strip_211", "x" * 22, "22 characters; firmware 2.11 takes 21"),
        ("revogi_349", "x" * 16, "16 bytes; firmware 3.49 takes 15"),
        ("revogi_349", "é" * 8, "16 bytes; firmware 3.49 takes 15"),
    ],
)
async def test_a_name_that_is_too_long_is_told_before_anything_is_sent(
    family, name, limit
):
    async with bench(family) as b:
        sent = len(b.sim.requests)
        with pytest.raises(UsageError, match=limit):
            await b.strip.change_port_name(1, name)
        assert len(b.sim.requests) == sent


@pytest.mark.parametrize("name", ["", "  ", "\t", None, 7, b"TV"])
async def test_a_name_is_a_text_that_is_not_blank(name):
    async with bench() as b:
        with pytest.raises(UsageError, match="a text that is not blank"):
            await b.strip.change_port_name(1, name)


async def test_a_name_has_no_control_characters_and_no_blanks_around_it():
    async with bench() as b:
        with pytest.raises(UsageError, match="control characters"):
            await b.strip.change_port_name(1, "T\nV")
        assert await b.strip.change_port_name(1, "  TV ") == "TV"
        assert await b.strip.change_port_name(1, "x" * 21) == "x" * 21


# ---------------------------------------------------------------- by firmware


@pytest.mark.parametrize("family", ["revogi_336", "revogi_349"])
async def test_revogi_strips_are_renamed_by_v3(family):
    async with bench(family) as b:
        assert await b.strip.change_port_name(0, "Bench") == "Bench"
        assert await b.strip.change_port_name(2, "Saw") == "Saw"
        sent = [r for r in b.sim.requests if r.number == V3Number.SET_NAME]
        commands = [SetName(port=0, name="Bench"), SetName(port=2, name="Saw")]
        assert [r.asked for r in sent] == [
            Request(command=command, serial=b.sim.serial) for command in commands
        ]
        assert b.sim.name == b.strip.info.name == "Bench"
        # It has the name and does not tell it: it is kept here.
        assert b.sim.port_names[1] == b.strip.info.port_names[1] == "Saw"
        assert (await b.strip.retrieve_port_names())[1] == "Saw"
        for port, name in ((2, "Drill"), (1, "Lamp"), (2, "Saw")):
            assert await b.strip.change_port_name(port, name) == name
        assert b.strip.info.port_names[:3] == ("Lamp", "Saw", "Port 3")


@pytest.mark.parametrize("family", V3_FAMILIES)
async def test_later_firmware_cannot_be_told_names(family):
    async with bench(family) as b:
        sent = len(b.sim.requests)
        with pytest.raises(UnsupportedDevice, match="no names that can be changed"):
            await b.strip.change_port_name(0, "Bench")
        assert len(b.sim.requests) == sent


async def test_an_owner_may_try_the_command_of_v3_all_the_same():
    options: dict[str, Any] = {"assume_supported": ["rename"]}
    async with bench(replace(FAMILIES["revogi_511"], v3_rename=True), **options) as b:
        assert await b.strip.change_port_name(0, "Bench") == "Bench"
    async with bench("revogi_511", **options) as b:
        with pytest.raises(ReplyTimeout):
            await b.strip.change_port_name(0, "Bench")


async def test_a_refusal_by_code_is_no_missing_capability():
    async with bench("mh_strip_211") as b:
        with pytest.raises(MaxSmartRefused, match="code 400"):
            await b.strip.change_port_name(0, "Bench")
        assert b.strip.supports("rename") is None


async def test_firmware_that_hangs_up_on_it_lacks_it():
    async with bench(replace(FAMILIES["mh_strip_110"], rename="hang_up")) as b:
        with pytest.raises(UnsupportedDevice, match=r"firmware 1\.10") as e:
            await b.strip.change_port_name(0, "Bench")
        assert e.value.supported == ("1.30", "3.36")
        assert b.strip.supports("rename") is False


async def test_a_strip_that_cuts_a_name_says_so_by_what_is_returned():
    family = replace(FAMILIES["mh_strip_130"], name_limit=8, is_name_cut=True)
    async with bench(family) as b:
        assert await b.strip.change_port_name(1, "Living room") == "Living r"
        assert b.strip.info.port_names[0] == "Living r"


async def test_a_strip_that_says_yes_and_keeps_the_old_name_refused_it():
    family = replace(FAMILIES["mh_strip_130"], name_limit=6, is_name_cut=True)
    async with bench(family) as b:
        with pytest.raises(MaxSmartRefused, match="still called 'Port 1'"):
            await b.strip.change_port_name(1, "Port 1 and more")


# ---------------------------------------------------------------- failure


async def test_a_strip_that_is_silent_after_the_command_is_a_timeout_with_a_note():
    async with bench() as b:
        b.sim.faults.delay_s = 0.1

        async def go_deaf() -> None:
            # The first 0.1 s bring the answer to the question who is there.
            await anyio.sleep(0.15)
            b.sim.faults.drop_next(9, on="discovery")

        async with anyio.create_task_group() as tg:
            tg.start_soon(go_deaf)
            with pytest.raises(ReplyTimeout) as e:
                await b.strip.change_port_name(1, "TV")
        assert b.sim.port_names[0] == "TV"
        assert e.value.__notes__ == [
            "the new name was accepted; reading it back failed"
        ]


async def test_another_device_is_not_renamed():
    async with bench() as b:
        await b.sim.unplug()
        async with sim_maxsmart(
            HOST, environment=Environment(network=b.network), serial="SWP6000000000099"
        ) as other:
            with pytest.raises(DeviceReplaced):
                await b.strip.change_port_name(0, "Bench")
            assert other.name == "STRIP"
            assert not b.strip.is_available


async def test_a_rename_waits_for_its_turn():
    async with bench() as b:
        b.sim.faults.delay_s = 0.1
        async with anyio.create_task_group() as tg:
            for port in range(1, 7):
                tg.start_soon(b.strip.change_port_name, port, f"Name {port}")
        assert b.strip.info.port_names == tuple(f"Name {port}" for port in range(1, 7))


async def test_a_cancelled_rename_leaves_the_strip_usable():
    async with bench() as b:
        b.sim.faults.delay_s = 0.3
        with anyio.move_on_after(0.5):
            await b.strip.change_port_name(1, "TV")
        b.sim.faults.delay_s = 0.0
        assert await b.strip.change_port_name(1, "Radio") == "Radio"


async def test_defaults_of_one_strip_are_not_changed_by_another():
    async with bench() as b:
        await b.strip.change_port_name(1, "TV")
    async with bench("cocoso_106") as b:
        assert b.strip.info.port_names[0] == "Port 1"
