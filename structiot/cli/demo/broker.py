"""Where a demonstration's broker is, as people and programs are told."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["HOST", "USUAL_PORT", "DemoBroker"]

HOST = "127.0.0.1"
USUAL_PORT = 1883


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoBroker:
    """A broker to show things on.

    Attributes:
        uri: Its address; it may hold a password.
        origin: Where it comes from, for people.
    """

    uri: str
    origin: str

    @property
    def host(self) -> str:
        """Its host."""
        return urlsplit(self.uri).hostname or HOST

    @property
    def port(self) -> int:
        """Its port."""
        return urlsplit(self.uri).port or USUAL_PORT

    @property
    def options(self) -> str:
        """What a command-line client needs to find it, with a blank behind."""
        host = "" if self.host in {HOST, "localhost"} else f"-h {self.host} "
        port = "" if self.port == USUAL_PORT else f"-p {self.port} "
        return host + port
