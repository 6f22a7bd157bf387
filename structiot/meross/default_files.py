"""Where an account's files are if nobody says where: in the user's state folder.

An account is its e-mail, and its server if that is none of Meross's, such as a simulator.
What talks over a network in memory leaves nothing in anybody's home: its files are that
network's, and gone with the program.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from structiot._kit.net.network import Network, RealNetwork
from structiot._kit.private_file import default_state_file
from structiot.errors import ConfigError
from structiot.meross.credentials import Credentials

__all__ = ["default_file"]

_MEROSS: Final = ".meross.com"
_PATTERN: Final = "meross-*.json"

_folders: weakref.WeakKeyDictionary[Network, Path] = weakref.WeakKeyDictionary()


def default_file(
    email: str | None, *, url: str | None = "", network: Network | None = None
) -> Path:
    """Name the file for an account's token; looks at the disk.

    Args:
        email: The account; None for the only one that there is a file of.
        url: Where it signs in; None for where the token that is kept is from.
        network: What it talks over; real sockets by default.

    Raises:
        ConfigError: There is no home for it, or there are several accounts.
    """
    folder = _folder_of(network)
    usual = f"meross-{_digest_of(email, url or '')}.json" if email else "meross.json"
    if email and (url is not None or (folder / usual).exists()):
        return folder / usual
    found = sorted(folder.glob(_PATTERN))
    if email:
        found = [one for one in found if _is_of(one, email)]
    if len(found) > 1:
        accounts = "tokens of this account at" if email else "tokens of"
        what = f"{len(found)} {'servers' if email else 'accounts'}"
        missing = "url=" if email else "email="
        raise ConfigError(f"{folder} holds {accounts} {what}: give {missing}")
    return found[0] if found else folder / usual


def _is_of(file: Path, email: str) -> bool:
    try:
        kept = Credentials.from_json(file.read_text("utf-8"))
    except (OSError, ValueError):
        # Who uses it is told so.
        return False
    return kept.email.lower() == email.lower()


def _folder_of(network: Network | None) -> Path:
    if network is not None and not isinstance(network, RealNetwork):
        folder = _folders.get(network)
        if folder is None:
            folder = _folders[network] = Path(tempfile.mkdtemp(prefix="structiot-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder
    path = default_state_file("meross")
    if path is None:
        raise ConfigError("no home to keep Meross's token in: name a file for it")
    return path.parent


def _digest_of(email: str, url: str) -> str:
    """Give what names an account, and does not tell whose it is."""
    try:
        host, server = urlsplit(url).hostname, urlsplit(url).netloc.lower()
    except ValueError:
        # Who signs in there is told so.
        host, server = None, url
    is_meross = not url or f".{host}".endswith(_MEROSS)
    account = f"{email.lower()} {'' if is_meross else server}"
    return hashlib.sha256(account.encode("utf-8", "replace")).hexdigest()[:16]
