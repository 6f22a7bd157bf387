"""`structiot mqtt sub`, `pub` and `request` beside Mosquitto's programs, each option."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trustme
from _pytest.mark import ParameterSet

from structiot.cli.main import run_program
from tests._support.broker_process import BrokerProcess
from tests._support.mosquitto import mosquitto_program
from tests.mosquitto_commands import page
from tests.mosquitto_commands.cases import CASES, FORMATS, OURS, Case
from tests.mosquitto_commands.recorder import Recorder, seen

pytestmark = pytest.mark.e2e

TIMED_OUT = 27
KEPT = {"in": "hello", "many/a": "1", "many/b": "2", "many/c": "3"}
PROPERTIES = [
    "-D",
    "publish",
    "content-type",
    "text/plain",
    "-D",
    "publish",
    "user-property",
    "a",
    "b",
    "-D",
    "publish",
    "response-topic",
    "r/t",
    "-D",
    "publish",
    "correlation-data",
    "cd",
    "-D",
    "publish",
    "message-expiry-interval",
    "1000500",
    "-D",
    "publish",
    "payload-format-indicator",
    "1",
]


@dataclass(frozen=True)
class House:
    """Where the broker is, and what may stand in words about it."""

    recorder: Recorder
    folder: Path
    port: int
    tls: int

    def words(self, text: str) -> list[str]:
        places = {"port": self.recorder.port, "tls": self.tls, "dir": self.folder}
        return [word.format(**places) for word in text.split()]

    def keep(self, topic: str, payload: str, *more: str) -> None:
        publish = [mosquitto_program("mosquitto_pub"), "-p", str(self.port), "-r"]
        subprocess.run([*publish, "-t", topic, "-m", payload, *more], check=True)


@dataclass(frozen=True)
class Outcome:
    """What came of a call."""

    how: str
    out: bytes
    said_something: bool
    sent: list[tuple[str, Any]]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("m")
    (folder / "empty").mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    # Not the address: so --insecure is needed with that.
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    files = [f"--certfile={folder / 'cert.pem'}", f"--keyfile={folder / 'key.pem'}"]
    broker = BrokerProcess("--sys-interval=0", "-l", "mqtts://127.0.0.1:0", *files)
    broker.start()
    recorder = Recorder((broker.host, broker.port), folder / "socket")
    tls = int(broker.uris[0].rpartition(":")[2])
    house = House(recorder, folder, broker.port, tls)
    for topic, payload in KEPT.items():
        house.keep(topic, payload, "-q", "1")
    yield house
    recorder.close()
    broker.stop()


Call: TypeAlias = Callable[..., Outcome]


@pytest.fixture
def ours(
    house: House,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Call:
    def call(program: str, words: Sequence[str], stdin: str = "") -> Outcome:
        text = io.TextIOWrapper(io.BytesIO(stdin.encode()))
        monkeypatch.setattr(sys, "stdin", text)
        capfdbinary.readouterr()
        status = run_program(["mqtt", OURS[program], *words])
        said = capfdbinary.readouterr()
        return outcome(house, words, status, said.out, said.err)

    return call


@pytest.fixture
def theirs(house: House) -> Call:
    def call(program: str, words: Sequence[str], stdin: str = "") -> Outcome:
        done = subprocess.run(
            [mosquitto_program(program), *words],
            input=stdin.encode(),
            capture_output=True,
            check=False,
            timeout=15,
        )
        return outcome(house, words, done.returncode, done.stdout, done.stderr)

    return call


def outcome(
    house: House, words: Sequence[str], status: int, out: bytes, err: bytes
) -> Outcome:
    how = {0: "done", TIMED_OUT: "timed out"}.get(status, "failed")
    return Outcome(how, out, bool(err), seen(house.recorder.take(), words=words))


def verdict(case: Case, ours: Outcome, theirs: Outcome) -> str:
    is_same = (
        ours.how == theirs.how
        and printed(ours, case) == printed(theirs, case)
        and (ours.said_something == theirs.said_something or ours.how == "timed out")
        and of_kinds(ours, case) == of_kinds(theirs, case)
    )
    return "same" if is_same else "differs"


def printed(one: Outcome, case: Case) -> object:
    if one.how == "failed":
        # Mosquitto's programs print their usage to standard output.
        return None
    if "--pretty" in case.words:
        shown = json.loads(one.out)
        comparable = {name: shown.get(name) for name in ("topic", "payload", "qos")}
        return one.out.count(b"\n") > 5, comparable
    # A broker tells what it keeps in an order of its own.
    return sorted(one.out.splitlines(keepends=True))


def of_kinds(one: Outcome, case: Case) -> list[tuple[str, Any]]:
    if one.how == "failed":
        return []
    return sorted((each for each in one.sent if each[0] in case.kinds), key=repr)


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", text))


@pytest.mark.parametrize("program", OURS)
def test_every_option_of_the_program_is_tried(program: str):
    done = subprocess.run(
        [mosquitto_program(program), "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    # The order of what is typed in long is that of the program's own version.
    known = options_in(done.stdout)
    assert {case.option for case in CASES if case.program == program} == known


def sampled(case: Case) -> ParameterSet:
    """What all three programs have is tried with one of them, unless there is time."""
    is_late = case.is_shared and case.program != "mosquitto_sub"
    name = f"{OURS[case.program]} {case.option}"
    return pytest.param(case, id=name, marks=[pytest.mark.thorough] * is_late)


@pytest.mark.parametrize("case", [sampled(case) for case in CASES])
def test_an_option_does_what_the_page_says(
    house: House, ours: Call, theirs: Call, case: Case
):
    words = house.words(f"{case.place} {case.words}")
    outcomes = []
    for call in (theirs, ours):
        for topic, payload in case.kept:
            house.keep(topic, payload)
        outcomes.append(call(case.program, words, case.stdin))
    told, done = outcomes
    if case.verdict == "not offered":
        assert (done.how, done.sent) == ("failed", [])
        assert case.why
        return
    assert verdict(case, done, told) == case.verdict, (done, told)
    assert bool(case.why) == (case.verdict == "differs")


@pytest.mark.parametrize("letters", FORMATS)
def test_a_format_prints_what_the_page_says(
    house: House, ours: Call, theirs: Call, letters: str
):
    house.keep("form", '{"a":1}', "-q", "1", "-V", "mqttv5", *PROPERTIES)
    base = "-h 127.0.0.1 -p {port} -V mqttv5 -t form -q 1 -C 1 -W 5 -F"
    words = [*house.words(base), f"%{letters}|"]
    told, done = theirs("mosquitto_sub", words), ours("mosquitto_sub", words)
    assert done.how == told.how
    if letters in "IU":
        # The time goes on in between.
        form = re.compile(rb"\d+" if letters == "U" else rb"\d\d:\d\d:\d\d")
        shown = [re.sub(rb"\d", b"0", form.sub(b"", one.out)) for one in (done, told)]
        assert shown[0] == shown[1]
        return
    if letters == "E":
        assert abs(int(done.out[:-2]) - int(told.out[:-2])) < 60
        return
    assert (done.out == told.out) == (not FORMATS[letters])


def test_the_page_says_what_was_found():
    assert page.PAGE.read_text("utf-8") == page.text()
