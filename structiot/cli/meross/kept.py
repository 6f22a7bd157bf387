"""What is kept between two calls: the token, what was sent, and which devices there are.

The list of devices is for their names where nobody is asked, in what shells offer and
beside what is left of the budget; and for their addresses, by which a device in the
local network is spoken to without a message through the cloud.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import anyio.to_thread

from structiot._kit.json_text import compact, integer_of, parse_object, text_of
from structiot._kit.private_file import replace_file
from structiot.errors import StructiotError
from structiot.meross import FileStore
from structiot.meross.default_files import default_file

__all__ = ["KeptDevice", "KeptFiles", "called", "kept_files"]

_MOST_DEVICES = 4096


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDevice:
    """A device of the account, as it was known last.

    Attributes:
        id: Its uuid; that of a subdevice begins with its hub's.
        name: What it is called.
        model: What it is.
        hub: The hub that it hangs on.
        firmware: Version of its firmware.
        address: Its address in the local network.
        has: Keys of its main entities; None where it was never asked.
        channels: Names of its channels, by number as text.
    """

    id: str
    name: str
    model: str | None = None
    hub: str | None = None
    firmware: str | None = None
    address: str | None = None
    has: tuple[str, ...] | None = None
    channels: Mapping[str, str]


class KeptFiles:
    """The files of one account; `kept_files` says which.

    Args:
        token: That of the token; the others are beside it.

    Attributes:
        store: Keeps the token.
        state: What was sent in the last hour, and what else the library remembers.
    """

    def __init__(self, token: Path) -> None:
        self.store: FileStore = FileStore(token)
        self.state: Path = token.with_suffix(".state")
        self._devices = token.with_suffix(".devices")

    def devices(self) -> list[KeptDevice]:
        """Read the list; what cannot be read has none. For worker threads."""
        found = map(_device, (self._rows() or [])[:_MOST_DEVICES])
        return [one for one in found if one is not None]

    def _rows(self) -> list[object] | None:
        """Read what the list is made of; None if there is something else."""
        try:
            data = parse_object(self._devices.read_bytes(), "devices")
        except FileNotFoundError:
            return []
        except (OSError, StructiotError):
            return None
        rows = data.get("devices")
        return rows if isinstance(rows, list) else None

    def keep(self, devices: Iterable[KeptDevice]) -> list[KeptDevice]:
        """Write and give the list; what was known of a device stays. For threads."""
        before = self.devices()
        known = {one.id: one for one in before}
        now = [_filled(one, known.get(one.id)) for one in devices]
        hubs = {one.id for one in now} - {one.hub for one in now}
        now += [one for one in before if one.hub in hubs]
        if now != before and self._rows() is not None:
            content = {"devices": [asdict(one) for one in now]}
            try:
                data = compact(content, is_ascii=True).encode()
                replace_file(self._devices, data)
            except OSError as exc:
                _log.debug("the list of devices cannot be kept: %s", exc)
        return now

    def forget_devices(self) -> None:
        """Take the list away."""
        self._devices.unlink(missing_ok=True)


async def kept_files(
    store: str | None, email: str | None = None, url: str | None = None
) -> KeptFiles:
    """Give the files of an account.

    Args:
        store: That of the token, if it is said; else it is where the library has it.
        email: Whose; not needed where there is one account only.
        url: Where it signs in; by default where its token is from.

    Raises:
        ConfigError: There is no home for them, or there are several accounts.
    """
    if store is not None:
        return KeptFiles(Path(store))
    find = partial(default_file, email, url=url or None)
    return KeptFiles(await anyio.to_thread.run_sync(find))


def called(wanted: str, devices: Sequence[KeptDevice]) -> KeptDevice | None:
    """Give the one of this id or name; None if there is none, or several."""
    by_id = next((one for one in devices if one.id == wanted), None)
    named = [one for one in devices if one.name.casefold() == wanted.casefold()]
    return by_id or (named[0] if len(named) == 1 else None)


def _filled(now: KeptDevice, before: KeptDevice | None) -> KeptDevice:
    if before is None or now.has is not None:
        return now
    return replace(
        now,
        has=before.has,
        address=now.address or before.address,
        firmware=now.firmware or before.firmware,
    )


def _device(row: object) -> KeptDevice | None:
    if not isinstance(row, dict):
        return None
    names = ("id", "name", "model", "hub", "firmware", "address")
    uuid, name, model, hub, firmware, address = (text_of(row.get(n)) for n in names)
    if uuid is None or name is None:
        return None
    has, channels = row.get("has"), row.get("channels")
    named = channels.items() if isinstance(channels, dict) else ()
    return KeptDevice(
        id=uuid,
        name=name,
        model=model,
        hub=hub,
        firmware=firmware,
        address=address,
        has=tuple(filter(None, map(text_of, has))) if isinstance(has, list) else None,
        channels={
            number: called
            for number, text in named
            if integer_of(number) is not None and (called := text_of(text))
        },
    )
