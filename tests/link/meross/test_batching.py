"""Many requests take few messages, and each has its answer whatever the device does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from structiot.errors import ProtocolViolation, ReplyTimeout, StructiotError
from structiot.meross.errors import MerossRefused
from structiot.meross.features.feature import Request
from structiot.meross.link.router import Router
from structiot.meross.wire.batch import MULTIPLE
from structiot.meross.wire.envelope import Envelope, Method
from tests.link.meross.scripted import UUID
from tests.link.meross.test_router import House, house

pytestmark = pytest.mark.virtual_time

CAN = {MULTIPLE: {"maxCmdNum": 3}}


def questions(count: int) -> list[Request]:
    return [
        Request(method=Method.GET, namespace=f"Appliance.N{number}")
        for number in range(count)
    ]


def prepare(home: House, count: int, *, filling: int = 0) -> list[Request]:
    """Have the device answer so many questions, and take batches."""
    for device in (home.at_lan, home.at_broker):
        device.abilities = dict(CAN)
        for number in range(count):
            device.answers[f"Appliance.N{number}"] = {"n": number, "x": "x" * filling}
    return questions(count)


def numbers(answers: list[Envelope | StructiotError]) -> list[object]:
    return [one.payload["n"] if isinstance(one, Envelope) else one for one in answers]


async def ask(home: House, requests: list[Request], **options: Any) -> list[object]:
    return numbers(await home.router.request_many(home.route, requests, **options))


@pytest.mark.parametrize("policy", ["lan_only", "cloud_only"])
async def test_seven_questions_take_three_messages(policy):
    async with house(max_batch=3) as home:
        requests = prepare(home, 7)
        assert await ask(home, requests, policy=policy) == list(range(7))
        device = home.at_lan if policy == "lan_only" else home.at_broker
        asked = [name for name in device.asked if name != "Ability"]
        # The seventh has nobody to go with.
        assert asked == ["Multiple", "Multiple", "N6"]
        assert home.budget.of(UUID).used == (3 if policy == "cloud_only" else 0)


async def test_a_device_without_batches_is_asked_one_by_one():
    async with house() as home:
        requests = prepare(home, 3)
        assert await ask(home, requests) == [0, 1, 2]
        assert home.at_lan.asked == ["Ability", "N0", "N1", "N2"]


async def test_nothing_asked_is_nothing_sent():
    async with house(max_batch=3) as home:
        assert await ask(home, []) == []
        assert home.at_lan.requests == []


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative(Request):
    """A request that must not be done twice."""

    is_relative: bool = True


async def test_what_is_large_holds_others_or_is_relative_goes_alone():
    async with house(max_batch=3) as home:
        requests = prepare(home, 2)
        alone = ["Appliance.System.All", "Appliance.Hub.ToggleX", "Appliance.Adjust"]
        for name in alone:
            home.at_lan.answers[name] = {"n": name}
        requests += [Request(method=Method.GET, namespace=name) for name in alone[:2]]
        requests += [Relative(method=Method.SET, namespace=alone[2])]
        assert await ask(home, requests) == [0, 1, *alone]
        assert home.at_lan.asked[1:] == ["Multiple", "All", "ToggleX", "Adjust"]


async def test_an_error_in_a_batch_is_that_of_its_question():
    async with house(max_batch=3) as home:
        requests = prepare(home, 3)
        del home.at_lan.answers["Appliance.N1"]
        found = await ask(home, requests)
        assert (found[0], found[2]) == (0, 2)
        assert isinstance(found[1], MerossRefused)
        assert found[1].code == 5000
        assert home.at_lan.asked == ["Ability", "Multiple"]


@pytest.mark.parametrize("most_bytes", [1_300, 1_700, 2_000, 2_500])
async def test_what_an_answer_left_out_is_asked_again_and_the_room_is_learnt(
    most_bytes,
):
    async with house(max_batch=5) as home:
        requests = prepare(home, 8, filling=300)
        home.at_lan.most_bytes = most_bytes
        assert await ask(home, requests) == list(range(8))
        first = len(home.at_lan.requests)
        assert home.route.batches.room_bytes < 2_900
        cut_off = 0

        def count(reply: Envelope) -> Envelope:
            nonlocal cut_off
            answers = reply.payload.get("multiple")
            size = sum(700 for _ in answers) if isinstance(answers, list) else 0
            cut_off += size > most_bytes + 300
            return reply

        home.at_lan.garble = count
        assert await ask(home, requests) == list(range(8))
        assert len(home.at_lan.requests) - first <= first
        assert cut_off == 0


async def test_a_device_that_cannot_is_asked_one_by_one_and_remembered():
    async with house(max_batch=3) as home:
        requests = prepare(home, 3)
        home.at_lan.abilities = {}
        assert await ask(home, requests) == [0, 1, 2]
        assert await ask(home, requests) == [0, 1, 2]
        assert home.at_lan.asked.count("Multiple") == 1
        assert home.route.batches.is_broken


@pytest.mark.parametrize("nothing", [[], None, "", [{"header": 1}], {}])
async def test_an_empty_answer_is_remembered(nothing):
    async with house(max_batch=3) as home:
        requests = prepare(home, 3)
        home.at_lan.abilities = {}
        home.at_lan.answers[MULTIPLE] = {"multiple": nothing}
        for _ in range(2):
            assert await ask(home, requests) == [0, 1, 2]
        assert home.at_lan.asked.count("Multiple") == 1


async def test_a_device_that_hangs_up_on_batches_is_asked_one_by_one():
    async with house(max_batch=3) as home:
        requests = prepare(home, 4)
        home.at_lan.garble = lambda reply: (
            None if reply.namespace == MULTIPLE else reply
        )
        for _ in range(4):
            assert await ask(home, requests) == [0, 1, 2, 3]
        assert home.at_lan.asked.count("Multiple") == 2
        assert home.at_broker.requests == []


async def test_a_batch_that_is_not_answered_goes_through_the_cloud():
    async with house(max_batch=3) as home:
        requests = prepare(home, 3)
        home.at_lan.delay_s = 60
        assert await ask(home, requests) == [0, 1, 2]
        assert home.at_broker.asked == ["Multiple"]


async def test_a_device_that_is_off_is_not_asked_for_each():
    async with house(has_cloud=False) as home:
        requests = prepare(home, 5)
        home.at_lan.delay_s = 60
        with pytest.raises(ReplyTimeout):
            await ask(home, requests)
        assert len(home.at_lan.requests) == 0
        assert home.stats().performed.total == 1


async def test_what_was_answered_before_it_went_off_is_told():
    async with house(has_cloud=False) as home:
        requests = prepare(home, 4)

        def go(reply: Envelope) -> Envelope:
            if reply.namespace == "Appliance.N1":
                home.at_lan.delay_s = 60
            return reply

        home.at_lan.garble = go
        found = await ask(home, requests)
        assert found[:2] == [0, 1]
        assert all(isinstance(one, ReplyTimeout) for one in found[2:])
        assert found[2] is not found[3]


async def test_one_answer_that_makes_no_sense_is_that_of_its_question():
    async with house(has_cloud=False) as home:
        requests = prepare(home, 3)
        home.at_lan.garble = lambda reply: (
            b"{" if reply.namespace == "Appliance.N1" else reply
        )
        found = await ask(home, requests)
        assert (found[0], found[2]) == (0, 2)
        assert isinstance(found[1], ProtocolViolation)


async def test_a_batch_of_commands_goes_before_polls():
    async with house(max_batch=3) as home:
        prepare(home, 0)
        home.at_broker.answers |= {f"Appliance.N{n}": {} for n in range(2)}
        commands = [
            Request(method=Method.SET, namespace=f"Appliance.N{n}") for n in range(2)
        ]
        told: list[bool] = []

        class Spy(Router):
            async def request(self, *args: Any, **options: Any) -> Envelope:
                told.append(options["is_command"])
                return await home.router.request(*args, **options)

        spy = Spy(home.stats)
        await spy.request_many(home.route, commands)
        await spy.request_many(home.route, questions(2))
    assert told == [True, False]
