"""What the doctor says of a broker that does not let the gateway do its work."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.to_thread
import pytest
import trustme
from anyio.abc import SocketStream

from structiot import ConnectFailed, Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import RealNetwork, place
from structiot.errors import StructiotError
from structiot.mqtt import BrokerServer, open_mqttclient
from structiot.mqtt.broker import Passwords, Permission, hash_password, open_broker
from tests._support.ports import free_port
from tests.cli.doctor.house import noted

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

LISTEN = "mqtt://127.0.0.1:0"


def at(uri: str, more: str = "") -> str:
    return f"[mqtt]\nuri = '{uri}'\n{more}"


@asynccontextmanager
async def broker(*listen: str, **more: Any) -> AsyncIterator[BrokerServer]:
    async with open_broker(*(listen or (LISTEN,)), **more) as found:
        yield found


async def test_a_broker_that_is_well(patient):
    async with broker() as found:
        assert await patient.wrong(at(found.uri)) == []


async def test_devices_that_are_topics_are_asked_for_on_the_broker_there_is(patient):
    links = "".join(
        f"[[links]]\nfrom = 'mqtt:{name}/state'\nto = '{name}/switch'\n"
        f"kind = 'binary_sensor'\navailability = '{name}/lwt'\n"
        for name in ("lamp", "oven", "fan")
    )
    async with broker() as found, open_mqttclient(found.uri) as client:
        for topic, word in (("lamp/lwt", "online"), ("oven/lwt", '{"state": "no"}')):
            await client.publish(topic, word, 1, True)
        assert await patient.wrong(at(found.uri, links)) == []
        report = await patient.examined()
    assert any(one.what == "it is right, and has links" for one in report.findings)
    trial = [one.where for one in report.findings if one.what.startswith("it runs")]
    assert trial == ["[[links]]"]
    said = [one for one in report.findings if one.where.startswith("[[links]] ")]
    assert [(one.level, one.what.partition(":")[0]) for one in said] == [
        ("fine", "lamp/lwt says that it is there"),
        ("note", 'oven/lwt says \'{"state"'),
        ("note", "nothing stands on fan/lwt"),
    ]


async def test_devices_that_are_topics_of_the_gateways_own_broker_are_no_fault(patient):
    listen = f"[broker]\nlisten = ['mqtt://127.0.0.1:{free_port()}']\n"
    link = "[[links]]\nfrom = 'mqtt:lamp/state'\nto = 'lamp/switch'\nkind = 'binary_sensor'\n"
    text = f"{listen}{link}availability = 'lamp/lwt'\n"
    assert await patient.wrong(text) == []
    assert any("lamp/lwt" in one for one in noted((await patient.examined()).findings))


async def test_a_name_that_nobody_knows(patient):
    found = await patient.only(at("mqtt://nobody.invalid"))
    assert "nobody.invalid:1883" in found.what
    assert "correct the name" in found.advice


async def test_a_port_where_nobody_listens(patient):
    port = free_port()
    found = await patient.only(at(f"mqtt://127.0.0.1:{port}"))
    assert f"127.0.0.1:{port}: connection refused" in found.what
    assert "nothing listens there" in found.advice


class WithoutIpv6(RealNetwork):
    """The network of a machine that has no way to any address of IPv6."""

    async def connect_tcp(self, host: str, port: int, **more: Any) -> Any:
        if ":" in host:
            error = OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
            message = f"cannot connect to {place(host, port)}: network is unreachable"
            raise ConnectFailed(message, host=host, port=port) from error
        return await super().connect_tcp(host, port, **more)


async def test_an_address_of_ipv6_where_there_is_none(patient):
    patient.environment = Environment(network=WithoutIpv6())
    found = await patient.only(at("mqtt://[2001:db8::7]:1883"))
    assert "[2001:db8::7]:1883" in found.what
    assert "IPv6" in found.advice


async def test_somebody_who_says_nothing(patient):
    async def listen(stream: SocketStream) -> None:
        async with stream:
            await anyio.sleep_forever()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, service_group() as tasks:
        tasks.start_soon(listener.serve, listen)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        found = await patient.only(at(f"mqtt://127.0.0.1:{port}"))
    assert found.where == "[mqtt]"
    assert "mqtts://" in found.advice


def context_of(authority: trustme.CA, **more: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", **more).configure_cert(context)
    return context


async def test_tls_of_an_authority_that_nobody_knows(patient):
    context = await anyio.to_thread.run_sync(context_of, trustme.CA())
    async with broker("mqtts://127.0.0.1:0", ssl_context=context) as found:
        problem = await patient.only(at(found.uri))
    assert "unknown authority" in problem.what
    assert "ca_file" in problem.advice


async def test_a_certificate_that_has_expired(patient):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(patient.folder / "ca.pem"))
    past = {"not_before": datetime(2020, 1, 1, tzinfo=UTC)}
    past["not_after"] = datetime(2021, 1, 1, tzinfo=UTC)
    context = await anyio.to_thread.run_sync(lambda: context_of(authority, **past))
    async with broker("mqtts://127.0.0.1:0", ssl_context=context) as found:
        problem = await patient.only(at(found.uri, "ca_file = 'ca.pem'\n"))
    assert "expired" in problem.what
    assert "new certificate" in problem.advice


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords({"me": hash_password("correct")})


async def test_a_wrong_password(patient, passwords):
    async with broker(passwords=passwords) as found:
        login = "username = 'me'\npassword = 'wrong'\n"
        problem = await patient.only(at(found.uri, login))
        assert "username and password in [mqtt]" in problem.advice
        assert "wrong" not in problem.what
        login = "username = 'me'\npassword = 'correct'\n"
        assert await patient.wrong(at(found.uri, login)) == []


@pytest.mark.parametrize(
    "permission",
    [
        Permission(publish=["#"], subscribe=["other/#"]),
        Permission(publish=["other/#"], subscribe=["#"]),
        # It may be told and heard, and nothing comes.
        Permission(publish=["#"], subscribe=["#"], receive=["other/#"]),
    ],
    ids=["subscribe", "publish", "receive"],
)
async def test_what_the_broker_does_not_allow(patient, permission):
    async with broker(permissions=[permission]) as found:
        problem = await patient.only(at(found.uri))
    assert "does not let it do its work" in problem.what
    assert "structiot/# and homeassistant/#" in problem.advice


async def test_another_gateway_with_the_same_base_topic(patient):
    async with broker() as found, open_mqttclient(found.uri) as other:
        topic = "structiot/gateway/availability"
        await other.publish(topic, b"online", qos=1, retain=True)
        problem = await patient.only(at(found.uri))
        assert "another gateway, which runs now" in problem.what
        assert "base_topic" in problem.advice
        await other.publish(topic, b"offline", qos=1, retain=True)
        assert await patient.wrong() == []


async def insist(uri: str, client_id: str, seen: list[str]) -> None:
    """Be a client that wants its connection back."""
    while True:
        try:
            async with open_mqttclient(uri, client_id) as client:
                seen.append(client.client_id)
                async with client.events() as events:
                    async for _ in events:
                        pass
        except StructiotError:
            await anyio.sleep(0.2)


async def test_another_client_with_the_same_id(patient):
    """As two gateways are that take the connection from each other."""
    name = "structiot-home"
    seen: list[str] = []
    async with broker() as found:
        text = at(found.uri, f"client_id = '{name}'\n")
        await anyio.to_thread.run_sync(patient.write, text)
        async with service_group() as tasks:
            tasks.start_soon(insist, found.uri, name, seen)
            await anyio.sleep(0.5)
            # Nobody is disturbed who has not been asked for.
            assert await patient.wrong() == []
            assert seen == [name]
            report = await patient.examined(tries_id=True)
            (problem,) = (one for one in report.findings if one.level == "wrong")
        report = await patient.examined(tries_id=True)
        assert not [one for one in report.findings if one.level == "wrong"]
    assert f"somebody else uses the client id {name!r}" in problem.what
    assert "own id" in problem.advice


async def test_home_assistant_listens_somewhere_else(patient):
    async with broker() as found, open_mqttclient(found.uri) as other:
        await other.publish("hass/status", b"online", qos=1, retain=True)
        await anyio.to_thread.run_sync(patient.write, at(found.uri))
        report = await patient.examined()
        assert [one for one in noted(report.findings) if "Home Assistant" in one] == [
            "Home Assistant seems to listen below hass, and not below homeassistant"
        ]
        await other.publish("homeassistant/status", b"online", qos=1, retain=True)
        report = await patient.examined()
        assert not [one for one in noted(report.findings) if "Home Assistant" in one]
