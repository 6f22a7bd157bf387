"""A client's store with rows that no client wrote: each costs itself, and is said."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot.errors import ConfigError, InternalError
from structiot.mqtt import MqttClient
from structiot.mqtt.link.store import SqliteStore
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import open_client

COLUMNS = (
    "'cid',{number},{stage},1,2,{topic},{payload},{properties},{written},{expires}"
)
GOOD = {
    "number": "1",
    "stage": "0",
    "topic": "'t'",
    "payload": "x'41'",
    "properties": "NULL",
    "written": "NULL",
    "expires": "NULL",
}
BAD = [
    {"properties": "'{'"},
    {"properties": "'[]'"},
    {"properties": """'{"correlation_data":null,"user_properties":[],"zz":1}'"""},
    {"properties": """'{"correlation_data":"%%%","user_properties":[["a"]]}'"""},
    {"properties": "x'ff'"},
    {"topic": "x'ff'"},
    {"topic": "CAST(x'ff' AS TEXT)"},
    {"payload": "'x'"},
    {"payload": "5"},
    {"stage": "99"},
    {"stage": "'x'"},
    {"number": "9223372036854775807"},
    {"written": "'a'", "expires": "'b'"},
    {"written": "9e999", "expires": "9e999"},
]


def edit(file: Path, statements: str) -> None:
    with closing(sqlite3.connect(file)) as store:
        store.executescript(statements)


def opened(broker: FakeBroker, file: Path) -> AbstractAsyncContextManager[MqttClient]:
    lasting: dict[str, Any] = {"cleansession": False, "reconnect_retries": 1}
    return open_client(broker, store=file, client_id="cid", goodbye_s=0.1, **lasting)


@pytest.fixture
async def file(tmp_path: Path, broker: FakeBroker) -> Path:
    path = tmp_path / "session.sqlite"
    async with opened(broker, path):
        pass
    return path


def inserted(bad: dict[str, str]) -> str:
    return f"INSERT INTO flows VALUES ({COLUMNS.format(**GOOD | bad)})"


@pytest.mark.parametrize(
    "statement",
    [
        *map(inserted, BAD),
        *(f"INSERT INTO received VALUES ('cid',{i},1)" for i in ("'x'", "70000")),
    ],
)
async def test_a_bad_row_costs_itself(
    broker: FakeBroker, file: Path, statement: str, caplog
):
    edit(file, statement)
    bad = f"the store {file}: left out, as it cannot be used: 1 row"
    for said in ([bad], []):
        caplog.clear()
        with anyio.fail_after(10):
            async with opened(broker, file) as client:
                await client.publish("x", b"1", qos=1)
        assert [one for one in caplog.messages if "cannot be used" in one] == said


@pytest.mark.parametrize(
    ("fault", "statement"),
    [
        ("no table 'flows'", "DROP TABLE flows"),
        ("table 'flows' is not as we make it", "ALTER TABLE flows ADD COLUMN x"),
        (
            "trigger 't', which is none of ours",
            "CREATE TRIGGER t BEFORE INSERT ON flows BEGIN SELECT RAISE(ABORT,'n'); END",
        ),
        (
            "table 'mine', which is none of ours",
            "PRAGMA user_version=0; CREATE TABLE mine (x)",
        ),
    ],
)
async def test_a_file_that_is_built_otherwise_is_refused_by_its_name(
    broker: FakeBroker, file: Path, fault: str, statement: str
):
    edit(file, statement)
    with pytest.raises(ConfigError) as caught:
        async with opened(broker, file):
            pass
    assert str(file) in str(caught.value)
    assert str(caught.value).endswith(fault)


async def test_what_nobody_knows_of_a_store_is_said_with_its_cause(
    broker: FakeBroker, file: Path, monkeypatch: pytest.MonkeyPatch
):
    def odd(*_: object) -> None:
        raise LookupError("odd")

    monkeypatch.setattr(SqliteStore, "load", odd)
    with pytest.raises(InternalError, match=f"{file}: LookupError: odd"):
        async with opened(broker, file):
            pass
