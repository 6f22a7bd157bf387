"""What can go wrong with a MaxSmart device, beyond the common errors."""

from __future__ import annotations

from structiot.errors import CommandRefused

__all__ = ["MaxSmartRefused", "SwitchStuck"]


class MaxSmartRefused(CommandRefused):
    """A device refused a command, by code 400 or by hanging up on it.

    Attributes:
        host: Address of the device.
        command: What it was asked.
    """

    def __init__(
        self, message: str, *, host: str, command: str, code: int | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.host = host
        self.command = command


class SwitchStuck(CommandRefused):
    """A device accepted a command, but its ports did not follow.

    Attributes:
        host: Address of the device.
        ports: The ports that do not show what was asked.
        is_on: What was asked.
    """

    def __init__(
        self, message: str, *, host: str, ports: tuple[int, ...], is_on: bool
    ) -> None:
        super().__init__(message)
        self.host = host
        self.ports = ports
        self.is_on = is_on
