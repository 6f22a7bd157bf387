"""The sections of a gateway's configuration, one class each.

A field's name, type, range and default here are all that the reader and the
documentation know of it. Checks that need more than one field are in `checks.py`.
Later systems add a section class and a field of `GatewayConfig`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from structiot._kit.redact import Secret
from structiot.gateway.config.values import (
    check_any_listen_uri,
    check_base_topic,
    check_broker_uri,
    check_gateway_id,
    check_host,
    check_listen_uri,
    check_name,
)

__all__ = [
    "BrokerSection",
    "GatewayConfig",
    "GatewaySection",
    "MaxSmartDeviceSection",
    "MaxSmartSection",
    "MqttSection",
]


def _hidden(value: object) -> object:
    return Secret(value) if isinstance(value, str) else value


def _seconds(low: float, high: float) -> object:
    return Field(ge=low, le=high, allow_inf_nan=False)


Port: TypeAlias = Annotated[int, Field(ge=1, le=65535)]
Host: TypeAlias = Annotated[str, AfterValidator(check_host)]
PollSeconds: TypeAlias = Annotated[float, _seconds(0.5, 3600)]
# TOML has lists, frozen settings have tuples; the items stay strict.
Hosts: TypeAlias = Annotated[tuple[Host, ...], Field(strict=False)]
Listen: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(check_listen_uri)], ...],
    AfterValidator(check_any_listen_uri),
    Field(strict=False),
]
Topic: TypeAlias = Annotated[str, AfterValidator(check_base_topic)]
Hidden: TypeAlias = Annotated[Secret, BeforeValidator(_hidden)]


class _Section(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(
        arbitrary_types_allowed=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        strict=True,
    )


class MqttSection(_Section):
    """`[mqtt]`: the broker and the topics.

    Attributes:
        uri: Address of the broker; it may hold user name and password. None for the
            embedded one, see `BrokerSection`.
        username: User name, if the address has none.
        password: Password, if the address has none.
        password_file: File whose first line is the password, instead of `password`;
            relative to the configuration file.
        ca_file: Certificates of the authorities that are trusted, for `mqtts` and
            `wss`; else those of the system. Relative to the configuration file, like
            the next two.
        cert_file: Own certificate, if the broker wants one.
        key_file: Key of the own certificate, if it is not in the same file.
        client_id: How the broker knows this gateway; by default `structiot-<id>`.
        base_topic: First level (or levels) of every topic of the gateway.
        discovery: Whether devices announce themselves to Home Assistant.
        discovery_prefix: First level of Home Assistant's discovery topics.
        keep_alive_s: How long the broker waits before it takes us for dead.
    """

    uri: Annotated[str, AfterValidator(check_broker_uri)] | None = None
    username: str | None = None
    password: Hidden | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    client_id: Annotated[str, Field(min_length=1)] | None = None
    base_topic: Topic = "structiot"
    discovery: bool = True
    discovery_prefix: Topic = "homeassistant"
    keep_alive_s: Annotated[int, Field(ge=1, le=65535)] = 15


class BrokerSection(_Section):
    """`[broker]`: the embedded broker, which runs where `[mqtt]` names no other.

    Attributes:
        listen: Where it serves: `mqtt://` and `ws://` addresses; the gateway itself uses
            the first.
        password_file: Who may connect, as `structiot mqtt passwd` writes it; needed
            where others than this machine may. Relative to the configuration file,
            like the next.
        store: SQLite file that keeps retained messages and lasting sessions beyond the
            end of the process; without, they end with it.
    """

    listen: Listen = ("mqtt://127.0.0.1:1883",)
    password_file: str | None = None
    store: str | None = None


class GatewaySection(_Section):
    """`[gateway]`: the gateway itself.

    Attributes:
        id: Name of this gateway in discovery topics; each gateway on one broker
            has its own.
        command_s: Longest time for one command before it is given up.
        goodbye_s: Longest time for telling the broker that all is offline.
        retry_max_s: Longest wait between two attempts to reach a device.
        forget_on_exit: Whether the gateway takes everything off the broker when it
            ends, instead of leaving it there as offline.
    """

    id: Annotated[str, AfterValidator(check_gateway_id)] = "structiot"
    command_s: Annotated[float, _seconds(0.1, 600)] = 15.0
    goodbye_s: Annotated[float, _seconds(0.1, 60)] = 3.0
    retry_max_s: Annotated[float, _seconds(1, 3600)] = 60.0
    forget_on_exit: bool = False


class MaxSmartDeviceSection(_Section):
    """`[[maxsmart.devices]]`: one strip or plug; what is not given is as in `[maxsmart]`.

    Attributes:
        host: Address or name of the strip.
        name: What topics and people call it.
        id: Its identity in Home Assistant, for a strip that does not tell its serial;
            once given it stays, or everything is a new device there.
        http_port: TCP port of its commands.
        udp_port: UDP port of its discovery.
        poll_s: Time between two readings.
    """

    host: Host
    name: Annotated[str, AfterValidator(check_name)] | None = None
    id: Annotated[str, AfterValidator(check_gateway_id)] | None = None
    http_port: Port | None = None
    udp_port: Port | None = None
    poll_s: PollSeconds | None = None


class MaxSmartSection(_Section):
    """`[maxsmart]`: power strips and plugs on the local network.

    Attributes:
        discover: Whether to look for strips besides those that are listed.
        discover_every_s: Time between two searches.
        broadcast: Addresses that a search is sent to; by default the broadcast
            address of each interface and 255.255.255.255.
        poll_s: Time between two readings of a strip.
        reply_s: Longest wait for one answer of a strip.
        http_port: TCP port of commands.
        udp_port: UDP port of discovery.
        devices: The strips that are known.
    """

    discover: bool = True
    discover_every_s: Annotated[float, _seconds(5, 86400)] = 60.0
    broadcast: Hosts | None = None
    poll_s: PollSeconds = 5.0
    reply_s: Annotated[float, _seconds(0.1, 60)] = 2.0
    http_port: Port = 80
    udp_port: Port = 8888
    devices: Annotated[tuple[MaxSmartDeviceSection, ...], Field(strict=False)] = ()


class GatewayConfig(_Section):
    """Everything a gateway is told; made by `load_config`.

    Attributes:
        mqtt: The broker and the topics.
        broker: The embedded broker.
        gateway: The gateway itself.
        maxsmart: MaxSmart strips; None leaves the system out.
    """

    mqtt: MqttSection = MqttSection()
    broker: BrokerSection = BrokerSection()
    gateway: GatewaySection = GatewaySection()
    maxsmart: MaxSmartSection | None = None
