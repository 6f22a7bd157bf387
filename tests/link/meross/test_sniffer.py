"""Listening to an app and a device: what is heard, and the file that it becomes."""

from __future__ import annotations

import itertools
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from structiot.errors import ConfigError
from structiot.meross.capture import open_sniffer
from structiot.meross.wire.envelope import Envelope, Method
from structiot.meross.wire.payloads import items_of
from structiot.testing import cancel_sweep
from tests.link.meross.eavesdropping import (
    LIGHT,
    TOGGLE,
    UUID,
    bytes_of,
    commands_of,
    log_of,
    make_folder,
    mode_of,
    names_beside,
    room,
    texts_of,
    write,
)

pytestmark = pytest.mark.virtual_time

PLACEHOLDER = "0" * 20 + "020000000001"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.zip"


async def test_what_an_app_orders_and_a_device_tells_is_captured(path: Path):
    async with room() as here:
        before = len(here.sim.requests)
        async with here.sniffing(path) as sniffer:
            sniffer.annotate("off by the app")
            await here.switch(is_on=False)
            sniffer.annotate("on by its button")
            await here.sim.press()
            await anyio.sleep(1)
            counts = dict(sniffer.counts)
        assert len(here.sim.requests) - before == 3  # one order, and our two questions
    assert counts["annotation"] == 2
    assert counts["dropped"] == counts["malformed"] == counts["foreign"] == 0
    assert set(texts_of(path)) == {
        "manifest.json",
        "log.ndjson",
        "commands.json",
    }
    told = [
        (line["by"], items_of(line["message"]["payload"], "togglex")[0]["onoff"])
        for line in log_of(path)
        if line["kind"] == "push"
        if line["message"]["header"]["namespace"] == TOGGLE
    ]
    assert told == [("device", 0), ("device", 1)]
    (order,) = [one for one in commands_of(path) if one["by"] == "app"]
    assert (order["method"], order["namespace"]) == ("SET", TOGGLE)
    assert order["payload"] == {"togglex": {"channel": 0, "onoff": 0}}
    assert order["annotation"] == "off by the app"
    assert order["answer"] is None  # the broker does not let us hear it


async def test_the_manifest_says_whose_it_is(path: Path):
    async with room("msl120") as here, here.sniffing(path):
        await here.switch(is_on=False)
    manifest = json.loads(texts_of(path)["manifest.json"])
    assert manifest["format"] == "structiot.meross.capture"
    assert manifest["device"]["uuid"] == PLACEHOLDER
    assert manifest["device"]["model"] == "msl120"
    assert manifest["device"]["firmware"]
    assert LIGHT in manifest["abilities"]
    assert manifest["is_complete"] is True
    lines = log_of(path)
    assert manifest["counts"]["request"] == sum(x["kind"] == "request" for x in lines)
    assert manifest["began_at"] < lines[-1]["at"] <= manifest["ended_at"]


async def test_answers_to_the_app_are_heard_where_the_broker_allows_it(path: Path):
    async with room(apps_hear="answers") as here:
        async with here.sniffing(path):
            await here.switch(is_on=False)
            await here.switch(is_on=True)
    orders = [one for one in commands_of(path) if one["by"] == "app"]
    # The first told who the app is.
    answers = [one["answer"] and one["answer"]["method"] for one in orders]
    assert sorted(map(str, answers)) == ["None", "SETACK"]


async def test_a_question_whose_answer_was_not_heard_is_asked_once_more(path: Path):
    async with room() as here:
        async with here.sniffing(path):
            for _ in range(3):
                await here.app.ask(TOGGLE, Method.GET, UUID)
                await here.app.ask("Appliance.Config.WifiList", Method.GET, UUID)
                await anyio.sleep(20)
    ours = [one for one in commands_of(path) if one["by"] == "structiot"]
    assert [one["namespace"].rpartition(".")[2] for one in ours] == [
        "Ability",
        "All",
        "ToggleX",
    ]
    assert ours[2]["answer"]["payload"]["togglex"]


async def test_a_device_that_is_removed_meanwhile_is_listened_to(path: Path):
    async with room() as here:
        async with here.sniffing(path):
            sender = f"/appliance/{UUID}/publish"
            unbind = Envelope(
                namespace="Appliance.Control.Unbind",
                method=Method.PUSH,
                message_id="0" * 32,
                sender=sender,
            )
            here.account.pushed(unbind)
            assert not here.account.devices
            await here.app.ask(TOGGLE, Method.GET, UUID)
            await anyio.sleep(20)
            await here.switch(is_on=False)
    assert any("was asked in vain" in line.get("text", "") for line in log_of(path))
    assert [one["method"] for one in commands_of(path) if one["by"] == "app"]


async def test_whoever_only_listens_asks_nothing(path: Path):
    async with room() as here:
        before = len(here.sim.requests)
        async with here.sniffing(path, asks=False):
            await here.app.ask(TOGGLE, Method.GET, UUID)
            await anyio.sleep(30)
        assert len(here.sim.requests) - before == 1


async def test_other_devices_and_nonsense_are_left_out_and_counted(path: Path):
    async with room() as here:
        here.cloud.register(uuid="o" * 32, name="Other")
        topic = f"/appliance/{UUID}/subscribe"
        async with here.sniffing(path) as sniffer:
            await here.app.mqtt.publish(topic, b'{"password": "hunter22"', qos=1)
            here.cloud.unbind("o" * 32)
            await anyio.sleep(1)
            counts = sniffer.counts
            assert (counts["malformed"], counts["foreign"]) == (1, 1)
    assert "hunter22" not in str(texts_of(path))
    assert not any(x["kind"] == "push" for x in log_of(path))


async def test_what_the_broker_kept_is_of_any_time_and_left_out(path: Path):
    async with room() as here:
        topic = f"/appliance/{UUID}/subscribe"
        async with here.sniffing(path, asks=False) as sniffer:
            kept = b'{"header": {"messageId": "1", "method": "GET", "namespace": "X"}}'
            assert here.cloud.broker._server is not None
            here.cloud.broker._server.publish(topic, kept, qos=1, retain=True)
            await anyio.sleep(1)
        async with here.sniffing(path, asks=False, overwrites=True) as sniffer:
            assert sniffer.counts["malformed"] == 1


async def test_a_folder_in_the_place_of_the_file_stays(path: Path):
    make_folder(path)
    async with room() as here:
        with pytest.raises(ConfigError, match="is a folder"):
            async with here.sniffing(path, overwrites=True):
                pass


async def test_records_come_while_it_listens(path: Path):
    async with room() as here:
        async with here.sniffing(path) as sniffer, sniffer.records() as records:
            await here.switch(is_on=False)
            record = await anext(records)
            assert record.kind == "request"
            assert record.envelope is not None
            assert record.envelope.namespace == TOGGLE
            assert record.is_signed is True
        assert record.topic == f"/appliance/{PLACEHOLDER}/subscribe"


async def test_the_file_is_its_owners_alone_and_takes_nobodys_place(path: Path):
    async with room() as here:
        async with here.sniffing(path) as sniffer:
            (log,) = path.parent.glob(".data.zip.*.log.ndjson")
            assert mode_of(log) == 0o600
            assert names_beside(path) == [log.name]
            assert sniffer.path == path
        assert mode_of(path) == 0o600
        assert names_beside(path) == [path.name]
        first = bytes_of(path)
        with pytest.raises(ConfigError, match=r"data\.zip is there already"):
            async with here.sniffing(path):
                pass
        assert bytes_of(path) == first
        async with here.sniffing(path, overwrites=True):
            await here.switch(is_on=False)
        assert bytes_of(path) != first
        assert names_beside(path) == [path.name]


async def test_somebodys_file_that_came_meanwhile_is_left_and_the_log_stays(path: Path):
    async with room() as here:
        with pytest.raises(ConfigError, match="what was heard is in"):
            async with here.sniffing(path):
                write(path, b"mine")
    assert bytes_of(path) == b"mine"
    assert [*path.parent.glob(".data.zip.*.log.ndjson")]


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path):
    async with room() as here:
        with pytest.raises(ConfigError, match="cannot be written: No such file"):
            async with here.sniffing(tmp_path / "no" / "data.zip"):
                pass


async def test_whoever_is_cancelled_or_fails_keeps_what_was_heard(path: Path):
    async with room() as here:
        with anyio.CancelScope() as scope:
            async with here.sniffing(path):
                await here.switch(is_on=False)
                scope.cancel()
        assert TOGGLE in texts_of(path)["log.ndjson"]
        with pytest.raises(LookupError):
            async with here.sniffing(path, overwrites=True):
                raise LookupError
        assert "Ability" in texts_of(path)["log.ndjson"]


async def test_lines_are_in_the_file_while_it_listens(path: Path):
    async with room() as here, here.sniffing(path):
        await here.switch(is_on=False)
        (log,) = path.parent.glob(".data.zip.*.log.ndjson")
        assert TOGGLE in bytes_of(log).decode()


async def test_a_log_that_is_full_takes_no_more_and_says_so(path: Path):
    async with room() as here:
        async with here.sniffing(path, max_log_bytes=8_000) as sniffer:
            for turn in range(20):
                await here.switch(is_on=turn % 2 == 0)
            assert sniffer.counts["dropped"] > 10
    assert len(texts_of(path)["log.ndjson"]) <= 8_000
    manifest = json.loads(texts_of(path)["manifest.json"])
    assert manifest["is_complete"] is False
    assert manifest["counts"]["dropped"] > 10


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_disk_that_is_full_for_a_while_costs_what_came_then(path: Path):
    async with room() as here:
        with pytest.raises(ConfigError, match="written any more: File too large"):
            async with here.sniffing(path):
                with full_disk(8_000):
                    for turn in range(20):
                        await here.switch(is_on=turn % 2 == 0)
    assert names_beside(path) == [path.name]
    assert 5 < len(log_of(path)) < 40


async def test_a_disk_that_stays_full_keeps_the_log_and_says_where(path: Path):
    async with room() as here:
        with full_disk(1_000), pytest.raises(ConfigError) as caught:
            async with here.sniffing(path, asks=False):
                await here.switch(is_on=False)
                await here.switch(is_on=True)
    (log,) = path.parent.glob(".data.zip.*.log.ndjson")
    assert f"what was heard is in {log}: File too large" in str(caught.value)
    assert names_beside(path) == [log.name]
    lines = bytes_of(log).decode().splitlines()
    assert [json.loads(line)["kind"] for line in lines]


async def test_it_hears_again_after_the_broker_was_away(path: Path):
    async with room() as here:
        async with here.sniffing(path):
            await here.cloud.broker.reboot(10)
            await anyio.sleep(120)
            await here.switch(is_on=False)
            await here.sim.press()
            await anyio.sleep(1)
    kinds = [
        one["kind"]
        for one in log_of(path)
        if one.get("message", {}).get("header", {}).get("namespace") == TOGGLE
    ]
    assert kinds == ["request", "push", "push"]


async def test_whoever_is_cancelled_anywhere_leaves_no_log_behind(tmp_path: Path):
    numbers = itertools.count()
    async with room() as here:
        # Found out about before, as that takes answers of the cloud.
        await anyio.sleep(60)

        async def flow() -> None:
            path = tmp_path / f"{next(numbers)}.zip"
            async with open_sniffer(
                here.account, here.device, path, environment=here.environment
            ) as sniffer:
                sniffer.annotate("here")
                await anyio.sleep(1)

        rounds = await cancel_sweep(flow)
    assert rounds > 5
    names = names_beside(tmp_path / "x")
    assert not [one for one in names if not one.endswith(".zip")]
    assert names
    for name in names:
        assert "manifest.json" in texts_of(tmp_path / name)


async def test_a_broker_that_lets_nobody_overhear_leaves_what_devices_tell(path: Path):
    async with room(apps_hear="own") as here:
        async with here.sniffing(path):
            await here.switch(is_on=False)
    lines = log_of(path)
    assert any(x["kind"] == "push" for x in lines)
    assert not any(x["by"] == "app" for x in lines)
    notes = [x["text"] for x in lines if x["kind"] == "note"]
    assert any(f"not heard: /appliance/{PLACEHOLDER}/subscribe" in x for x in notes)


async def test_a_device_that_is_off_is_listened_to_nevertheless(path: Path):
    async with room() as here:
        await here.sim.unplug()
        async with here.sniffing(path):
            await here.app.ask(TOGGLE, Method.GET, UUID)
            await anyio.sleep(60)
    notes = [x["text"] for x in log_of(path) if x["kind"] == "note"]
    assert any("was asked in vain" in x for x in notes)
