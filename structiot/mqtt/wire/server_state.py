"""Where a connection is, seen from the server.

WAITING (for CONNECT) -> DECIDING (CONNECT given to the broker; what the client
has sent behind it is kept) -> OPEN (CONNACK with success written) -> CLOSING (nothing
is read or written any more).
"""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = ["OPEN", "PROGRESS_BYTES", "ServerState"]

# So much at once of an unfinished packet shows that a client is alive, and no less.
PROGRESS_BYTES = 256


class ServerState(Enum):
    """Where a connection is."""

    WAITING = "waiting for CONNECT"
    DECIDING = "deciding about a CONNECT"
    OPEN = "open"
    CLOSING = "closing"


OPEN: Final = ServerState.OPEN
