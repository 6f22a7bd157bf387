"""`structiot manager clients` and `send`: what reaches managers that are running."""

from __future__ import annotations

import io
import json
import sys

import pytest

from structiot.cli.main import run_program

pytestmark = pytest.mark.e2e
LAMP = "00000000-0000-0000-0000-000000000001"
OTHER_LAMP = "00000000-0000-0000-0000-000000000002"
PLUG = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
NOBODY = "00000000-0000-0000-0000-0000000000ff"


@pytest.fixture
def both(house):
    """Two lamps at one manager, a device of our own dialect at the other."""
    first = house.serve("first")
    second = house.serve("second", dialect="structiot")
    lamps = house.dial_in(first, 2, type="lamp")
    (plug,) = house.dial_in(second, type="plug", dialect="structiot", uuids=[PLUG])
    return house, (*lamps, plug)


def test_the_devices_of_all_managers_are_listed(both, call):
    house, _ = both
    rows = json.loads(call("clients", "--uri", house.uri, "--json"))
    assert [(row["uuid"], row["type"], row["node"]) for row in rows] == [
        (LAMP, "lamp", "first"),
        (OTHER_LAMP, "lamp", "first"),
        (PLUG, "plug", "second"),
    ]
    assert rows[0]["data"] == {"is_on": False}
    host, port = rows[0]["address"]
    assert (host, port) == house.managers[0].clients[LAMP].address
    assert [row["dialect"] for row in rows] == ["D0", "D0", "structiot"]
    shown = call("clients", "--uri", house.uri, "--type", "lamp")
    assert shown.count(" lamp ") == 2
    assert '{"is_on":false}' in shown
    assert PLUG not in shown


def test_what_a_device_says_of_itself_is_no_order_to_a_terminal(house, call):
    manager = house.serve("first")
    (lamp,) = house.dial_in(manager)
    client = manager.clients[lamp.uuid]
    client.data.data["name"] = "\x1b[31mred \u202e"
    manager.changed(client)
    shown = call("clients", "--uri", house.uri)
    assert "red" in shown
    assert shown.replace("\n", "").isprintable()
    told = call("clients", "--uri", house.uri, "--json")
    assert told.rstrip("\n").isprintable()
    assert json.loads(told)[0]["data"]["name"] == "\x1b[31mred \u202e"


@pytest.mark.parametrize(
    ("to", "reached"),
    [
        ([LAMP.replace("-", "").upper()], [LAMP]),
        (["--type", "lamp"], [LAMP, OTHER_LAMP]),
        (["--all"], [LAMP, OTHER_LAMP, PLUG]),
    ],
    ids=["one", "type", "all"],
)
def test_a_message_reaches_whom_it_is_for(both, call, to, reached):
    house, fleet = both
    told = json.loads(call("send", "--uri", house.uri, *to, "hello", "--json"))
    assert sorted(told["delivered"]) == reached
    assert told["failed"] == {}
    house.wait_for(
        lambda: [one.uuid for one in fleet if b"hello" in one.received] == reached
    )


def test_what_stands_on_standard_input_is_one_message(both, call, monkeypatch):
    house, (*_, plug) = both
    stdin = io.TextIOWrapper(io.BytesIO(b"\x00two\nlines\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setenv("STRUCTIOT_MANAGER_URI", house.uri)
    shown = call("send", PLUG)
    assert shown.split()[-3:] == [PLUG, "delivered", "-"]
    house.wait_for(lambda: list(plug.received) == [b"\x00two\nlines\n"])


def test_to_whom_it_was_not_delivered_is_told_and_why(both, backend, capsys):
    house, _ = both

    def send(*words: str) -> tuple[str, str]:
        options = ["--uri", house.uri, "--backend", backend]
        assert run_program(["manager", "send", *words, *options]) == 1
        captured = capsys.readouterr()
        return captured.out, captured.err

    shown, said = send(NOBODY, "hello")
    assert f"{NOBODY} is not connected" in shown
    assert "not delivered" in shown
    assert said == ""
    # The lamps would obey it as a command; our own dialect knows messages from commands.
    shown, _ = send("--all", "\x01", "--json")
    told = json.loads(shown)
    assert told["delivered"] == [PLUG]
    assert told["failed"].keys() == {LAMP, OTHER_LAMP}
    assert told["failed"][LAMP]["fate"] == "not delivered"
    shown, said = send("--type", "toaster", "hello")
    assert (shown, said) == ("", "no such device is connected\n")


def test_a_send_whose_fate_nobody_knows_is_called_so(house, backend, capsys):
    manager = house.serve("first", dialect="structiot")
    (device,) = house.dial_in(manager, dialect="structiot")
    # It takes the message, and acknowledges no more than half of it.
    device.misbehave("half_sent")
    words = [device.uuid, "hello", "--json", "--uri", house.uri, "--backend", backend]
    assert run_program(["manager", "send", *words]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["failed"][device.uuid]["fate"] == "unknown"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["send", "--uri", "mqtt://x"], "say to whom: UUID, --type TYPE or --all"),
        (["send", "--uri", "mqtt://x", "lamp", "on"], "'lamp' is no UUID"),
        (["send", "--uri", "mqtt://x", LAMP, "a", "b"], "TEXT is one word"),
        (["send", "--uri", "mqtt://x", "--all", "--type=a", "b"], "--all are all"),
        (["send", "--uri", "mqtt://x", "--all", LAMP, "on"], "and one of them only"),
        (["send", "--uri", "mqtt://x", "--type=a", LAMP, "on"], "and one of them only"),
        (["send", LAMP, "on"], "--uri"),
        (["clients", "--uri", "nonsense://x"], "nonsense"),
        (["clients", "--uri", "mqtt://x", "--name", "a b"], "a name has 1 to 64"),
    ],
)
def test_what_cannot_be_meant_is_a_wrong_argument(call, words, said):
    assert said in call(*words, status=2)


@pytest.mark.parametrize("is_empty", [True, False], ids=["no device", "no manager"])
def test_where_nothing_is_it_is_said_what_is_missing(house, backend, capsys, is_empty):
    house.serve("first")
    name = "fleet" if is_empty else "other"
    missing = "no manager is connected to this broker under this --name\n"
    if is_empty:
        missing = "no such device is connected\n"
    where = ["--uri", house.uri, "--name", name, "--backend", backend]
    for words, status, shown in (
        (["clients"], 0, ""),
        (["clients", "--json"], 0, "[]\n"),
        (["send", "--all", "hello", "--json"], 1, '{"delivered": [], "failed": {}}\n'),
    ):
        assert run_program(["manager", *words, *where]) == status
        assert capsys.readouterr() == (shown, missing)
    assert run_program(["manager", "send", NOBODY, "hello", *where]) == 1
    found = capsys.readouterr()
    assert "is not connected" in found.out
    assert found.err == ("" if is_empty else missing)


def test_a_broker_that_is_not_there_is_asked_about(call):
    said = call("clients", "--uri", "mqtt://127.0.0.1:1", status=1)
    assert said.endswith("; is the broker there?\n")
    assert said.count("\n") == 1


def test_a_shell_is_offered_the_devices_that_are_connected(both, complete):
    house, _ = both
    before = f"manager send --uri {house.uri}"
    offered: list[str] = []
    for _ in range(5):
        # The managers have just been started: they tell nothing twice in two seconds.
        offered = offered or complete(f"{before} 0000")
    assert offered == [f"{one} lamp" for one in (LAMP, OTHER_LAMP)]
    assert complete(f"{before} --all x") == []
    assert complete("manager send --uri mqtt://127.0.0.1:1 0") == []
    assert complete("manager ")[:2] == [
        "clients List the devices that are connected.",
        "send Send a message to devices.",
    ]
