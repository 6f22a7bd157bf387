"""Commands as JSON: with an id, a deadline, an answer, and for several entities."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from structiot.errors import CommandRefused, ConnectFailed, ReplyTimeout
from structiot.gateway import CommandDone, CommandFailed
from structiot.model import Light, LightState, Text
from structiot.mqtt import PublishProperties
from structiot.sim import fault_proxy
from tests.gateway.asked_house import RELAYS, Asker, asked, plug_of
from tests.gateway.memory_house import House, followed, of_kind

pytestmark = pytest.mark.virtual_time


def without_time(answers: list[dict[str, object]]) -> list[dict[str, object]]:
    assert all(str(one.pop("at")).endswith("+00:00") for one in answers)
    return answers


async def test_a_command_as_json_is_answered_by_its_id_when_it_is_done():
    device = plug_of("Desk")
    async with asked(device) as (gateway, asker), followed(gateway) as events:
        await asker.say("desk/relay/set", {"value": "on", "id": "a-7"})
        await asker.say("desk/relay/set", {"value": False, "id": 8})
        await asker.say("desk/relay/set", {"value": "ON"})
        assert device.commands == [("relay", True), ("relay", False), ("relay", True)]
        answers = without_time(asker.told("desk/relay/result"))
        assert answers == [
            {"id": "a-7", "status": "done"},
            {"id": 8, "status": "done"},
            {"status": "done"},
        ]
        assert [one.id for one in of_kind(events, CommandDone)] == ["a-7", 8, None]


async def test_a_plain_command_is_not_answered():
    device = plug_of("Desk")
    async with asked(device) as (_, asker):
        await asker.say("desk/relay/set", "ON")
        await asker.say("desk/relay/set", "nonsense")
        assert device.commands == [("relay", True)]
        assert asker.told("desk/relay/result") == []
        (told,) = asker.told("desk/error")
        assert told["error"] == "relay takes ON or OFF, not 'nonsense'"
        assert "id" not in told


async def test_a_refusal_is_answered_and_told_on_the_error_topic():
    device = plug_of("Desk")
    device.command_error = CommandRefused("not while it is hot")
    async with asked(device) as (gateway, asker), followed(gateway) as events:
        await asker.say("desk/relay/set", {"value": "ON", "id": "x"})
        why = "not while it is hot"
        assert without_time(asker.told("desk/relay/result")) == [
            {"id": "x", "status": "refused", "error": why}
        ]
        (told,) = asker.told("desk/error")
        assert (told["error"], told["id"]) == (why, "x")
        (failed,) = of_kind(events, CommandFailed)
        assert (failed.error, failed.id) == (why, "x")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"within_s": 0}, "within_s is a number of seconds, above 0 and up to 86400"),
        ({"within_s": True}, "within_s is a number of seconds, above 0 and up to"),
        ({"within_s": "5"}, "within_s is a number of seconds, above 0 and up to"),
        ({"deadline": "soon"}, "deadline is a time such as 2026-05-01T12:00:00Z"),
        ({"deadline": 5}, "deadline is a time such as 2026-05-01T12:00:00Z"),
        ({"within": 5}, "a command as JSON has value, id, deadline, within_s, and no"),
        ({"value": None}, "a value is a text, a number, true, false or an object"),
        ({"value": [1]}, "a value is a text, a number, true, false or an object"),
        ({"value": "maybe"}, "relay takes ON or OFF, not 'maybe'"),
    ],
)
async def test_nonsense_in_a_command_as_json_is_answered_with_what_would_be_right(
    members, said
):
    device = plug_of("Desk")
    async with asked(device) as (_, asker):
        await asker.say("desk/relay/set", {"value": "ON", "id": "n", **members})
        assert device.commands == []
        (answer,) = asker.told("desk/relay/result")
        assert (answer["id"], answer["status"]) == ("n", "refused")
        assert answer["error"].startswith(said)
        assert asker.told("desk/error")[0]["error"] == answer["error"]


@pytest.mark.parametrize("id_", ["x" * 101, 1.5, True, ["a"], 10**15])
async def test_an_id_that_is_none_is_refused_and_not_repeated(id_):
    device = plug_of("Desk")
    async with asked(device) as (_, asker):
        await asker.say("desk/relay/set", {"value": "ON", "id": id_})
        assert device.commands == []
        (answer,) = asker.told("desk/relay/result")
        assert answer["error"].startswith("id is a text of 100 characters at most, or")
        assert "id" not in answer


# ---------------------------------------------------------------- deadlines


async def test_a_command_that_comes_too_late_is_expired_and_never_carried_out():
    device, house = plug_of("Desk"), House()
    async with asked(device, house=house) as (_, asker):
        now = house.environment.now_utc()
        late, soon = now - timedelta(seconds=1), now + timedelta(seconds=30)
        await asker.say(
            "desk/relay/set", {"value": "ON", "id": 1, "deadline": late.isoformat()}
        )
        await asker.say(
            "desk/relay/set", {"value": "OFF", "id": 2, "deadline": soon.isoformat()}
        )
        first, second = without_time(asker.told("desk/relay/result"))
        assert first == {
            "id": 1,
            "status": "expired",
            "error": "Desk (plug Desk) was not told: it came too late",
            "was_begun": False,
        }
        assert second == {"id": 2, "status": "done"}
        await anyio.sleep(60)
        assert device.commands == [("relay", False)]


async def test_a_command_that_waits_for_too_long_is_expired_when_its_time_is_over():
    device = plug_of("Desk")
    device.command_takes_s = 12
    async with asked(device) as (_, asker):
        await asker.say("desk/relay/set", "ON")
        await asker.say("desk/other/set", {"value": "ON", "id": 1, "within_s": 5})
        await asker.say("desk/other/set", {"value": "OFF", "id": 2, "within_s": 60})
        await anyio.sleep(3.5)
        (answer,) = without_time(asker.told("desk/other/result"))
        assert answer == {
            "id": 1,
            "status": "expired",
            "error": "Desk (plug Desk) was not told: it has waited for too long",
            "was_begun": False,
        }
        await anyio.sleep(60)
        assert device.commands == [("relay", True), ("other", False)]


async def test_a_command_that_is_not_confirmed_in_time_says_that_it_was_begun():
    device = plug_of("Desk")
    device.command_takes_s = 1e9
    async with asked(device) as (_, asker):
        await asker.say("desk/relay/set", {"value": "ON", "id": 1, "within_s": 2})
        await asker.say("desk/relay/set", {"value": "ON", "id": 2})
        await anyio.sleep(20)
        first, second = without_time(asker.told("desk/relay/result"))
        assert (first["status"], first["was_begun"]) == ("expired", True)
        assert first["error"] == "Desk (plug Desk) did not carry it out within 2 s"
        assert second["error"] == "Desk (plug Desk) did not carry it out within 15 s"
        assert device.commands == []


async def test_a_device_that_does_not_reply_may_have_it():
    device = plug_of("Desk")
    device.command_error = ReplyTimeout("no reply within 3 s", after_s=3)
    async with asked(device) as (_, asker):
        await asker.say("desk/relay/set", {"value": "ON", "id": 1})
        (answer,) = asker.told("desk/relay/result")
        assert (answer["status"], answer["was_begun"]) == ("expired", True)


async def test_a_message_that_expires_is_not_carried_out_later():
    device = plug_of("Desk")
    device.command_takes_s = 10
    async with asked(device) as (gateway, asker), followed(gateway) as events:
        await asker.say("desk/relay/set", "ON")
        expiry = PublishProperties(message_expiry_s=4)
        await asker.say("desk/other/set", "ON", properties=expiry)
        await anyio.sleep(60)
        assert device.commands == [("relay", True)]
        (failed,) = of_kind(events, CommandFailed)
        assert failed.error.endswith("was not told: it has waited for too long")


@pytest.mark.parametrize(("away_s", "is_done"), [(5, True), (60, False)])
async def test_what_a_broker_keeps_for_a_gateway_that_is_away_is_not_done_late(
    away_s, is_done
):
    device, house = plug_of("Desk"), House()
    async with fault_proxy("127.0.0.1", 1883, environment=house.environment) as proxy:
        host, port = proxy.address
        way = {"uri": f"mqtt://{host}:{port}"}
        async with asked(device, house=house, mqtt=way) as (gateway, asker):
            assert gateway.is_connected
            proxy.stall()
            await asker.say("desk/relay/set", "ON")
            await anyio.sleep(away_s)
            proxy.flow()
            await anyio.sleep(60)
            assert gateway.is_connected
            assert device.commands == [("relay", True)] * is_done
            await asker.say("desk/relay/set", "OFF")
            assert device.commands[-1] == ("relay", False)


async def test_a_retained_command_is_not_obeyed_in_any_form():
    device, house = plug_of("Desk"), House()
    orders = {"desk/relay/set": "ON", "desk/set": {"relay": "ON"}}
    orders_with_id = {"desk/other/set": {"value": "ON", "id": 1}}

    async def leave(asker: Asker) -> None:
        for topic, told in (orders | orders_with_id).items():
            await asker.say(topic, told, retain=True)

    async with asked(device, house=house, before=leave) as (_, asker):
        assert device.commands == []
        said = asker.told("desk/error")
        assert len(said) == 3
        assert all("retained command is not obeyed" in one["error"] for one in said)
        assert asker.told("desk/other/result")[0]["status"] == "refused"


# ---------------------------------------------------------------- where answers go


async def test_the_answer_goes_where_mqtt_5_says_with_what_it_says():
    device, correlation = plug_of("Desk"), b"\x00\xff7"
    properties = PublishProperties(
        response_topic="answers/me", correlation_data=correlation
    )
    async with asked(device) as (_, asker):
        async with asker.client.subscription("answers/me") as answers:
            for told in ("ON", {"value": "OFF", "id": 5}, "nonsense"):
                await asker.say("desk/relay/set", told, properties=properties)
            got = [await anext(aiter(answers)) for _ in range(3)]
        came_with = [one.properties for one in got]
        assert {one and one.correlation_data for one in came_with} == {correlation}
        answers_ = without_time(asker.heard_on("answers/me"))
        assert [one["status"] for one in answers_] == ["done", "done", "refused"]
        assert [one.get("id") for one in answers_] == [None, 5, None]
        assert asker.told("desk/relay/result") == []


@pytest.mark.parametrize(
    "topic", ["structiot/desk/relay/set", "homeassistant/status", "$SYS/x", "t" * 1025]
)
async def test_nobody_has_the_gateway_answer_where_it_should_not(topic, caplog):
    device = plug_of("Desk")
    properties = PublishProperties(response_topic=topic, correlation_data=b"7")
    async with asked(device) as (gateway, asker):
        await asker.say(
            "desk/relay/set", {"value": "ON", "id": 1}, properties=properties
        )
        assert len(asker.told("desk/relay/result")) == 1
        assert len(asker.told("desk/relay/set")) == 1
        assert gateway.is_connected
        await asker.say("desk/relay/set", "OFF", properties=properties)
        assert gateway.broker_service.response_topics_passed_over == 2
    said = [one for one in caplog.messages if one.startswith("no answer goes to")]
    assert len(said) == 1
    assert said[0].startswith(f"no answer goes to {topic[:90]}")


async def test_the_clients_own_requests_are_answered_with_default_settings(caplog):
    device = plug_of("Desk")
    async with asked(device) as (_, asker):
        with anyio.fail_after(5):
            done = await asker.client.request("structiot/desk/relay/set", "ON")
            pong = await asker.client.request("structiot/gateway/request/ping", "")
    assert b'"done"' in done.payload
    assert b'"ok"' in pong.payload
    assert device.commands == [("relay", True)]
    assert "no answer goes to" not in caplog.text


async def test_a_device_that_is_away_or_is_none_is_answered_too():
    device = plug_of("Desk")
    device.open_error = ConnectFailed("no route to host")
    async with asked(device) as (_, asker):
        await asker.say("desk/relay/set", {"value": "ON", "id": 1})
        await asker.say("hall/relay/set", {"value": "ON", "id": 2})
        await asker.say("hall/set", {"value": {"relay": "ON"}, "id": 3})
        (away,) = asker.told("desk/relay/result")
        assert away["error"] == "Desk (plug Desk) is not available: no route to host"
        (none,) = asker.told("hall/relay/result")
        assert none["error"] == "there is no device 'hall'; devices: desk"
        (several,) = asker.told("hall/result")
        assert (several["id"], several["error"]) == (3, none["error"])


# ---------------------------------------------------------------- several entities


async def test_one_message_commands_several_entities():
    device = plug_of("Desk")
    async with asked(device) as (gateway, asker), followed(gateway) as events:
        await asker.say("desk/set", {"relay": "ON", "other": "OFF"})
        assert device.commands == [("relay", True), ("other", False)]
        assert asker.told("desk/result") == []
        assert len(of_kind(events, CommandDone)) == 2
        order = {"value": {"relay": False, "other": True}, "id": "all", "within_s": 9}
        await asker.say("desk/set", order)
        assert device.commands[2:] == [("relay", False), ("other", True)]
        assert without_time(asker.told("desk/result")) == [
            {
                "id": "all",
                "status": "done",
                "entities": {"relay": {"status": "done"}, "other": {"status": "done"}},
            }
        ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"relay": "ON", "power": 5}, "power takes no commands: it is only read"),
        ({"relay": "ON", "door": "ON"}, "Desk (plug Desk) has no 'door'; there are"),
        ({"relay": "ON", "other": [1]}, "a value is a text, a number, true, false or"),
        ({}, 'the value is a JSON object such as {"port_1": "ON", "port_2": "OFF"}'),
    ],
)
async def test_if_one_of_several_cannot_be_none_is_carried_out(value, said):
    device = plug_of("Desk")
    async with asked(device) as (_, asker):
        await asker.say("desk/set", {"value": value, "id": 1})
        assert device.commands == []
        (answer,) = asker.told("desk/result")
        assert (answer["id"], answer["status"]) == (1, "refused")
        assert answer["error"].startswith(said)
        assert len(asker.told("desk/error")) == 1


@pytest.mark.parametrize(
    "payload", ["ON", "", "[1]", "{}", "{", b"\xff", '{"a":' * 60 + "1" + "}" * 60]
)
async def test_what_is_no_command_for_a_device_is_told(payload, caplog):
    device = plug_of("Desk")
    async with asked(device) as (_, asker):
        await asker.say("desk/set", payload)
        assert "desk: a command for several refused: a command for a" in caplog.text
        (told,) = asker.told("desk/error")
        assert told["error"].startswith("a command for a device is a JSON object such")


async def test_the_answer_for_several_says_how_each_has_ended():
    device = plug_of("Desk")
    device.command_takes_s = 4
    async with asked(device) as (_, asker):
        value = {"relay": "ON", "other": "ON"}
        await asker.say("desk/set", {"value": value, "id": 1, "within_s": 6})
        await anyio.sleep(20)
        (answer,) = asker.told("desk/result")
        assert answer["status"] == "expired"
        assert answer["error"].startswith("other: Desk (plug Desk) did not carry it")
        assert answer["entities"]["relay"] == {"status": "done"}
        assert answer["entities"]["other"]["was_begun"] is True


async def test_objects_and_texts_are_values_as_well():
    lamp = Light(key="lamp", color_modes=frozenset({"brightness"}))
    device = plug_of("Desk", (lamp, Text(key="sign", max_length=40), *RELAYS))
    async with asked(device) as (_, asker):
        await asker.say("desk/lamp/set", {"state": "ON", "brightness": 50})
        value = {"state": "ON", "brightness": 20}
        await asker.say("desk/lamp/set", {"value": value, "id": 1})
        await asker.say("desk/sign/set", '{"text": "as it is"}')
        await asker.say("desk/set", {"lamp": value, "sign": "Hello"})
        assert [one["status"] for one in asker.told("desk/lamp/result")] == ["done"]
        bright = LightState(is_on=True, brightness_percent=20)
        assert device.commands == [
            ("lamp", LightState(is_on=True, brightness_percent=50)),
            ("lamp", bright),
            ("sign", '{"text": "as it is"}'),
            ("lamp", bright),
            ("sign", "Hello"),
        ]


async def test_a_secret_is_not_shown_in_whatever_form_it_comes():
    pin = Text(key="pin", is_secret=True, pattern="[0-9]+")
    device = plug_of("Desk", (pin, *RELAYS))
    async with asked(device) as (_, asker):
        await asker.say("desk/pin/set", {"value": "hush", "id": 1})
        await asker.say("desk/set", {"value": {"pin": "hush"}, "id": 2})
        await asker.say("desk/set", {"pin": "hush"})
        said = [*asker.told("desk/error"), *asker.told("desk/result")]
        assert len(said) == 4
        assert "hush" not in str(said)
