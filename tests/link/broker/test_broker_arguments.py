"""What a caller gives to the broker is looked at at once, and refused in words."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from structiot import Environment, sim
from structiot.errors import ConfigError, UsageError
from structiot.mqtt import MqttAuthRefused, open_mqttclient
from structiot.mqtt.broker import (
    BrokerLimits,
    Identity,
    Passwords,
    Permission,
    hash_password,
    open_broker,
)
from structiot.testing import MemoryNetwork
from tests.link.broker.raw import broker_place

OPENERS: dict[str, Callable[..., Any]] = {
    name: function
    for name in (*dir(sim), "open_broker")
    if name.startswith(("open_", "sim_"))
    and callable(function := getattr(sim, name, open_broker))
}
PARAMETERS = [
    (name, parameter)
    for name, opener in OPENERS.items()
    for parameter in inspect.signature(opener).parameters
]


class Stranger:
    """Nothing that anybody could have asked for."""


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
async def test_an_argument_of_a_strange_class_is_refused_before_anything_is_opened(
    name: str, parameter: str
):
    opener, given = OPENERS[name], {parameter: Stranger()}
    positional: tuple[Any, ...] = ()
    if name == "open_broker" and parameter == "listen":
        positional, given = (Stranger(),), {}
    elif name == "sim_maxsmart_broadcast" and parameter != "sims":
        positional = ([],)
    elif name == "sim_meross_replay" and parameter != "path":
        positional = ("data.zip",)
    with pytest.raises(UsageError, match=r"Stranger"):
        async with opener(*positional, **given):
            pass


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"passwords": {"ann": "secret"}}, "hash_password"),
        ({"permissions": [{"user": "ann"}]}, r"Permission\(user="),
        ({"limits": {"queued": 5}}, r"BrokerLimits\("),
        ({"allowed_origins": "https://house.example"}, r"\[\"https"),
        ({"authenticators": {"TOKEN": "token"}}, "async def"),
        ({"sys_interval_s": 0}, "None for never"),
        ({"sys_interval_s": float("nan")}, "None for never"),
    ],
)
async def test_a_likely_mistake_is_told_what_to_write(given: dict[str, Any], said: str):
    with pytest.raises(UsageError, match=said):
        async with open_broker("mqtt://127.0.0.1:0", **given):
            pass


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda: Passwords({"ann": "secret"}), "hash_password"),
        (lambda: Passwords({"ann": b"secret"}), "hash_password"),  # type: ignore[dict-item]
        (lambda: Passwords([("ann", "x")]), "hash_password"),  # type: ignore[arg-type]
        (lambda: Passwords.read(b"users"), "str or Path"),  # type: ignore[arg-type]
        (lambda: Permission(publish="#"), r"\[\"home/#\"\]"),
        (lambda: Permission(subscribe=[5]), "str, not int"),  # type: ignore[list-item]
        (lambda: Permission(user=b"ann"), "str or None"),  # type: ignore[arg-type]
        (lambda: BrokerLimits(queued="5"), "queued is int"),  # type: ignore[arg-type]
        (lambda: BrokerLimits(queued=True), "queued is int"),
        (lambda: BrokerLimits(stall_s=float("nan")), "above 0"),
        (lambda: BrokerLimits(maximum_qos=3), "maximum_qos ends at 2"),
        (lambda: BrokerLimits(maximum_qos=-1), "maximum_qos is above 0"),
        (lambda: BrokerLimits(client_id_prefix="a" * 65), "64 printable characters"),
        (lambda: BrokerLimits(client_id_prefix="a\n"), "64 printable characters"),
        (lambda: Identity(username=5), "str or None"),  # type: ignore[arg-type]
        (lambda: hash_password(5), "str or bytes"),  # type: ignore[arg-type]
    ],
)
def test_a_part_that_cannot_be_is_refused_where_it_is_made(
    mistake: Callable[[], object], said: str
):
    with pytest.raises((UsageError, ConfigError), match=said) as caught:
        mistake()
    assert "secret" not in str(caught.value)


async def test_passwords_and_permissions_may_be_the_paths_of_files(tmp_path: Path):
    users, rules = tmp_path / "users.txt", tmp_path / "rules.toml"
    users.write_text(f"ann:{hash_password('her word')}\n")
    rules.write_text('[[permission]]\nuser = "ann"\npublish = ["%u/#"]\n')
    uri = "mqtt://127.0.0.1:0"
    async with open_broker(uri, passwords=str(users), permissions=rules) as broker:
        config = {"username": "ann", "password": "her word"}
        async with open_mqttclient(broker.uri, config=config) as client:
            await client.publish("ann/lamp", "on", qos=1)
        config["password"] = "a guess"
        with pytest.raises(MqttAuthRefused):
            async with open_mqttclient(broker.uri, config=config):
                pass


# -- publish


@pytest.mark.virtual_time
async def test_what_the_broker_publishes_as_a_text_arrives():
    place = Environment(network=MemoryNetwork())
    async with (
        open_broker(environment=place) as broker,
        open_mqttclient(broker.uri, environment=place) as client,
        client.subscription("#", codec="utf8") as messages,
    ):
        assert broker.publish("house/lamp", "größer") == 1
        assert broker.publish(["house", "lamp"], b"bytes", qos=1) == 1
        assert (await anext(messages)).data == "größer"
        assert (await anext(messages)).data == "bytes"


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("topic", "payload", "more"),
    [
        ("x", 5, {}),
        ("x", None, {}),
        ("x", "\ud800", {}),
        ("x", b"", {"qos": 1.0}),
        ("x", b"", {"qos": "1"}),
        ("x", b"", {"qos": 3}),
        ("x", b"x", {"retain": "no"}),
        (5, b"", {}),
        (b"x", b"", {}),
        ("x/#", b"", {}),
    ],
)
async def test_what_cannot_be_published_leaves_nothing_behind(
    topic: Any, payload: Any, more: dict[str, Any]
):
    place = Environment(network=MemoryNetwork())
    async with open_broker(environment=place) as broker:
        with pytest.raises(UsageError):
            broker.publish(topic, payload, **{"retain": True, **more})
        async with (
            open_mqttclient(broker.uri, environment=place) as client,
            client.subscription("#") as messages,
        ):
            broker.publish("end", b"")
            assert (await anext(messages)).topic == "end"


@pytest.mark.parametrize("prefix", ["auto", "guest-", ""])
async def test_b34_an_id_that_is_made_up_begins_as_wanted(prefix: str):
    async with broker_place(client_id_prefix=prefix) as place:
        names = set()
        for _ in range(3):
            client = await place.raw(5)
            name = (await client.connect("")).properties.assigned_client_id
            assert name is not None
            assert name.startswith(prefix)
            names.add(name)
        assert len(names) == 3
