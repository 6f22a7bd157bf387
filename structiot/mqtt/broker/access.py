"""What a broker was given about its users, and how it is read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread

from structiot._kit.arguments import check_argument
from structiot.errors import UsageError
from structiot.mqtt.broker.connection import BrokerContext
from structiot.mqtt.broker.enhanced_auth import Authenticator
from structiot.mqtt.broker.passwords import Passwords
from structiot.mqtt.broker.permission_entries import Permission
from structiot.mqtt.broker.permissions import Permissions
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["Access", "checked_methods"]

_PASSWORDS = 'Passwords({"ann": hash_password("her word")})'


class Access:
    """Passwords and permissions: themselves, or the paths of files.

    Args:
        passwords: Who may connect.
        permissions: What they may do.

    Raises:
        UsageError: An argument of another class.
    """

    def __init__(
        self,
        passwords: Passwords | str | Path | None,
        permissions: Sequence[Permission] | str | Path,
    ) -> None:
        kinds = (Passwords, str, Path, None)
        check_argument("passwords", passwords, *kinds, write=_PASSWORDS)
        self._passwords = passwords
        self._permissions = permissions
        self._turn = anyio.Lock()

    async def read(self) -> tuple[Passwords | None, Permissions]:
        """Give both; files are read in a worker thread, each time anew.

        Raises:
            ConfigError: A file cannot be read, or has something else in it.
            UsageError: No list of permissions.
        """
        return await anyio.to_thread.run_sync(self._read, Passwords.read)

    def _read(
        self, read_passwords: Callable[[str | Path], Passwords]
    ) -> tuple[Passwords | None, Permissions]:
        passwords, permissions = self._passwords, self._permissions
        if isinstance(passwords, str | Path):
            passwords = read_passwords(passwords)
        if isinstance(permissions, str | Path):
            return passwords, Permissions.read(permissions)
        return passwords, Permissions(permissions)

    async def reload(self, context: BrokerContext) -> None:
        """Read the files again, and have a broker go by them; see `BrokerServer.reload`.

        Raises:
            ConfigError: See `read`; or a password file has no users any more.
        """
        # One at a time: of two the later has the last word, however long each reads.
        async with self._turn:
            await self._reload(context)

    async def _reload(self, context: BrokerContext) -> None:
        passwords, permissions = await anyio.to_thread.run_sync(
            self._read, Passwords.read_again
        )
        admission, core = context.admission, context.broker
        changed = await anyio.to_thread.run_sync(admission.changed_in, passwords)
        admission.go_by(passwords, changed)
        core.go_by(permissions)
        with anyio.CancelScope(shield=True):
            for session in list(core.sessions.values()):
                client = session.client
                if client is not None and admission.was_let_in_as(client, changed):
                    core.cut(client, ReasonCode.NOT_AUTHORIZED, anyio.current_time())
                core.drop_forbidden(session)
                context.flush()
                await anyio.lowlevel.checkpoint()


def checked_methods(
    authenticators: Mapping[str, Authenticator] | None,
) -> dict[str, Authenticator]:
    """Look whether authenticators are callbacks by method.

    Raises:
        UsageError: They are not.
    """
    write = '{"TOKEN": token}, with `async def token(exchange)`'
    check_argument("authenticators", authenticators, Mapping, None, write=write)
    methods = dict(authenticators or {})
    for name, authenticator in methods.items():
        check_argument("the name of a method", name, str, write=write)
        if not callable(authenticator):
            raise UsageError(f"authenticators are callbacks by method; write {write}")
    return methods
