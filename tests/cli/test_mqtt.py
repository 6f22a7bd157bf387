"""`structiot mqtt pub|sub|request|ping|bench` with the broker of `structiot mqtt broker`."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TypeAlias

import anyio
import pytest

from structiot.cli.main import run_program
from structiot.cli.mqtt.options import TIMED_OUT
from structiot.mqtt import MqttConfig, open_mqttclient
from tests._support.broker_process import BrokerProcess, program

pytestmark = pytest.mark.e2e
Listener: TypeAlias = "subprocess.Popen[str]"


@pytest.fixture(scope="module")
def broker() -> Iterator[BrokerProcess]:
    anything = "--limit=allows_control_characters=true"
    process = BrokerProcess("--sys-interval=0", anything)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def run(broker: BrokerProcess, capfdbinary: pytest.CaptureFixture[bytes]):
    """Run a command against the broker; give its status and what it printed."""

    def run_command(*arguments: str) -> tuple[int, bytes]:
        command, *rest = arguments
        status = run_program(["mqtt", command, f"-p{broker.port}", *rest])
        return status, capfdbinary.readouterr().out

    return run_command


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.fixture
def listen(broker: BrokerProcess) -> Iterator[Callable[..., Listener]]:
    """Start `sub` as a process; returns when it has subscribed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> Listener:
        command = program("mqtt", "sub", f"-p{broker.port}", "-d", *arguments)
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stderr is not None
        said = ""
        while "subscribed to" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


# -- pub and sub


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5", "auto"])
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_what_is_published_is_printed(run, version: str, qos: str):
    topic = f"plain/{version}/{qos}"
    common = ["-V", version, "-q", qos, "-t", topic]
    assert run("pub", *common, "-r", "-m", "hello ü") == (0, b"")
    assert run("sub", *common, "-C", "1") == (0, "hello ü\n".encode())


def test_a_file_stdin_and_nothing_are_messages(run, tmp_path, monkeypatch):
    data = bytes(range(256))
    (tmp_path / "file").write_bytes(data)
    run("pub", "-r", "-t", "from/file", "-f", str(tmp_path / "file"))
    assert run("sub", "-t", "from/file", "-C1", "-N") == (0, data)
    stdin(monkeypatch, b"one\ntwo\n")
    run("pub", "-r", "-t", "from/stdin", "-s")
    assert run("sub", "-t", "from/stdin", "-C1", "-N") == (0, b"one\ntwo\n")
    run("pub", "-r", "-t", "from/stdin", "-n")
    assert run("sub", "-t", "from/stdin", "-W0.3") == (TIMED_OUT, b"")


def test_each_line_of_stdin_is_a_message(run, listen, monkeypatch):
    listener = listen("-tlines/#", "-C3", "-v")
    stdin(monkeypatch, b"one\n\nlast")
    assert run("pub", "-t", "lines/a", "-l")[0] == 0
    out, _ = listener.communicate(timeout=10)
    assert out == "lines/a one\nlines/a \nlines/a last\n"
    assert listener.returncode == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-F", "%t|%q|%r|%l|%x|%X|%%"], b"fmt/a|1|1|3|612f62|612F62|%\n"),
        (["-F", r"%p\t\n\\", "-N"], b"a/b\t\n\\"),
        (["-F", "%08l|%-4q|"], b"00000003|1   |\n"),
        (["-F", "@Y"], None),
        (["-v"], b"fmt/a a/b\n"),
        (["-N"], b"a/b"),
    ],
)
def test_formats_are_those_of_mosquitto_sub(
    run, options: list[str], said: bytes | None
):
    run("pub", "-t", "fmt/a", "-m", "a/b", "-r", "-q1")
    status, out = run("sub", "-t", "fmt/a", "-q1", "-C1", *options)
    assert status == 0
    assert out == said if said is not None else out.strip().isdigit()


def test_a_format_that_means_nothing_is_a_wrong_use(run):
    assert run("sub", "-t", "a", "-F", "%Z")[0] == 2


def test_json_has_properties_and_what_is_no_text(run, tmp_path):
    properties = ["--content-type", "image", "--user-property", "a", "1"]
    (tmp_path / "file").write_bytes(b"\xff\x00")
    file = str(tmp_path / "file")
    run("pub", "-V5", "-t", "json/a", "-f", file, "-r", *properties)
    _, out = run("sub", "-V5", "-t", "json/a", "-C1", "--json")
    shown = json.loads(out)
    assert (shown["topic"], shown["payload_hex"]) == ("json/a", "ff00")
    assert shown["properties"]["content-type"] == "image"
    assert shown["properties"]["user-properties"] == [{"name": "a", "value": "1"}]
    run("pub", "-t", "json/b", "-m", '{"x": 1}', "-r")
    _, out = run("sub", "-t", "json/b", "-C1", "-F", "%J")
    assert json.loads(out)["payload"] == {"x": 1}
    _, out = run("sub", "-t", "json/b", "-C1", "-F", "%j")
    assert json.loads(out)["payload"] == '{"x": 1}'


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a": "\\ud800"}'])
def test_json_that_cannot_be_written_again_is_shown_as_text(run, text: str, tmp_path):
    (tmp_path / "file").write_text(text)
    run("pub", "-t", "json/c", "-f", str(tmp_path / "file"), "-r")
    status, out = run("sub", "-t", "json/c", "-C1", "-F", "%J")
    assert status == 0
    assert json.loads(out)["payload"] == text


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["-v"], "order/a?[2J one\ntwo\t?[2J?gnp?\n"),
        (["-F", r"\e[1m%p"], "\x1b[1mone\ntwo\t?[2J?gnp?\n"),
        (["-F", "%j"], None),
    ],
)
def test_a_message_gives_a_terminal_no_orders(
    run, broker: BrokerProcess, options: list[str], shown: str | None
):
    allowing = MqttConfig(allows_control_characters=True)
    payload, topic = "one\ntwo\t\x1b[2J\u202egnp\x9b".encode(), "order/a\u009b[2J"

    async def retain(payload: bytes) -> None:
        async with open_mqttclient(broker.uri, config=allowing) as client:
            await client.publish(topic, payload, qos=1, retain=True)

    anyio.run(retain, payload)
    ours, theirs = pty.openpty()
    command = program("mqtt", "sub", f"-p{broker.port}", "-C1", "-torder/#", *options)
    subprocess.run(command, stdout=theirs, check=True, timeout=20)
    os.close(theirs)
    printed = os.read(ours, 4096).decode().replace("\r\n", "\n")
    os.close(ours)
    if shown is None:
        assert {"\x1b", "\x9b", "\u202e"}.isdisjoint(printed)
    else:
        assert printed == shown
    # What is no terminal gets every byte.
    assert run("sub", "-C1", "-N", "-torder/#")[1] == payload
    anyio.run(retain, b"")


def test_messages_are_left_out_and_erased_on_request(run):
    for name in "abc":
        run("pub", "-t", f"many/{name}", "-m", name, "-r")
    status, out = run("sub", "-t", "many/+", "-T", "many/b", "-C2")
    assert (status, sorted(out.split())) == (0, [b"a", b"c"])
    assert run("sub", "-t", "many/+", "-R", "-W0.3") == (TIMED_OUT, b"")
    run("sub", "-t", "many/#", "--remove-retained", "--retained-only", "-W1")
    assert run("sub", "-t", "many/+", "-W0.3") == (TIMED_OUT, b"")


def test_overlapping_filters_print_a_message_once(run):
    run("pub", "-t", "overlap/a", "-m", "x", "-r")
    _, out = run("sub", "-V311", "-t", "overlap/a", "-C1")
    assert out == b"x\n"


@pytest.mark.parametrize("topic", ["url/a%20b", "url/a b", "url/?a=b&c", "url//"])
def test_the_topic_may_stand_in_the_url(broker: BrokerProcess, capfdbinary, topic: str):
    url = f"{broker.uri}/{topic}"
    assert run_program(["mqtt", "pub", "-L", url, "-m", "x", "-r"]) == 0
    assert run_program(["mqtt", "sub", "-L", url, "-C1", "-F", "%t"]) == 0
    assert capfdbinary.readouterr().out == f"{topic}\n".encode()


def test_a_filter_may_stand_in_the_url(run, broker: BrokerProcess, capfdbinary):
    run("pub", "-t", "filter/a/b", "-m", "x", "-r")
    for topic in ("filter/#", "filter/+/b"):
        url = f"{broker.uri}/{topic}"
        assert run_program(["mqtt", "sub", "-L", url, "-C1", "-F", "%t"]) == 0
        assert capfdbinary.readouterr().out == b"filter/a/b\n"


def test_a_kept_session_waits_for_its_client(run):
    kept = ["-i", "keeper", "-c", "-q1", "-t", "kept/a"]
    assert run("sub", *kept, "-E") == (0, b"")
    run("pub", "-t", "kept/a", "-q1", "-m", "while you were away")
    assert run("sub", *kept, "-C1") == (0, b"while you were away\n")
    assert run("sub", *kept, "-U", "kept/a", "-E")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["pub", "-t", "a"],
        ["pub", "-t", "a", "-m", "x", "-n"],
        ["pub", "-t", "a", "-m", "x", "-m", "y"],
        ["pub", "-t", "a", "-f", "/dev/null", "-f", "/dev/null"],
        ["request", "-t", "a", "-m", "x", "-m", "y"],
        ["pub", "-m", "x"],
        ["pub", "-t", "a", "-m", "x", "-q", "3"],
        ["pub", "-t", "a/#", "-m", "x"],
        ["sub"],
        ["sub", "-t", "a#"],
        ["sub", "-t", "a", "-c"],
        ["sub", "-t", "a", "-L", "mqtt://localhost/b"],
    ],
)
def test_a_wrong_use_says_so(run, arguments: list[str]):
    assert run(*arguments)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (
            ["--uri", "mqtt://h", "-h", "g"],
            "-h/--host names the broker, as -L/--url/--uri",
        ),
        (
            ["-L", "mqtt://h", "--port", "1"],
            "-p/--port names the broker, as -L/--url/--uri",
        ),
    ],
)
def test_an_option_is_called_by_all_its_names(capfd, arguments: list[str], what: str):
    assert run_program(["mqtt", "pub", "-ta", "-mx", *arguments]) == 2
    assert what in capfd.readouterr().err


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://localhost/a", "unknown scheme 'http'"),
        ("localhost/a", "begins with mqtt"),
    ],
)
def test_a_url_of_no_broker_is_told_before_its_topic_is_missed(capfd, url, why):
    for command in (["sub"], ["pub", "-m", "x"]):
        assert run_program(["mqtt", *command, "-L", url]) == 2
        said = capfd.readouterr().err
        assert why in said
        assert said.count("\n") == 1


@pytest.mark.parametrize("command", ["ping", "bench"])
def test_a_topic_in_the_address_is_refused_by_who_takes_none(capfd, command: str):
    assert run_program(["mqtt", command, "--uri", "mqtt://localhost:1/a/b"]) == 2
    assert "there is no path, and topics are given apart" in capfd.readouterr().err


def test_nobody_there_is_a_failure_in_one_line(capfd):
    for command in (["pub", "-ta", "-mx"], ["sub", "-ta"], ["ping"]):
        assert run_program(["mqtt", *command, "-p1"]) == 1
        said = capfd.readouterr().err
        assert said.startswith("structiot: cannot connect to localhost:1")
        assert said.count("\n") == 1
    assert run_program(["mqtt", "pub", "-p1", "-ta", "-mx", "--quiet"]) == 1
    assert capfd.readouterr().err == ""


def test_debug_says_what_happens(broker: BrokerProcess, capfd):
    run_program(["mqtt", "pub", f"-p{broker.port}", "-ta", "-mx", "-d"])
    assert "connected to mqtt://localhost" in capfd.readouterr().err


def test_a_will_is_published_when_the_process_is_killed(listen):
    listener = listen("-twill/a", "-C1")
    will = ["--will-topic", "will/a", "--will-payload", "gone"]
    listen("-tanything", *will).kill()
    out, _ = listener.communicate(timeout=10)
    assert out == "gone\n"


# -- the other commands


def test_a_request_is_answered(run, listen):
    helper = listen("-tquestion", "-F%R", "-C1")
    assert run("request", "-t", "question", "-m", "why", "-W", "1")[0] == TIMED_OUT
    out, _ = helper.communicate(timeout=10)
    assert out.startswith("structiot-reply/")
    run("pub", "-t", "answer", "-m", "42", "-r")
    status, out = run("request", "-V311", "-t", "q", "-e", "answer", "-v")
    assert (status, out) == (0, b"answer 42\n")


def test_ping_measures_round_trips(run):
    status, out = run("ping", "-C2", "--interval=0", "--json")
    shown = json.loads(out)
    assert status == 0
    assert len(shown["times_ms"]) == 2
    assert all(0 < one < 5000 for one in shown["times_ms"])
    status, out = run("ping", "-C1")
    assert b"connected in" in out


@pytest.mark.parametrize("qos", ["0", "1"])
def test_bench_counts_what_arrives(run, qos: str):
    status, out = run("bench", "-C500", "--subscribers=2", f"-q{qos}", "--json")
    shown = json.loads(out)
    assert status == 0
    assert (shown["published"], shown["delivered"], shown["lost"]) == (500, 1000, 0)
    assert shown["published_per_s"] > 0


def test_ctrl_c_ends_a_subscriber_in_good_order(listen):
    process = listen("-ta")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 0
