"""Another process that is a node of the same name.

Both have one client id, so that each throws the other out of the broker when it connects,
and hears the will of the one that it has thrown out. A process that has died is heard so
once, by the one that takes its place; one that is heard again behind another connection of
ours has connected in between, and is there. The newer of two is the wrong one: the id of a
node tells when its process began.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from structiot.errors import ConfigError
from structiot.manager.wire.envelopes import node_name
from structiot.mqtt import MqttGoodbye, ReasonCode

__all__ = ["Rivals", "own_session"]

# Twice might be one message that the broker has delivered twice.
_PROOF: Final = 3


class Rivals:
    """Counts on how many connections of ours another process of our name was heard.

    Of several it knows the latest.

    Args:
        own_id: Which node we are.
    """

    def __init__(self, own_id: str) -> None:
        self._own_id = own_id
        self._name = node_name(own_id)
        self._connections = 0
        self._rival = ""
        self._heard_on = 0
        self._times = 0

    def connected(self) -> None:
        """There is a new connection to the broker."""
        self._connections += 1

    def heard(self, node: str) -> str:
        """Take it that a node was heard; say so if it is another one of our name.

        Raises:
            ConfigError: It is, and was there before us.
        """
        if node == self._own_id or node_name(node) != self._name:
            return ""
        if node != self._rival:
            self._rival, self._times, self._heard_on = node, 0, -1
        if self._heard_on != self._connections:
            self._times, self._heard_on = self._times + 1, self._connections
        if self._times < _PROOF:
            return ""
        text = f"{_said(self._own_id)}, and they throw each other out of the broker"
        if self._own_id > node:
            raise ConfigError(f"{text}: give this one another name")
        return f"{text} until that one ends"


@contextmanager
def own_session(own_id: str) -> Generator[None]:
    """Say what it means that another client has taken our session, as 5.0 tells.

    Args:
        own_id: Which node we are.

    Raises:
        ConfigError: One has.
    """
    try:
        yield
    except MqttGoodbye as exc:
        if exc.code != ReasonCode.SESSION_TAKEN_OVER:
            raise
        message = (
            f"{_said(own_id)}, and the broker has given it the session of this one"
        )
        raise ConfigError(message) from exc


def _said(own_id: str) -> str:
    return f"another process is a node named {node_name(own_id)!r}, too"
