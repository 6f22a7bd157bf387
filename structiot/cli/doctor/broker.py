"""The broker of a gateway: whether it is there, lets it in, and lets it do its work."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from ipaddress import ip_address

import anyio
import anyio.to_thread

from structiot._kit.environment import Environment
from structiot.cli.doctor.findings import Finding, advice_for, fine, wrong
from structiot.errors import AuthRefused, CommandRefused, LinkLost, StructiotError
from structiot.gateway import GatewayConfig
from structiot.gateway.broker_connection import BrokerSettings, settings_of
from structiot.gateway.config.links import LinkSection
from structiot.gateway.drivers.topics.mapping import is_online
from structiot.gateway.entities.told_members import object_in
from structiot.gateway.entities.topics import OFFLINE, ONLINE, Topics
from structiot.mqtt import Disconnected, MqttClient, open_mqttclient

__all__ = ["broker_findings"]

_PATIENCE_S = 10.0
_QUIET_S = 0.5
_TAKEOVER_S = 3.0
_WHERE = "[mqtt]"
_NO_BROKER = "see that it is a broker, and whether it wants TLS (mqtts://, port 8883)"


async def broker_findings(
    config: GatewayConfig,
    environment: Environment,
    *,
    is_running: bool,
    tries_id: bool = False,
) -> list[Finding]:
    """Look at the broker, if it is not the embedded one.

    Args:
        config: The settings.
        environment: Network and clock.
        is_running: Whether the gateway runs: nobody else may have its name then.
        tries_id: Whether its client id may be taken from whoever has it.
    """
    mqtt, uri = config.mqtt, config.mqtt.uri
    if uri is None:
        return _unheard(config)
    topics = Topics(base=mqtt.base_topic, discovery_prefix=mqtt.discovery_prefix)
    settings = settings_of(config, topics, uri)
    found: list[Finding] = []
    try:
        async with _opened(settings, environment, "-doctor") as client:
            found.append(fine(_WHERE, f"{settings.place} lets it in"))
            found += await _rights(client, topics)
            found += await _others(client, topics, is_running=is_running)
            found += await _linked(client, config)
        if tries_id and not is_running:
            found += await _takeover(settings, environment)
    except TimeoutError:
        what = f"{settings.place} accepts a connection and says nothing"
        advice = (
            "see that it is a broker, and whether it wants TLS (mqtts://, port 8883)"
        )
        found.append(wrong(_WHERE, what, advice))
    except StructiotError as exc:
        found.append(_refused(exc, settings))
    return found


def _opened(
    settings: BrokerSettings, environment: Environment, more: str
) -> AbstractAsyncContextManager[MqttClient]:
    config = settings.config.with_changes(
        will=None, reconnect_retries=0, connect_s=_PATIENCE_S
    )
    name = f"{settings.client_id}{more}"
    return open_mqttclient(settings.uri, name, config, environment=environment)


def _refused(error: StructiotError, settings: BrokerSettings) -> Finding:
    what = str(error)
    advice = ""
    if isinstance(error, AuthRefused):
        advice = "correct username and password in [mqtt], or have the broker know them"
    elif _is_ipv6(settings) and ("route" in what or "unreach" in what):
        advice = "this machine has no IPv6: name the broker by an IPv4 address"
    return wrong(_WHERE, what, advice or advice_for(what) or _NO_BROKER)


def _is_ipv6(settings: BrokerSettings) -> bool:
    host = settings.place.rpartition("//")[2].rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False


# ---------------------------------------------------------------- what it allows


async def _rights(client: MqttClient, topics: Topics) -> list[Finding]:
    """See whether what the gateway publishes and hears passes the broker."""
    probe = topics.report("doctor")
    try:
        with anyio.move_on_after(_PATIENCE_S):
            async with client.subscription(topics.all_commands, qos=1):
                pass
            async with client.subscription(probe, qos=1) as messages:
                await client.publish(probe, b"", qos=1)
                # Some brokers take what is not allowed, and drop it.
                with anyio.move_on_after(_TAKEOVER_S):
                    async for _ in messages:
                        what = f"it may publish and hear below {topics.base}/"
                        return [fine(_WHERE, what)]
    except CommandRefused as exc:
        return [_no_right(str(exc), topics)]
    return [_no_right(f"what is published on {probe} does not come back", topics)]


def _no_right(what: str, topics: Topics) -> Finding:
    advice = (
        f"let the user read and write {topics.base}/# and {topics.discovery_prefix}/# "
        "in the broker's access list"
    )
    return wrong(_WHERE, f"the broker does not let it do its work: {what}", advice)


async def _others(
    client: MqttClient, topics: Topics, *, is_running: bool
) -> list[Finding]:
    """See who else has the gateway's topics, and where Home Assistant listens."""
    births = await _retained(client, "+/status")
    state = (await _retained(client, topics.gateway_availability)).get(
        topics.gateway_availability
    )
    found: list[Finding] = []
    if state == ONLINE and not is_running:
        what = f"another gateway, which runs now, has the base topic {topics.base!r}"
        advice = "stop that one, or give this one its own base_topic and id"
        found.append(wrong(f"{_WHERE} base_topic", what, advice))
    elif state in {None, OFFLINE} and is_running:
        what = (
            f"a gateway runs with this state file, and not below {topics.base!r} there"
        )
        advice = "see whether it goes by another configuration, or has lost the broker"
        found.append(Finding(level="note", where=_WHERE, what=what, advice=advice))
    prefixes = {
        t.removesuffix("/status") for t, said in births.items() if said == ONLINE
    }
    if prefixes and topics.discovery_prefix not in prefixes:
        named = ", ".join(sorted(prefixes)[:3])
        what = (
            f"Home Assistant seems to listen below {named}, and not below "
            f"{topics.discovery_prefix}"
        )
        advice = f'set discovery_prefix = "{min(prefixes)}"'
        where = f"{_WHERE} discovery_prefix"
        found.append(Finding(level="note", where=where, what=what, advice=advice))
    return found


def _by_availability(config: GatewayConfig) -> dict[str, LinkSection]:
    """Give the topics on which devices of others say whether they are there."""
    return {one.availability: one for one in config.links if one.availability}


def _unheard(config: GatewayConfig) -> list[Finding]:
    what = "whether it is there is heard when the gateway runs, whose broker it is on"
    return [
        Finding(level="note", where=f"[[links]] to {one.to}", what=f"{topic}: {what}")
        for topic, one in _by_availability(config).items()
    ]


async def _linked(client: MqttClient, config: GatewayConfig) -> list[Finding]:
    """See whether devices that are topics of others are there, by their own word."""
    links = _by_availability(config)
    stands = await _retained(client, *links) if links else {}
    found: list[Finding] = []
    for topic, link in links.items():
        where = f"[[links]] to {link.to}"
        text = stands.get(topic)
        if text is None:
            what = f"nothing stands on {topic}: it counts as away until it says online"
            advice = (
                "see that it is switched on, and that the topic is as it publishes it"
            )
        elif is_online(text, object_in(text.encode()), link.online):
            found.append(fine(where, f"{topic} says that it is there"))
            continue
        else:
            what = f"{topic} says {text!r}, and not {link.online!r}: it counts as away"
            advice = "see that it is switched on, or set online to what it says then"
        found.append(Finding(level="note", where=where, what=what, advice=advice))
    return found


async def _retained(client: MqttClient, *topic_filters: str) -> dict[str, str]:
    """Give what stands on topics; nothing where that may not be read."""
    found: dict[str, str] = {}
    try:
        async with client.subscription(dict.fromkeys(topic_filters, 0)) as messages:
            with anyio.move_on_after(_QUIET_S):
                async for message in messages:
                    found[message.topic] = message.payload[:100].decode(
                        errors="replace"
                    )
    except CommandRefused:
        return {}
    return found


async def _takeover(
    settings: BrokerSettings, environment: Environment
) -> list[Finding]:
    """See whether somebody else has the client id, and wants it back."""
    # What waits there for the gateway stays there.
    config = settings.config.with_changes(cleansession=False)
    own = replace(settings, config=config)
    is_ended = has_opened = False
    try:
        async with (
            _opened(own, environment, "") as client,
            client.events() as events,
        ):
            has_opened = True
            with anyio.move_on_after(_TAKEOVER_S):
                async for event in events:
                    if isinstance(event, Disconnected):
                        is_ended = True
                        break
    except LinkLost:
        # So it is told by a broker of 5.0, which says why.
        if not has_opened:
            raise
        is_ended = True
    where = f"{_WHERE} client_id"
    if not is_ended:
        return [fine(where, f"nobody else uses {settings.client_id!r}")]
    what = (
        f"somebody else uses the client id {settings.client_id!r}: the broker has ended "
        "the connection for theirs"
    )
    advice = "give this gateway its own id in [gateway], or client_id in [mqtt]"
    return [wrong(where, what, advice)]
