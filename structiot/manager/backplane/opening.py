"""Opening the way to the other nodes of a manager: `open_backplane`."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakSet

from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot.errors import ConfigError, UsageError
from structiot.manager.backplane.rivals import own_session
from structiot.manager.wire.envelopes import Gone, decode, encode, node_name
from structiot.mqtt import MqttClient, MqttConfig, Will, open_mqttclient

__all__ = ["NodeAddress", "in_use", "node_of", "open_backplane"]

_NAME: Final = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
_PRESENCE: Final = "/all/presence"
# What is published while a node is away waits so long, where the broker asks how long.
_SESSION_S: Final = 600
# By whom managers are served at present.
_in_use: Final[WeakSet[MqttClient]] = WeakSet()


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Who a node is.

    Attributes:
        root: What the topics of all nodes begin with.
        node: Its id: its name, when its process began, and what is new in each.
    """

    root: str
    node: str

    @property
    def presence(self) -> str:
        """The topic on which nodes tell what they have."""
        return self.root + _PRESENCE

    @property
    def messages(self) -> str:
        """The topic on which nodes share the messages of their devices."""
        return f"{self.root}/all/messages"

    @property
    def everything(self) -> str:
        """The filter of both."""
        return f"{self.root}/all/+"

    def inbox_of(self, node: str) -> str:
        """Give the topic on which a node is told what concerns it alone."""
        return f"{self.root}/node/{node_name(node)}"


@asynccontextmanager
async def open_backplane(
    uri: str | Callable[[], str | Awaitable[str]] | None = None,
    *,
    node: str | None = None,
    name: str = "fleet",
    config: MqttConfig | Mapping[str, Any] | None = None,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[MqttClient]:
    """Open an MQTT client for `open_manager(..., backplane=client)`, one for each node.

    It has a lasting session under the node's name and a will that tells the other nodes
    when this one dies. Any broker of MQTT 3.1.1 with QoS 1 will do. Let it keep as much
    for a node as is published while that is away or slow (Mosquitto:
    `max_queued_messages 0`), and nobody else write under `structiot/manager/<name>`.

    Args:
        uri: Where the broker is, or a callable that is asked before every attempt; else
            `config["uri"]`.
        node: The node's name, the same after a restart and no other node's (of two one
            ends, see `open_manager`): 1 to 64 letters, digits, `_` and `-`. None is a node without devices of its own, which
            nobody waits for when it has ended: its name is made up, and its session ends
            with the block.
        name: The name of the whole, of the same kind.
        config: Further settings of the client; will, session and id are the node's.
        environment: Network, clock and chance; the system's by default.

    Yields:
        The client; it serves one manager at a time.

    Raises:
        ConfigError: A name that cannot be, or settings that cannot work; while the block
            runs, that another node has the name and the broker has given it the session.
        UsageError: A name that is no text.
        ConnectFailed: The broker could not be reached.
        AuthRefused: The broker does not accept the credentials.
        LinkLost: The connection was lost for good while the block ran.
    """
    check_argument("node", node, str, None)
    check_argument("name", name, str)
    is_lasting = node is not None
    node = f"guest-{secrets.token_hex(4)}" if node is None else node
    for one in (node, name):
        if not _NAME.fullmatch(one):
            message = f"a name has 1 to 64 letters, digits, _ and -, not {one!r:.80}"
            raise ConfigError(message)
    settings = MqttConfig.of(config)
    if settings.will is not None:
        raise ConfigError("the will of a backplane's client is that of the node")
    began_ms = int(environment.now_utc().timestamp() * 1000)
    new = f"{began_ms & 0xFFFF_FFFF_FFFF:012x}{secrets.token_hex(2)}"
    address = NodeAddress(f"structiot/manager/{name}", f"{node}.{new}")
    reason = "its node has lost its connection to the broker"
    will = Will(
        topic=address.presence, payload=encode(Gone(address.node, reason)), qos=1
    )
    expiry_s = settings.session_expiry_s
    expiry_s = _SESSION_S if expiry_s is None else expiry_s
    # 23 letters and digits, which every broker takes.
    digest = hashlib.sha256(f"{name}/{node}".encode()).hexdigest()
    # Whichever of the two blocks hears of it first.
    with own_session(address.node):
        async with open_mqttclient(
            uri,
            f"mgr{digest[:20]}",
            settings.with_changes(
                will=will,
                cleansession=not is_lasting,
                session_expiry_s=expiry_s if is_lasting else 0,
            ),
            environment=environment,
        ) as client:
            yield client


@contextmanager
def in_use(client: MqttClient) -> Generator[None]:
    """Have a client serve one manager and no other for the length of the block.

    Raises:
        UsageError: It serves one already.
    """
    if client in _in_use:
        message = "this client of open_backplane serves another manager, which is open"
        raise UsageError(message)
    _in_use.add(client)
    try:
        yield
    finally:
        _in_use.discard(client)


def node_of(client: MqttClient) -> NodeAddress:
    """Give the address that a client was opened for.

    Raises:
        ConfigError: It was not opened by `open_backplane`.
    """
    will = client.config.will
    told = None if will is None else decode(will.payload)
    if will is None or not isinstance(told, Gone):
        raise ConfigError("the client of a backplane is opened by open_backplane")
    return NodeAddress(will.topic.removesuffix(_PRESENCE), told.node)
