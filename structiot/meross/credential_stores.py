"""Where credentials outlast the program: a file for its owner alone, or a keyring.

Files and keyrings may make one wait, for a disk or for a person, so a thread waits for
them, and not for ever.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread

from structiot._kit.private_file import replace_file
from structiot._kit.text import error_text, path_fault
from structiot.errors import ConfigError
from structiot.meross.credentials import Credentials
from structiot.meross.default_files import default_file

__all__ = ["FileStore", "KeyringStore"]

_log = logging.getLogger(__name__)

_MAX_BYTES: Final = 65_536
_FILE_S: Final = 10.0
# Somebody may have to unlock it first.
_KEYRING_S: Final = 120.0
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

T = TypeVar("T")


class FileStore:
    """Keeps credentials in a file that only its owner can read and write.

    It is written whole and put in the place of the one before. One that others can read is
    closed to them, with a warning; one that cannot be used is left as it is.

    Args:
        path: The file; its folder is made. By default one for each account, in
            `$STATE_DIRECTORY`, else in `structiot` below `$XDG_STATE_HOME`, which is
            `~/.local/state` by default.
        email: The account, where no file is named; not needed where there is one only.

    Raises:
        ConfigError: No file has such a name, there is no home for it, or there are
            several accounts and nobody says which.

    Attributes:
        path: The file.
    """

    def __init__(
        self, path: str | PathLike[str] | None = None, *, email: str | None = None
    ) -> None:
        found = default_file(email) if path is None else Path(fspath(path))
        if "\0" in str(found):
            raise ConfigError("no file has the name that is given for Meross's token")
        self.path: Path = found

    def __repr__(self) -> str:
        return f"FileStore({str(self.path)!r})"

    async def load(self) -> Credentials | None:
        """Give what the file holds; None if there is none.

        Raises:
            ConfigError: It cannot be read, is damaged, is something else, or others can
                read it and that cannot be changed.
        """
        return await self._in_thread(self._load, "read")

    async def save(self, credentials: Credentials) -> None:
        """Write the file; its folder is made.

        Raises:
            ConfigError: It cannot be written.
        """
        data = credentials.to_json().encode()
        await self._in_thread(lambda: self._save(data), "written")

    async def check(self) -> None:
        """See that the file can be written, before there is a token; makes its folder.

        Raises:
            ConfigError: It cannot be written.
        """
        await self._in_thread(self._check, "written")

    async def forget(self) -> None:
        """Take the file away.

        Raises:
            ConfigError: It cannot be.
        """
        await self._in_thread(lambda: self.path.unlink(missing_ok=True), "taken away")

    async def _in_thread(self, work: Callable[[], T], done: str) -> T:
        try:
            with anyio.fail_after(_FILE_S):
                return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except TimeoutError:
            why = f"no answer within {_FILE_S:g} s"
        except OSError as exc:
            why = path_fault(exc)
        raise ConfigError(f"{self.path}, Meross's token, cannot be {done}: {why}")

    # ------------------------------------------------------------ in a thread

    def _load(self) -> Credentials | None:
        try:
            status = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(
                f"{self.path} is no file: name another for Meross's token"
            )
        with self.path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        try:
            found = Credentials.from_json(data.decode())
        except ValueError as exc:
            why = str(exc) if isinstance(exc, ConfigError) else "no text"
            message = (
                f"{self.path} cannot be used: {why}; it is left as it is: put it right, "
                "or take it away and sign in again"
            )
            raise ConfigError(message) from None
        # What is somebody else's file is none that we may close to others.
        if os.name == "posix" and status.st_mode & _OTHERS:
            self._close_to_others(stat.S_IMODE(status.st_mode))
        return found

    def _close_to_others(self, mode: int) -> None:
        try:
            self.path.chmod(0o600)
        except OSError as exc:
            message = (
                f"{self.path} holds a token and others can read it, which cannot be "
                f"changed: {path_fault(exc)}; make it the user's own (chmod 600)"
            )
            raise ConfigError(message) from None
        text = "others could read %s, a token; its mode was changed from %04o to 0600"
        _log.warning(text, self.path, mode)

    def _places(self) -> tuple[Path, Path]:
        """Give the file, whose folder is made, and where it is written first."""
        # A link is another name of the same file, not a file to take the place of.
        path = Path(os.path.realpath(self.path))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Two programs may write at the same time.
        return path, path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")

    def _check(self) -> None:
        _, beside = self._places()
        beside.touch(mode=0o600, exist_ok=False)
        beside.unlink()

    def _save(self, data: bytes) -> None:
        path, beside = self._places()
        replace_file(path, data, beside=beside)


class KeyringStore:
    """Keeps credentials in the keyring of the desktop, by the package `keyring`.

    Args:
        service: Under which name.
        account: Whose; several accounts have one each.
    """

    def __init__(
        self, service: str = "structiot.meross", account: str = "meross"
    ) -> None:
        self.service: str = service
        self.account: str = account

    def __repr__(self) -> str:
        return f"KeyringStore({self.service!r}, {self.account!r})"

    async def load(self) -> Credentials | None:
        """Give what the keyring holds; None if there is nothing.

        Raises:
            ConfigError: No keyring that can be used, or what it holds is damaged.
        """
        text = await self._in_thread(
            lambda ring: ring.get_password(self.service, self.account)
        )
        if text is None:
            return None
        try:
            return Credentials.from_json(str(text))
        except ConfigError as exc:
            message = f"what the keyring holds as {self.service} cannot be used: {exc}"
            raise ConfigError(message) from None

    async def save(self, credentials: Credentials) -> None:
        """Put them into the keyring.

        Raises:
            ConfigError: No keyring that can be used.
        """
        text = credentials.to_json()
        await self._in_thread(
            lambda ring: ring.set_password(self.service, self.account, text)
        )

    async def forget(self) -> None:
        """Take them out of the keyring.

        Raises:
            ConfigError: No keyring that can be used.
        """

        def delete(ring: Any) -> None:  # noqa: ANN401 - a module
            if ring.get_password(self.service, self.account) is not None:
                ring.delete_password(self.service, self.account)

        await self._in_thread(delete)

    async def _in_thread(self, work: Callable[[Any], T]) -> T:
        try:
            with anyio.fail_after(_KEYRING_S):
                return await anyio.to_thread.run_sync(
                    _with_keyring, work, abandon_on_cancel=True
                )
        except TimeoutError:
            message = f"the keyring did not answer within {_KEYRING_S:g} s: unlock it"
            raise ConfigError(message) from None


def _with_keyring(work: Callable[[Any], T]) -> T:
    try:
        import keyring  # noqa: PLC0415 - an extra
        from keyring.errors import KeyringError  # noqa: PLC0415
    except ImportError:
        message = (
            "KeyringStore needs the package keyring: pip install 'structiot[keyring]'"
        )
        raise ConfigError(message) from None
    try:
        return work(keyring)
    except KeyringError as exc:
        raise ConfigError(f"the keyring cannot be used: {error_text(exc)}") from None
