"""Passwords and permissions read again: row L3 of the conformance table."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import anyio
import pytest

from structiot.errors import ConfigError
from structiot.mqtt.broker import Identity, Passwords, Permission, hash_password
from structiot.mqtt.wire.messages import Connack, Connect, Message, Puback
from structiot.mqtt.wire.reasons import ReasonCode
from tests.link.broker.raw import broker_place, goodbye_of

ANN, BOB, OTHER = (hash_password(word) for word in ("ann", "bob", "other"))


def write(file: Path, text: str) -> None:
    file.write_text(text)


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "passwords"
    write(file, f"ann:{ANN}\nbob:{BOB}\n")
    return file


async def test_l3_who_is_gone_or_has_another_password_is_cut_off(password_file: Path):
    async with broker_place(passwords=password_file) as place:
        ann = await place.client("ann", 5, username="ann", password=b"ann")
        bob = await place.client("bob", 5, username="bob", password=b"bob")
        write(password_file, f"ann:{ANN}\ncid:{OTHER}\n")
        await place.server.reload()
        assert (await goodbye_of(bob)).reason == ReasonCode.NOT_AUTHORIZED
        assert await ann.is_alive()
        await place.client("cid", 5, username="cid", password=b"other")
        write(password_file, f"ann:{OTHER}\n")
        await place.server.reload()
        assert (await goodbye_of(ann)).reason == ReasonCode.NOT_AUTHORIZED
        connack = await (await place.raw(5)).connect(username="ann", password=b"ann")
        assert connack.reason == ReasonCode.BAD_USER_NAME_OR_PASSWORD


async def test_l3_what_waits_for_a_session_and_is_forbidden_now_is_given_up(
    tmp_path: Path,
):
    acl = tmp_path / "acl"
    write(acl, "topic #\n")
    async with broker_place(permissions=acl) as place:
        lasting = {"clean_start": False}
        away = await place.client("away", **lasting)
        await away.subscribe("#", qos=1)
        await away.stream.aclose()
        await anyio.wait_all_tasks_blocked()
        for topic in ("a", "b"):
            place.server.publish(topic, topic, qos=1)
        write(acl, "topic read b\n")
        await place.server.reload()
        again = await place.client("away", **lasting)
        assert (await again.expect(Message)).topic == "b"
        assert await again.is_alive()


async def test_l3_so_is_what_waits_for_a_client_that_is_there(tmp_path: Path):
    acl = tmp_path / "acl"
    acl.write_text("topic #\n")
    async with broker_place(permissions=acl) as place:
        client = await place.client("c", 5, properties={"receive_maximum": 1})
        await client.subscribe("#", qos=1)
        for topic in ("first", "a", "b"):
            place.server.publish(topic, topic, qos=1)
        first = await client.expect(Message)
        acl.write_text("topic read b\n")
        await place.server.reload()
        await client.send(Puback(packet_id=first.packet_id))
        assert (await client.expect(Message)).topic == "b"


@pytest.mark.parametrize(
    ("name", "text"),
    [("acl", "topic bogus a"), ("acl", ""), ("passwords", "ann"), ("passwords", "")],
)
async def test_l3_a_file_with_a_mistake_changes_nothing(
    tmp_path: Path, password_file: Path, name: str, text: str
):
    acl = tmp_path / "acl"
    write(acl, "user ann\ntopic a\n")
    async with broker_place(passwords=password_file, permissions=acl) as place:
        ann = await place.client("ann", 5, username="ann", password=b"ann")
        write(acl, "user ann\ntopic b\n")
        write(password_file, f"bob:{BOB}\n")
        write(tmp_path / name, text)
        with pytest.raises(ConfigError, match=name):
            await place.server.reload()
        assert await ann.is_alive()
        permissions = place.server.core.permissions
        assert permissions.may_publish("ann", "ann", "a")
        assert not permissions.may_publish("ann", "ann", "b")


async def test_l3_what_was_given_as_objects_is_gone_by_as_it_is_now():
    passwords = Passwords({"ann": ANN})
    entries = [Permission(publish=["#"])]
    async with broker_place(passwords=passwords, permissions=entries) as place:
        ann = await place.client("ann", 5, username="ann", password=b"ann")
        entries.append(Permission(subscribe=["a"]))
        await place.server.reload()
        await ann.subscribe("a")
        assert await ann.is_alive()


async def test_l3_who_came_by_an_authenticator_is_left_alone(password_file: Path):
    async def token(exchange) -> Identity:
        return Identity(username="bob")

    methods = {"TOKEN": token}
    async with broker_place(passwords=password_file, authenticators=methods) as place:
        properties = {"authentication_method": "TOKEN"}
        bob = await place.client("bob", 5, username="bob", properties=properties)
        write(password_file, f"ann:{ANN}\n")
        await place.server.reload()
        assert await bob.is_alive()


class SlowPasswords(Passwords):
    """The first check ends when it may."""

    def __init__(self) -> None:
        super().__init__({"ann": ANN})
        self.is_asked, self.may_end = threading.Event(), threading.Event()

    def check(self, name: str, password: bytes) -> bool:
        is_right = super().check(name, password)
        self.is_asked.set()
        assert self.may_end.wait(10)
        return is_right


async def test_l3_a_login_under_way_is_checked_again_by_the_new_passwords():
    passwords = SlowPasswords()
    async with broker_place(passwords=passwords) as place:
        client = await place.raw(5)
        await client.send(Connect(version=5, username="ann", password=b"ann"))
        await anyio.to_thread.run_sync(passwords.is_asked.wait, 10)
        passwords.replace(Passwords({"ann": OTHER}))
        passwords.may_end.set()
        connack = await client.expect(Connack)
        assert connack.reason == ReasonCode.BAD_USER_NAME_OR_PASSWORD


@pytest.mark.parametrize("name", ["acl", "passwords"])
async def test_l3_a_pipe_in_the_place_of_a_file_holds_nobody_up(
    tmp_path: Path, password_file: Path, name: str
):
    acl = tmp_path / "acl"
    acl.write_text("topic #\n")
    async with broker_place(passwords=password_file, permissions=acl) as place:
        ann = await place.client("ann", 5, username="ann", password=b"ann")
        (tmp_path / name).unlink()
        os.mkfifo(tmp_path / name)
        with pytest.raises(ConfigError, match=f"{name}.*no regular file"):
            await place.server.reload()
        assert await ann.is_alive()


async def test_l3_of_two_reloads_the_later_has_the_last_word(tmp_path: Path):
    acl = tmp_path / "acl"
    acl.write_text("topic a\n")
    async with broker_place(permissions=acl) as place, anyio.create_task_group() as tg:
        # The first has much to read, and the second little.
        lines = [f"user u{number}\ntopic old\n" for number in range(6000)]
        acl.write_text("".join(["topic old\n", *lines]))
        tg.start_soon(place.server.reload)
        await anyio.sleep(0.05)
        (tmp_path / "other").write_text("topic new\n")
        (tmp_path / "other").replace(acl)
        await place.server.reload()
        permissions = place.server.core.permissions
        assert permissions.may_publish(None, "c", "new")
        tg.start_soon(place.server.reload)
    permissions = place.server.core.permissions
    assert permissions.may_publish(None, "c", "new")
    assert not permissions.may_publish(None, "c", "old")


async def test_l3_no_passwords_at_all_are_gone_by_as_objects():
    async with broker_place(passwords=Passwords({})) as place:
        await place.server.reload()


async def test_l3_a_hundred_reloads_in_the_middle_of_logins_lose_nobody(
    password_file: Path,
):
    async with broker_place(passwords=password_file) as place:

        async def come(number: int) -> None:
            name = "ann" if number % 2 else "bob"
            login = {"username": name, "password": name.encode()}
            client = await place.client(f"c{number}", 5, **login)
            assert await client.is_alive()

        async with anyio.create_task_group() as tg:
            for number in range(40):
                tg.start_soon(come, number)
            for _ in range(100):
                await place.server.reload()
        assert len(place.server.clients) == 40
