"""What other nodes have, as they tell it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import anyio
import anyio.lowlevel

from structiot._kit.environment import Environment
from structiot.manager.backplane.forwarding import Forwarding
from structiot.manager.backplane.publisher import Warn
from structiot.manager.backplane.remote_client import RemoteClient
from structiot.manager.base_client import BaseClient
from structiot.manager.client import ManagerClient
from structiot.manager.manager import Manager
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.envelopes import (
    Came,
    Here,
    Listed,
    Member,
    Message,
    Went,
    node_name,
)
from structiot.manager.wire.info import Info

__all__ = ["OtherNodes"]

_MOST_NODES: Final = 256
# Of all together.
_MOST_DEVICES: Final = 100_000
# After so many devices of a node that is gone others have a turn.
_AT_ONCE: Final = 128
_SILENT_S: Final = 100.0


@dataclass(slots=True)
class _OtherNode:
    """Another node.

    Attributes:
        heard_at: When it has told something, lately.
        turns: The devices that it says it has; a newer claim of another node may count.
        listed: Those of the list that is coming; None when none is.
        has_listed: Whether it has listed all that it has, once.
    """

    heard_at: float
    turns: dict[str, int] = field(default_factory=dict)
    listed: set[str] | None = None
    has_listed: bool = False


class OtherNodes:
    """Keeps the fleet of a manager as other nodes tell of it.

    Args:
        own_id: Which node this is.
        manager: Whose fleet it is.
        forwarding: The way to devices of other nodes.
        warn: Is told what is too much, and of which kind that is.
        environment: The clock.
    """

    def __init__(
        self,
        own_id: str,
        manager: Manager,
        forwarding: Forwarding,
        warn: Warn,
        environment: Environment,
    ) -> None:
        self._own_id = own_id
        self._manager = manager
        self._forwarding = forwarding
        self._warn = warn
        self._environment = environment
        self._nodes: dict[str, _OtherNode] = {}
        self._turns: dict[ManagerClient, int] = {}
        self._latest_turn = 0

    @property
    def ids(self) -> tuple[str, ...]:
        """The other nodes that are there."""
        return tuple(self._nodes)

    @property
    def have_told(self) -> bool:
        """Whether all that are there have listed what they have."""
        return all(node.has_listed for node in self._nodes.values())

    # ------------------------------------------------------------ our own devices

    def began(self, client: ManagerClient, former: BaseClient | None) -> int:
        """Give the turn of a device that has connected here."""
        before = former.turn if isinstance(former, RemoteClient) else 0
        self._latest_turn = max(self._now_ms(), self._latest_turn + 1, before + 1)
        self._turns[client] = self._latest_turn
        return self._latest_turn

    def turn_of(self, client: ManagerClient) -> int:
        """Give the turn of a device that is connected here."""
        return self._turns.get(client, 0)

    def ended(self, client: ManagerClient) -> int:
        """Forget the turn of a device that is not connected here any more; give it."""
        return self._turns.pop(client, 0)

    # ------------------------------------------------------------ those of others

    def here(self, told: Here) -> bool:
        """Take it that a node is there; tell whether it has something else than we know."""
        node = self._node(told.node)
        if node is None or node.listed is not None:
            return False
        return len(node.turns) != told.count

    def came(self, told: Came) -> None:
        """Take devices that came to a node."""
        if (node := self._node(told.node)) is not None:
            self._take(told.node, node, told.devices)

    async def listed(self, told: Listed) -> None:
        """Take a portion of a node's list; what is on none of them is gone."""
        node = self._node(told.node)
        if node is None:
            return
        if told.is_first:
            node.listed = set()
        self._take(told.node, node, told.devices)
        if told.is_last and node.listed is not None:
            missing = node.turns.keys() - node.listed
            node.listed, node.has_listed = None, True
            reason = "its node does not have it any more"
            await self._drop_all(told.node, node, missing, reason)

    def went(self, told: Went) -> None:
        """Take it that a device has left a node."""
        node = self._node(told.node)
        if node is not None and node.turns.get(told.uuid) == told.turn:
            self._drop(told.node, node, told.uuid, told.reason)

    async def gone(self, node_id: str, reason: str) -> int:
        """Take it that a node is gone, with all that it had; give how many that were."""
        node = self._nodes.pop(node_id, None)
        if node is None:
            return 0
        devices = list(node.turns)
        await self._drop_all(node_id, node, devices, reason)
        return len(devices)

    def connected(self) -> None:
        """Nobody could be heard until now."""
        now = anyio.current_time()
        for node in self._nodes.values():
            node.heard_at = now

    def silent(self) -> list[str]:
        """Give the nodes that have told nothing for long."""
        before = anyio.current_time() - _SILENT_S
        return [name for name, node in self._nodes.items() if node.heard_at < before]

    def client_of(self, message: Message) -> BaseClient:
        """Give the device that a message is of, if only to tell of it."""
        found = self._manager.fleet.get(message.uuid)
        if found is not None:
            return found
        info = Info(uuid=message.uuid, type=message.type)
        dialect = Dialect.STRUCTIOT if message.is_own else Dialect.D0
        member = Member(
            info=info, dialect=dialect, address=("", 0), turn=self._now_ms()
        )
        stranger = RemoteClient(message.node, member, self._forwarding)
        stranger.over("its node has not told of it, or is gone")
        return stranger

    # ------------------------------------------------------------ inside

    def _node(self, node_id: str) -> _OtherNode | None:
        now = anyio.current_time()
        node = self._nodes.get(node_id)
        if node is None:
            if len(self._nodes) >= _MOST_NODES:
                text = (
                    f"{_MOST_NODES} nodes are there: {node_name(node_id)} is not heard"
                )
                self._warn(text, "nodes too many were not heard")
                return None
            node = self._nodes[node_id] = _OtherNode(now)
        node.heard_at = now
        return node

    def _take(
        self, node_id: str, node: _OtherNode, members: tuple[Member, ...]
    ) -> None:
        free = _MOST_DEVICES - sum(len(one.turns) for one in self._nodes.values())
        for member in members:
            uuid = member.info.uuid
            if uuid not in node.turns:
                if free <= 0:
                    text = (
                        f"other nodes have {_MOST_DEVICES} devices: {uuid} is not seen"
                    )
                    self._warn(text, "devices too many were not seen")
                    continue
                free -= 1
            node.turns[uuid] = member.turn
            if node.listed is not None:
                node.listed.add(uuid)
            self._claim(node_id, member, is_listed=node.listed is not None)

    def _claim(self, node_id: str, member: Member, *, is_listed: bool) -> None:
        """Let the newer claim count; of the same turn, that of the higher id."""
        manager, claim = self._manager, (member.turn, node_id)
        former = manager.fleet.get(member.info.uuid)
        if isinstance(former, RemoteClient):
            standing = (former.turn, former.node)
        elif isinstance(former, ManagerClient):
            standing = (self.turn_of(former), self._own_id)
        else:
            standing = (0, "")
        if claim < standing:
            return
        if former is not None and claim == standing:
            if member.info.type == former.type:
                former.data = member.info
            if is_listed:
                # It lists after a connection to the broker was lost, and what with it.
                former.resend()
            return
        if former is not None:
            former.end_now("replaced by a newer connection to another node")
            manager.went(former, former.end_reason)
        client = RemoteClient(node_id, member, self._forwarding)
        manager.came(client, former)
        client.resend()

    async def _drop_all(
        self, node_id: str, node: _OtherNode, uuids: Collection[str], reason: str
    ) -> None:
        for number, uuid in enumerate(uuids, 1):
            self._drop(node_id, node, uuid, reason)
            if number % _AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()

    def _drop(self, node_id: str, node: _OtherNode, uuid: str, reason: str) -> None:
        turn = node.turns.pop(uuid, None)
        newer = self._nodes.get(node_id)
        if newer is not None and newer is not node and uuid in newer.turns:
            # It has come again meanwhile.
            return
        found = self._manager.fleet.get(uuid)
        if isinstance(found, RemoteClient) and (found.node, found.turn) == (
            node_id,
            turn,
        ):
            self._manager.went(found, reason)

    def _now_ms(self) -> int:
        return int(self._environment.now_utc().timestamp() * 1000)
