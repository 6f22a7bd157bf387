"""A broker's store with rows that no broker wrote: each costs itself, and is said."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from structiot.errors import ConfigError
from structiot.mqtt.wire.messages import Message, Puback
from tests.link.broker.raw import broker_place
from tests.wire.broker.clients import lasting

pytestmark = pytest.mark.virtual_time

SESSION = "INSERT INTO sessions VALUES (1,'c',NULL,1000,1e11,NULL,NULL);"
MESSAGE = "INSERT INTO messages VALUES (1,'t',x'41');"
BODY = SESSION + MESSAGE
BAD = {
    "retained": [
        "INSERT INTO retained VALUES ('a/#', x'41', 1, NULL, NULL, NULL, NULL)",
        "INSERT INTO retained VALUES ('', x'41', 1, NULL, NULL, NULL, NULL)",
        "INSERT INTO retained VALUES (x'ff', x'41', 1, NULL, NULL, NULL, NULL)",
        "INSERT INTO retained VALUES (CAST(x'ff' AS TEXT), x'41', 1, NULL, NULL, NULL, NULL)",
        "INSERT INTO retained VALUES ('t', 'text', 1, NULL, NULL, NULL, NULL)",
        "INSERT INTO retained VALUES ('t', 5, 1, NULL, NULL, NULL, NULL)",
        "INSERT INTO retained VALUES ('t', x'41', 7, NULL, NULL, NULL, NULL)",
        "INSERT INTO retained VALUES ('t', x'41', 'x', NULL, NULL, NULL, NULL)",
        "INSERT INTO retained VALUES ('t', x'41', 1, x'ffffff', NULL, NULL, NULL)",
        "INSERT INTO retained VALUES ('t', x'41', 1, 'zz', NULL, NULL, NULL)",
        "INSERT INTO retained VALUES ('t', x'41', 1, NULL, 'soon', NULL, NULL)",
        "INSERT INTO retained VALUES ('t', x'41', 1, NULL, 9e999, NULL, NULL)",
        "INSERT INTO retained VALUES ('t', x'41', 1, NULL, NULL, x'ff', NULL)",
        "INSERT INTO retained VALUES ('t', x'41', 1, NULL, NULL, 'c', x'41')",
    ],
    "sessions": [
        "INSERT INTO sessions VALUES (1,'c',NULL,1000,NULL,x'ff00',NULL)",
        "INSERT INTO sessions VALUES (1,'c',NULL,'x','y',NULL,NULL)",
        "INSERT INTO sessions VALUES (1,x'ff',NULL,1000,1e11,NULL,NULL)",
        "INSERT INTO sessions VALUES (9223372036854775807,'c',NULL,1,1,NULL,NULL)",
    ],
    "subscriptions": [
        "INSERT INTO subscriptions VALUES (9,'a/#',1,0,0,0,NULL)",
        f"{SESSION} INSERT INTO subscriptions VALUES (1,'a#/',1,0,0,0,NULL)",
        f"{SESSION} INSERT INTO subscriptions VALUES (1,x'ff',1,0,0,0,NULL)",
        f"{SESSION} INSERT INTO subscriptions VALUES (1,'a',9,0,0,0,NULL)",
    ],
    "messages": ["INSERT INTO messages VALUES (9223372036854775807,'t',x'41')"],
    "deliveries": [
        "INSERT INTO deliveries VALUES (1,9,1,0,2,NULL,NULL,NULL,NULL)",
        f"{SESSION} INSERT INTO deliveries VALUES (1,1,1,0,2,77,NULL,NULL,NULL)",
        f"{BODY} INSERT INTO deliveries VALUES (1,1,1,99,2,1,NULL,NULL,NULL)",
        f"{BODY} INSERT INTO deliveries VALUES (1,1,70000,1,2,1,NULL,NULL,NULL)",
        f"{BODY} INSERT INTO deliveries VALUES (1,1,0,1,2,1,NULL,NULL,NULL)",
        f"{BODY} INSERT INTO deliveries VALUES (1,1,1,0,2,1,x'ff',NULL,NULL)",
        f"{BODY} INSERT INTO deliveries VALUES (9223372036854775807,1,1,0,2,1,NULL,NULL,NULL)",
        f"{BODY} INSERT INTO deliveries VALUES (1,1,1,0,2,1,NULL,NULL,'a/b')",
        f"{BODY} INSERT INTO deliveries VALUES (1,1,1,0,2,1,NULL,NULL,'$share/g')",
    ],
    "received": [f"{SESSION} INSERT INTO received VALUES (1,'x')"],
}
SCHEMAS = {
    "no table 'deliveries'": "DROP TABLE deliveries",
    "table 'retained' is not as we make it": "ALTER TABLE retained ADD COLUMN x",
    "trigger 't', which is none of ours": (
        "CREATE TRIGGER t BEFORE INSERT ON retained "
        "BEGIN SELECT RAISE(ABORT, 'no'); END"
    ),
    "index 'i', which is none of ours": "CREATE UNIQUE INDEX i ON messages (topic)",
}


def edit(file: Path, statements: str) -> None:
    with closing(sqlite3.connect(file)) as store:
        store.executescript(statements)


def count(file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as store:
        query = f"SELECT count(*) FROM {table}"
        found: int = store.execute(query).fetchone()[0]
    return found


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A store that has a good retained message."""
    path = tmp_path / "broker.sqlite"
    async with broker_place(store=path) as place:
        publisher = await place.client("p", 5)
        await publisher.send(Message("good", b"kept", qos=1, packet_id=1, retain=True))
        await publisher.expect(Puback)
    return path


@pytest.mark.parametrize(
    ("table", "statements"),
    [(table, one) for table, all_ in BAD.items() for one in all_],
)
async def test_a_bad_row_costs_itself(file: Path, table: str, statements: str, caplog):
    good = 1 if table == "retained" else 0
    edit(file, statements)
    assert count(file, table) == good + 1
    async with broker_place(store=file) as place:
        client = await place.raw(5)
        assert not (await client.connect("c", **lasting(5))).reason
        await client.subscribe("good", qos=1)
        assert await client.payloads(1) == [b"kept"]
        await client.send(Message("x", b"1", qos=1, packet_id=9, retain=True))
        await client.expect(Puback)
    bad = f"the store {file}: 1 of {good + 1} {table} cannot be used and are left out"
    assert [one for one in caplog.messages if "cannot be used" in one] == [bad]
    caplog.clear()
    async with broker_place(store=file):
        pass
    assert not [one for one in caplog.messages if "cannot be used" in one]


async def test_what_a_member_left_goes_to_its_group_after_a_kill(file: Path):
    """A session that was over has an id there that begins with a NUL."""
    share = "$share/g/t"
    edit(
        file,
        "INSERT INTO sessions VALUES (7,char(0)||'7',NULL,0,NULL,NULL,NULL);"
        "INSERT INTO sessions VALUES (8,'c',NULL,1000,NULL,NULL,NULL);"
        f"INSERT INTO subscriptions VALUES (7,'{share}',1,0,0,0,NULL);"
        f"INSERT INTO subscriptions VALUES (8,'{share}',1,0,0,0,NULL);"
        "INSERT INTO messages VALUES (1,'t',x'41');"
        f"INSERT INTO deliveries VALUES (1,7,0,0,2,1,NULL,NULL,'{share}');",
    )
    async with broker_place(store=file) as place:
        client = await place.raw(5)
        assert (await client.connect("c", **lasting(5))).session_present
        assert await client.payloads(1) == [b"A"]
    assert count(file, "sessions") == 1


@pytest.mark.parametrize("clock", ["'a','b'", "1e308,1e308", "9e999,0"])
async def test_a_clock_that_nobody_has_had_is_none(file: Path, clock: str):
    edit(file, f"INSERT OR REPLACE INTO clock VALUES (1,{clock})")
    async with broker_place(store=file) as place:
        client = await place.raw(5)
        await client.connect("c", **lasting(5))
        await client.subscribe("#")
        assert await client.payloads(1) == [b"kept"]


@pytest.mark.parametrize(("fault", "statement"), SCHEMAS.items(), ids=list(SCHEMAS))
async def test_a_file_that_is_built_otherwise_is_refused_by_its_name(
    file: Path, fault: str, statement: str
):
    edit(file, statement)
    with pytest.raises(ConfigError) as caught:
        async with broker_place(store=file):
            pass
    text = str(caught.value)
    assert text.startswith(f"{file} is not the store of a broker of this version: ")
    assert text.endswith(fault)
