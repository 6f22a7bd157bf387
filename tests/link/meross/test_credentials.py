"""Where Meross's credentials are kept: files for their owner alone, keyrings, memory."""

from __future__ import annotations

import json
import logging
import os
import stat
import sys
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import anyio
import pytest

from structiot._kit.flow.tasks import service_group
from structiot._kit.redact import Secret
from structiot.errors import ConfigError
from structiot.meross.credential_stores import FileStore, KeyringStore
from structiot.meross.credentials import Credentials, CredentialStore, MemoryStore
from structiot.testing import cancel_sweep

pytestmark = pytest.mark.virtual_time

TOKEN, KEY = "planted-token-5e7c", "planted-key-9a1b"
CREDENTIALS = Credentials(
    token=Secret(TOKEN),
    key=Secret(KEY),
    user_id="123456",
    email="someone@example.org",
    domain="https://iotx-eu.meross.com",
    mqtt_domain="mqtt-eu.meross.com",
    issued_at_utc=datetime(2024, 1, 1, 10, tzinfo=UTC),
)
# As MerossIot writes it.
WRITTEN = {
    "token": TOKEN,
    "key": KEY,
    "user_id": "123456",
    "user_email": "someone@example.org",
    "domain": "https://iotx-eu.meross.com",
    "mqtt_domain": "mqtt-eu.meross.com",
    "issued_on": "2024-01-01T10:00:00",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "of" / "meross.json"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def planted(file: Path, text: str | bytes, mode: int = 0o600) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.chmod(mode)
    return file


def test_the_json_is_that_of_meross_iot():
    assert json.loads(CREDENTIALS.to_json()) == WRITTEN
    assert Credentials.from_json(json.dumps(WRITTEN)) == CREDENTIALS
    again = Credentials.from_json(CREDENTIALS.to_json())
    assert again == CREDENTIALS
    unknown = Credentials(token=Secret("t"), key=Secret("k"), user_id="1")
    assert Credentials.from_json(unknown.to_json()) == unknown


def test_old_and_odd_json():
    old = {name: WRITTEN[name] for name in ("token", "key", "user_id", "user_email")}
    read = Credentials.from_json(json.dumps(old))
    assert (read.domain, read.mqtt_domain, read.issued_at_utc) == ("", "", None)
    odd = {"domain": 7, "mqtt_domain": None, "issued_on": "yesterday", "more": [1]}
    assert Credentials.from_json(json.dumps(old | odd)) == read
    zoned = Credentials.from_json(
        json.dumps(WRITTEN | {"issued_on": "2024-01-01T12:00:00+02:00", "user_id": 7})
    )
    assert zoned.issued_at_utc == CREDENTIALS.issued_at_utc
    assert zoned.user_id == "7"


BAD = {
    "empty": "",
    "no JSON": '{"token": "planted-token-5e7c"',
    "a list": '["planted-token-5e7c"]',
    "no token": json.dumps(WRITTEN | {"token": ""}),
    "a token that cannot be sent": json.dumps(WRITTEN | {"token": f"{TOKEN}\r\nX: 1"}),
    "no key": json.dumps(WRITTEN | {"key": None}),
    "a user with a slash": json.dumps(WRITTEN | {"user_id": "1/#"}),
    "deep": "[" * 60_000,
    "long": json.dumps(WRITTEN | {"more": "x" * 70_000}),
}


@pytest.mark.parametrize("text", BAD.values(), ids=list(BAD))
def test_what_holds_no_credentials(text):
    with pytest.raises(ConfigError, match="credentials of Meross") as caught:
        Credentials.from_json(text)
    assert "planted" not in str(caught.value)


def test_token_key_and_user_are_not_shown():
    for shown in (repr(CREDENTIALS), str(CREDENTIALS), f"{CREDENTIALS}"):
        assert "planted" not in shown
        assert "123456" not in shown
        assert CREDENTIALS.domain in shown
    assert copy(CREDENTIALS) == CREDENTIALS


async def test_what_is_kept_in_a_file_comes_back(file):
    store: CredentialStore = FileStore(file)
    assert await store.load() is None
    await store.forget()
    await store.save(CREDENTIALS)
    assert await FileStore(str(file)).load() == CREDENTIALS
    assert mode_of(file) == 0o600
    assert mode_of(file.parent) == 0o700
    assert [one.name for one in file.parent.iterdir()] == ["meross.json"]
    await store.forget()
    assert not file.exists()
    assert await store.load() is None


async def test_a_file_is_for_its_owner_alone_from_the_beginning(file, monkeypatch):
    seen: list[int] = []
    real = os.fchmod

    def fchmod(descriptor: int, mode: int) -> None:
        seen.extend(mode_of(one) for one in file.parent.iterdir())
        real(descriptor, mode)

    monkeypatch.setattr("structiot._kit.private_file.os.fchmod", fchmod)
    before = os.umask(0)
    try:
        await FileStore(file).save(CREDENTIALS)
    finally:
        os.umask(before)
    assert seen == [0o600]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
async def test_a_file_that_others_can_read_is_closed_to_them(file, mode, caplog):
    planted(file, CREDENTIALS.to_json(), mode)
    with caplog.at_level(logging.WARNING, "structiot.meross"):
        assert await FileStore(file).load() == CREDENTIALS
    assert mode_of(file) == 0o600
    assert f"its mode was changed from {mode:04o} to 0600" in caplog.text
    assert "planted" not in caplog.text


async def test_one_that_cannot_be_closed_to_them_is_refused(file, monkeypatch):
    planted(file, CREDENTIALS.to_json(), 0o644)

    def chmod(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", chmod)
    with pytest.raises(ConfigError, match=r"others can read it.*not permitted"):
        await FileStore(file).load()


@pytest.mark.parametrize(
    "content", [*BAD.values(), b"\xff\xfe", b"\0" * 200], ids=[*BAD, "bytes", "zeros"]
)
async def test_a_damaged_file_is_named_and_left_as_it_is(file, content):
    planted(file, content, 0o644)
    before = file.read_bytes()
    with pytest.raises(ConfigError, match="left as it is") as caught:
        await FileStore(file).load()
    assert str(file) in str(caught.value)
    assert "planted" not in str(caught.value)
    assert file.read_bytes() == before
    assert mode_of(file) == 0o644


async def test_what_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="is no file"):
        await FileStore(tmp_path).load()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="is no file"):
        await FileStore(tmp_path / "pipe").load()
    (tmp_path / "plain").write_text("x")
    below = FileStore(tmp_path / "plain" / "meross.json")
    assert await below.load() is None
    with pytest.raises(ConfigError, match=r"plain/meross\.json.* cannot be written"):
        await below.save(CREDENTIALS)
    with pytest.raises(ConfigError, match="no file has the name that is given"):
        FileStore("a\0b")


async def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    file, monkeypatch
):
    store = FileStore(file)
    await store.save(CREDENTIALS)

    def fsync(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("structiot._kit.private_file.os.fsync", fsync)
    with pytest.raises(ConfigError, match="No space left") as caught:
        await store.save(Credentials(token=Secret("t"), key=Secret("k"), user_id="1"))
    assert "planted" not in str(caught.value)
    assert await store.load() == CREDENTIALS
    assert [one.name for one in file.parent.iterdir()] == ["meross.json"]


async def test_two_writers_leave_one_whole_file(file):
    stores = [FileStore(file) for _ in range(8)]
    async with service_group(is_awaited=True) as tasks:
        for store in stores:
            tasks.start_soon(store.save, CREDENTIALS)
    assert await stores[0].load() == CREDENTIALS
    assert [one.name for one in file.parent.iterdir()] == ["meross.json"]


async def test_a_link_stays_a_link(file, tmp_path):
    planted(file, CREDENTIALS.to_json())
    link = tmp_path / "link.json"
    link.symlink_to(file)
    changed = Credentials(token=Secret("t"), key=Secret("k"), user_id="1")
    await FileStore(link).save(changed)
    assert link.is_symlink()
    assert await FileStore(file).load() == changed


async def test_nothing_is_left_wherever_it_is_cancelled(file):
    async def flow() -> None:
        store = FileStore(file)
        await store.save(CREDENTIALS)
        assert await store.load() == CREDENTIALS

    assert await cancel_sweep(flow) > 2
    assert await FileStore(file).load() == CREDENTIALS


def test_where_a_file_is_by_default(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert FileStore().path == tmp_path / "structiot" / "meross.json"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/structiot:/b")
    assert FileStore().path == Path("/var/lib/structiot/meross.json")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "")

    def home() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(ConfigError, match="name a file"):
        FileStore()
    assert repr(FileStore("/a")) == "FileStore('/a')"


class Keyring(ModuleType):
    """What a keyring does, as the package of this name offers it."""

    def __init__(self) -> None:
        super().__init__("keyring")
        self.held: dict[tuple[str, str], str] = {}
        self.is_locked = False
        self.errors = ModuleType("keyring.errors")
        self.errors.KeyringError = KeyringError  # type: ignore[attr-defined]

    def get_password(self, service: str, account: str) -> str | None:
        if self.is_locked:
            raise KeyringError("locked, password=hunter2")
        return self.held.get((service, account))

    def set_password(self, service: str, account: str, text: str) -> None:
        self.held[service, account] = text

    def delete_password(self, service: str, account: str) -> None:
        del self.held[service, account]


class KeyringError(Exception):
    pass


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    ring = Keyring()
    monkeypatch.setitem(sys.modules, "keyring", ring)
    monkeypatch.setitem(sys.modules, "keyring.errors", ring.errors)
    return ring


async def test_what_is_kept_in_a_keyring_comes_back(keyring):
    store: CredentialStore = KeyringStore("our.service", "me")
    assert await store.load() is None
    await store.forget()
    await store.save(CREDENTIALS)
    assert list(keyring.held) == [("our.service", "me")]
    assert await store.load() == CREDENTIALS
    assert await KeyringStore("our.service", "you").load() is None
    keyring.held["our.service", "me"] = "damaged"
    with pytest.raises(ConfigError, match=r"our\.service cannot be used"):
        await store.load()
    await store.forget()
    assert keyring.held == {}
    assert repr(store) == "KeyringStore('our.service', 'me')"


async def test_a_keyring_that_cannot_be_used(keyring, monkeypatch):
    keyring.is_locked = True
    with pytest.raises(ConfigError, match=r"cannot be used: locked") as caught:
        await KeyringStore().load()
    assert "hunter2" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match=r"pip install 'structiot\[keyring\]'"):
        await KeyringStore().save(CREDENTIALS)


async def test_memory_keeps_as_long_as_it_lives():
    store: CredentialStore = MemoryStore(CREDENTIALS)
    assert await store.load() == CREDENTIALS
    await store.forget()
    assert await store.load() is None
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.save(CREDENTIALS)
    assert await store.load() == CREDENTIALS
