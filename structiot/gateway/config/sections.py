"""The gateway's own sections; each system's is beside its driver.

Checks that need more than one field are in `checks.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from structiot.errors import ConfigError
from structiot.gateway.config.dashboard import DashboardSection
from structiot.gateway.config.fields import (
    DeviceId,
    Hidden,
    Listen,
    NamedFile,
    Origin,
    Section,
    SystemSection,
    Topic,
    beside_config,
    readable,
    seconds,
    secret_in,
)
from structiot.gateway.config.history import HistorySection
from structiot.gateway.config.links import (
    TOPICS_SYSTEM,
    LinkSection,
    TopicsSection,
)
from structiot.gateway.config.places import DeviceSection
from structiot.gateway.config.values import check_broker_uri
from structiot.gateway.state_file import not_ours
from structiot.mqtt.broker import Passwords

__all__ = [
    "BrokerSection",
    "GatewayConfig",
    "GatewaySection",
    "MqttSection",
]


def _passwords_at(file: FilePath) -> str:
    readable(file)
    try:
        Passwords.read(file)
    except ConfigError as exc:
        raise ValueError(f"cannot be used: {exc}") from None
    return str(file)


def _state_file_at(file: FilePath) -> str:
    named = beside_config(file)
    if (why := not_ours(file)) is not None:
        raise ValueError(why)
    return named


class MqttSection(Section):
    """`[mqtt]`: the broker and the topics.

    Attributes:
        uri: Address of the broker; it may hold user name and password. By default the
            embedded one, see `[broker]`.
        username: User name, if the address has none.
        password: Password, if the address has none.
        password_file: File whose first line is the password, instead of `password`;
            relative to the configuration file.
        ca_file: Certificates of the authorities that are trusted, for `mqtts` and
            `wss`; else those of the system. Relative to the configuration file, like
            the next two.
        cert_file: Own certificate, if the broker wants one.
        key_file: Key of the own certificate, if it is not in the same file.
        key_file_password: Passphrase of that key, if it has one.
        client_id: How the broker knows this gateway; by default `structiot-<id>`.
        base_topic: First level (or levels) of every topic of the gateway.
        discovery: Whether devices announce themselves to Home Assistant.
        discovery_prefix: First level of Home Assistant's discovery topics.
        keep_alive_s: How long the broker waits before it takes us for dead.
        outbox_s: For how long what is told once (what has happened, an answer) waits for
            the broker; later it would be taken for the present. What is retained always
            waits.
        retry_refused: Whether a broker that refuses the login, or whose certificate is
            not trusted, is tried again by a growing schedule; else not before a restart
            or a reload.
    """

    also_called: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("address", "broker", "host", "port", "server", "url"), "uri"),
        "user": "username",
    }

    uri: Annotated[str, AfterValidator(check_broker_uri)] | None = Field(
        default=None, examples=["mqtt://broker:1883"]
    )
    username: str | None = None
    password: Hidden | None = None
    password_file: Annotated[str | None, NamedFile(secret_in, into="password")] = None
    ca_file: Annotated[str | None, NamedFile(readable)] = None
    cert_file: Annotated[str | None, NamedFile(readable)] = None
    key_file: Annotated[str | None, NamedFile(readable)] = None
    key_file_password: Hidden | None = None
    client_id: Annotated[str, Field(min_length=1)] | None = None
    base_topic: Topic = "structiot"
    discovery: bool = True
    discovery_prefix: Topic = "homeassistant"
    keep_alive_s: Annotated[int, Field(ge=1, le=65535)] = 15
    outbox_s: Annotated[float, seconds(0, 86400)] = 60.0
    retry_refused: bool = False


class BrokerSection(Section):
    """`[broker]`: the embedded broker, which runs where `[mqtt]` names no other.

    Attributes:
        listen: Where it serves: `mqtt://` and `ws://` addresses; the gateway itself uses
            the first.
        password_file: Who may connect, as `structiot mqtt passwd` writes it; needed
            where others than this machine may. Relative to the configuration file,
            like the next.
        allowed_origins: Web pages that may connect by websocket, such as
            `"https://house.example"`; `"*"` is all. Programs need not be listed.
        store: SQLite file that keeps retained messages and lasting sessions beyond the
            end of the process; without, they end with it.
    """

    also_called: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("bind", "host", "port", "uri", "url"), "listen"
    )

    listen: Listen = ("mqtt://127.0.0.1:1883",)
    password_file: Annotated[str | None, NamedFile(_passwords_at)] = None
    allowed_origins: Annotated[tuple[Origin, ...], Field(strict=False)] = ()
    store: Annotated[str | None, NamedFile(beside_config)] = None


class GatewaySection(Section):
    """`[gateway]`: the gateway itself.

    Attributes:
        id: Name of this gateway; each gateway on one broker has its own.
        state_file: File that keeps what shall outlast a restart, such as which device
            has which topics. By default `structiot run` has one below
            `~/.local/state/structiot`, and a program none. Relative to the
            configuration file. A file that is there and is none is refused.
        command_s: Longest time for one command before it is given up.
        goodbye_s: Longest time for telling the broker that all is offline.
        retry_max_s: Longest wait between two attempts to reach a device.
        forget_on_exit: Whether the gateway takes everything off the broker when it
            ends, instead of leaving it there as offline.
    """

    id: DeviceId = "structiot"
    state_file: Annotated[str | None, NamedFile(_state_file_at)] = None
    command_s: Annotated[float, seconds(0.1, 600)] = 15.0
    goodbye_s: Annotated[float, seconds(0.1, 60)] = 3.0
    retry_max_s: Annotated[float, seconds(1, 3600)] = 60.0
    forget_on_exit: bool = False


class GatewayConfig(Section):
    """Everything a gateway is told; made by `load_config`.

    Each installed system adds a field of its name with its own section; one that is not
    given is None, and the system is left out.

    Attributes:
        mqtt: The broker and the topics.
        broker: The embedded broker.
        gateway: The gateway itself.
        dashboard: The web page.
        history: What was, in a file.
        devices: Where devices are, by their level in topics.
        links: What is joined to what.
    """

    mqtt: MqttSection = MqttSection()
    broker: BrokerSection = BrokerSection()
    gateway: GatewaySection = GatewaySection()
    dashboard: DashboardSection = DashboardSection()
    history: HistorySection = HistorySection()
    devices: Mapping[str, DeviceSection] = {}
    links: Annotated[tuple[LinkSection, ...], Field(strict=False)] = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - which systems there are
            """Give the section of a system, or None."""

    @property
    def systems(self) -> dict[str, SystemSection]:
        """The section of each system that is to be served, by the system's name."""
        found = {
            name: section
            for name in type(self).model_fields
            if isinstance(section := getattr(self, name), SystemSection)
        }
        if (topics := TopicsSection.of(self.links)) is not None:
            found[TOPICS_SYSTEM] = topics
        return found
