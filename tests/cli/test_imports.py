"""What each command may load before it knows what it is for.

A library is a tenth of a second that everybody waits for, the shell that completes a word
among them. What stands here is all there may be; what a command turns out to need (httpx
for a cloud, rich for a table, wsproto for a websocket, ifaddr for a search) comes then.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests._support.broker_process import BrokerProcess
from tests.cli.test_main import COMMANDS, GROUPS

# What the parser of command lines and the loop bring along, and what types need.
ALWAYS = {
    "_distutils_hack",
    "anyio",
    "asyncclick",
    "idna",
    "sniffio",
    "typing_extensions",
}
CLIENT = {"structiot.mqtt"}
BROKER = {*CLIENT, "structiot.mqtt.broker", "h11", "wsproto"}
DEVICE = {f"structiot.{name}" for name in ("_device", "energy", "model", "units")}
GATEWAY = {
    *BROKER,
    *(f"structiot.{name}" for name in ("energy", "gateway", "model")),
    *("annotated_types", "pydantic", "pydantic_core", "typing_inspection"),
}
MAXSMART = {*DEVICE, "structiot.maxsmart", "h11", "rich"}
MEROSS = {*DEVICE, *CLIENT, "structiot.meross", "h11", "cryptography", "rich"}
SIM = {"structiot.sim", "structiot.meross", "h11", "rich"}

MAY_LOAD: dict[str, set[str]] = {
    "completion": set(),
    "connector devices": {*GATEWAY, "structiot.connector", "rich"},
    "connector run": GATEWAY,
    "connector store": {"structiot.connector", "rich"},
    # How many devices its house has.
    "demo": {*GATEWAY, "structiot.sim", "rich"},
    "history": {*GATEWAY, "rich"},
    "manager": {*CLIENT, "structiot.manager", "rich"},
    "manager simulate": {*SIM, "structiot.manager"},
    "maxsmart": MAXSMART,
    "meross": MEROSS,
    "meross replay": {*SIM, *BROKER, "cryptography"},
    # Commands of any entity are the gateway's.
    "meross set": {*MEROSS, *GATEWAY},
    "mqtt": CLIENT,
    "mqtt bench": {*CLIENT, "rich"},
    "mqtt broker": BROKER,
    "mqtt import-mosquitto": BROKER,
    "mqtt passwd": BROKER,
    "run": set(),
    "sim": {"rich"},
    "sim manager": {*SIM, "structiot.manager"},
    "sim maxsmart": {*SIM, *MAXSMART},
    "sim meross": {*SIM, *BROKER, "cryptography"},
    "sim senergy": {*SIM, *BROKER},
    "sim sepl": {*SIM, "wsproto"},
    "top": CLIENT,
}

# Each command is called in a copy of a process that has nothing but the program.
EACH = """
import os, sys
from structiot.cli.main import run_program

for words in sys.argv[1:]:
    if os.fork():
        assert os.wait()[1] == 0
        continue
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1) if words.endswith("--help") else None
    assert run_program(words.split()) == 0
    names = set()
    for name in sys.modules:
        first, *rest = name.split(".")
        if first == "structiot" and rest[:2] == ["mqtt", "broker"]:
            names.add("structiot.mqtt.broker")
        elif first == "structiot" and rest:
            names.add(f"structiot.{rest[0]}")
        elif first not in sys.stdlib_module_names and hasattr(sys.modules[name], "__path__"):
            names.add(first)
    print(words, "|", *sorted(names), file=sys.stderr, flush=True)
    os._exit(0)
"""
OURS = {"structiot", "structiot.cli", "structiot._kit", "structiot.errors"}


def loaded(*commands: str) -> dict[str, set[str]]:
    """Tell which packages each command has loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", EACH, *commands],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
    )
    found = {}
    for line in done.stderr.splitlines():
        words, _, names = line.partition(" | ")
        found[words] = set(names.split()) - OURS - ALWAYS
    return found


def may_load(command: str) -> set[str]:
    return MAY_LOAD.get(command, MAY_LOAD.get(command.partition(" ")[0], set()))


def test_every_line_is_about_commands_that_exist():
    assert {one for one in MAY_LOAD if one not in COMMANDS} == set()


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_help_loads_what_the_command_may_and_nothing_else(group: str):
    commands = [
        words
        for words in COMMANDS
        if words not in GROUPS and words.rpartition(" ")[0] == group
    ]
    found = loaded(*(f"{words} --help" for words in commands))
    assert len(found) == len(commands)
    too_much = {
        words: names - may_load(words.removesuffix(" --help"))
        for words, names in found.items()
    }
    assert {words: more for words, more in too_much.items() if more} == {}


def test_a_message_that_is_published_needs_the_client_and_nothing_else():
    broker = BrokerProcess("--sys-interval=0")
    broker.start()
    try:
        command = f"mqtt pub -p{broker.port} -ta -mx -q1"
        assert loaded(command) == {command: CLIENT}
    finally:
        broker.stop()
