"""What outlasts a restart, and what becomes of a file that cannot be used."""

from __future__ import annotations

import json
import os
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from structiot._kit.flow.tasks import service_group
from structiot._kit.private_file import default_state_file
from structiot.errors import ConfigError
from structiot.gateway import InvalidConfig, load_config
from structiot.gateway.state_file import StateFile
from tests.gateway.configs import problems_of

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "of" / "house.json"


async def checked(file: Path) -> None:
    """Read a configuration that names the file, as `--check` does."""
    settings = {"gateway": {"state_file": str(file)}}
    await anyio.to_thread.run_sync(load_config, settings)


async def reopened(file: Path) -> StateFile:
    state = await StateFile.open(file)
    state.close()
    return state


async def test_sections_come_back(file):
    state = await StateFile.open(file)
    state.section("energy")["kitchen"] = 12.5
    await state.save()
    state.close()
    state.close()
    again = await reopened(file)
    assert again.section("energy") == {"kitchen": 12.5}
    assert again.section("other") == {}
    assert file.stat().st_mode & 0o777 == 0o600


async def test_without_a_path_it_is_in_memory():
    state = await StateFile.open(None)
    state.section("energy")["kitchen"] = 1
    await state.save()
    assert state.section("energy") == {"kitchen": 1}


async def test_it_is_written_soon_and_once_a_second(file):
    state = await StateFile.open(file)
    async with service_group() as tasks:
        tasks.start_soon(state.run)
        for number in range(100):
            state.section("a")["n"] = number
            state.save_soon()
            await anyio.sleep(0.05)
        await anyio.sleep(2)
    state.close()
    assert (await reopened(file)).section("a") == {"n": 99}


BROKEN = {
    "truncated": '{"version": 1, "sections": {"a": {"n": 1',
    "broken off soon": '{"ver',
    "empty": "",
    "zeros": bytes(512),
    "no JSON": '{"version": 1, hello',
    "no UTF-8": b'{"version": 1, "\xff\xfe',
    "deep": '{"version":' + "[" * 100_000,
    "old": '{"version": 0, "sections": {}}',
    "of tomorrow": '{"version": 2, "sections": {}}',
    "without sections": '{"version": 1}',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
async def test_a_file_that_cannot_be_used_is_set_aside_and_said_once(
    file, content, caplog
):
    file.parent.mkdir()
    raw = content if isinstance(content, bytes) else content.encode()
    file.write_bytes(raw)
    state = await StateFile.open(file)
    assert state.section("a") == {}
    assert (file.parent / "house.json.bad").read_bytes() == raw
    state.section("a")["n"] = 2
    await state.save()
    state.close()
    assert len(caplog.messages) == 1
    assert "is begun anew" in caplog.messages[0]
    assert (await reopened(file)).section("a") == {"n": 2}
    assert len(caplog.messages) == 1


FOREIGN = {
    "a configuration": b"[gateway]\nstate_file = 'house.json'\n",
    "a text": b"hello",
    "no UTF-8": b"\xff\xfe",
    "other JSON": b'{"name": "house"}',
    "a list": b"[]",
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
async def test_what_is_no_state_file_is_left_alone(file, content):
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"house\.json is no state file"):
        await StateFile.open(file)
    with pytest.raises(InvalidConfig, match="state_file is no state file"):
        await checked(file)
    assert file.read_bytes() == content
    assert list(file.parent.iterdir()) == [file]


async def test_a_folder_is_no_state_file(file):
    file.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"house\.json is no file"):
        await StateFile.open(file)
    with pytest.raises(InvalidConfig, match="state_file is no file"):
        await checked(file)


def test_a_configuration_that_names_itself_is_refused(tmp_path):
    text = "[gateway]\nstate_file = 'structiot.toml'"
    (problem,) = problems_of(tmp_path, text)
    assert problem.startswith("structiot.toml:2:14: state_file is no state file")


async def test_a_section_that_is_none_costs_itself(file):
    file.parent.mkdir()
    file.write_text('{"version": 1, "sections": {"a": 3, "b": {"n": 1}}}')
    state = await reopened(file)
    assert (state.section("a"), state.section("b")) == ({}, {"n": 1})


async def test_what_cannot_be_written_is_said_once_and_heals(file, caplog):
    state = await StateFile.open(file)
    state.section("a")["n"] = 1
    beside = file.parent / ".house.json.new"
    beside.mkdir()
    for _ in range(3):
        await state.save()
    assert len(caplog.messages) == 1
    beside.rmdir()
    await state.save()
    state.close()
    assert (await reopened(file)).section("a") == {"n": 1}


async def test_whether_it_is_written_is_told(file):
    state = await StateFile.open(file)
    assert await state.save()
    beside = file.parent / ".house.json.new"
    beside.mkdir()
    assert not await state.save()
    beside.rmdir()
    assert await state.save()
    state.close()


@pytest.mark.parametrize("what", ["house.json", ".house.json.lock"])
async def test_what_cannot_be_read_is_not_written_over(file, monkeypatch, what):
    state = await StateFile.open(file)
    state.section("energy")["kitchen"] = 12.5
    await state.save()
    state.close()
    opened, read = os.open, Path.read_bytes

    def refuses(path: Path) -> None:
        if Path(path).name == what:
            raise PermissionError(13, "Permission denied")

    def os_open(path: Path, *args: int) -> int:
        refuses(path)
        return opened(path, *args)

    def read_bytes(path: Path) -> bytes:
        refuses(path)
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", os_open)
        patch.setattr(Path, "read_bytes", read_bytes)
        with pytest.raises(ConfigError, match="Permission denied; it is not written"):
            await StateFile.open(file)
    assert (await reopened(file)).section("energy") == {"kitchen": 12.5}


async def test_a_link_is_another_name_of_the_same_file(file):
    state = await StateFile.open(file)
    link = file.parent / "link.json"
    link.symlink_to(file)
    with pytest.raises(ConfigError, match="in use by another gateway"):
        await StateFile.open(link)
    state.close()
    state = await StateFile.open(link)
    state.section("a")["n"] = 1
    await state.save()
    state.close()
    assert link.is_symlink()
    assert (await reopened(file)).section("a") == {"n": 1}


async def test_what_would_not_be_read_again_is_not_written(file, monkeypatch, caplog):
    monkeypatch.setattr("structiot.gateway.state_file._MAX_BYTES", 10_000)
    state = await StateFile.open(file)
    state.section("energy")["kitchen"] = 12.5
    for number in range(100):
        state.section("devices")[f"device {number}"] = "x" * 100
    for _ in range(3):
        assert await state.save()
    state.close()
    assert len([m for m in caplog.messages if "too long" in m]) == 1
    again = await reopened(file)
    assert again.section("energy") == {"kitchen": 12.5}
    assert again.section("devices") == {}


async def test_a_disk_that_hangs_delays_the_end_for_so_long_only(
    file, monkeypatch, caplog
):
    state = await StateFile.open(file)
    began_at = anyio.current_time()
    with monkeypatch.context() as patch:
        patch.setattr(state, "save", anyio.sleep_forever)
        await state.leave()
    assert anyio.current_time() - began_at == 10
    assert len([m for m in caplog.messages if "was not written after 10 s" in m]) == 1
    # Whoever still writes has the file.
    with pytest.raises(ConfigError, match="in use by another gateway"):
        await StateFile.open(file)
    await state.leave()
    await reopened(file)


async def test_a_half_written_file_takes_nobodys_place(file):
    state = await StateFile.open(file)
    state.section("a")["n"] = 1
    await state.save()
    state.close()
    # Whoever is killed while it is written leaves only what is beside it.
    (file.parent / ".house.json.new").write_text('{"version": 1, "sec')
    assert (await reopened(file)).section("a") == {"n": 1}


async def test_two_gateways_do_not_share_a_file(file):
    state = await StateFile.open(file)
    with pytest.raises(ConfigError, match="in use by another gateway"):
        await StateFile.open(file)
    state.close()
    await reopened(file)


async def test_no_file_has_such_a_name():
    with pytest.raises(ConfigError, match="no file has such a name"):
        await StateFile.open("a\0b")


async def test_a_folder_that_cannot_be_made_costs_the_memory_only(tmp_path, caplog):
    (tmp_path / "file").touch()
    state = await StateFile.open(tmp_path / "file" / "state.json")
    state.section("a")["n"] = 1
    await state.save()
    assert state.section("a") == {"n": 1}
    assert len(caplog.messages) >= 1


def test_it_is_where_the_system_wants_it(monkeypatch, tmp_path):
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_state_file("a") == tmp_path / "structiot" / "a.json"
    monkeypatch.setenv("XDG_STATE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_state_file("a") == tmp_path / ".local/state/structiot/a.json"
    monkeypatch.setenv("STATE_DIRECTORY", f"/var/lib/structiot{os.pathsep}/b")
    assert default_state_file("a") == Path("/var/lib/structiot/a.json")


async def test_its_content_is_for_people_too(file):
    state = await StateFile.open(file)
    state.section("a")["n"] = 1
    await state.save()
    state.close()
    found = json.loads(file.read_text())
    assert found["sections"] == {"a": {"n": 1}}
    assert set(found) == {"version", "saved_at", "sections"}
