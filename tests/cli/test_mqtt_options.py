"""Options of `structiot mqtt` that users of mosquitto's programs look for."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from structiot.cli.main import run_program
from structiot.cli.mqtt.options import TIMED_OUT
from tests._support.broker_process import BrokerProcess, program

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def broker() -> Iterator[BrokerProcess]:
    process = BrokerProcess("--sys-interval=0")
    process.start()
    yield process
    process.stop()


@pytest.fixture(params=["asyncio", "trio"])
def run(request, broker: BrokerProcess, capfd: pytest.CaptureFixture[str]):
    """Run a command on each backend; give its status, output and complaints."""

    def run_command(command: str, *arguments: str) -> tuple[int, str, str]:
        where = [f"-p{broker.port}", "--backend", request.param]
        status = run_program(["mqtt", command, *where, *arguments])
        said = capfd.readouterr()
        return status, said.out, said.err

    return run_command


def shown(run, topic: str, *options: str) -> dict[str, object]:
    status, out, _ = run("sub", "-t", topic, "-C1", "--json", *options)
    assert status == 0
    message: dict[str, object] = json.loads(out)
    return message


# -- -D


def test_properties_of_a_message_go_with_it(run):
    properties = [
        *("-D", "publish", "content-type", "text/plain"),
        *("-D", "PUBLISH", "correlation-data", "c1"),
        *("-D", "publish", "message-expiry-interval", "600"),
        *("-D", "publish", "payload-format-indicator", "1"),
        *("-D", "publish", "response-topic", "answers"),
        *("-D", "publish", "user-property", "room", "kitchen"),
        *("-D", "publish", "user-property", "floor", "-1"),
        *("--user-property", "by", "hand"),
    ]
    assert run("pub", "-t", "d/a", "-m", "x", "-r", *properties)[0] == 0
    found = shown(run, "d/a")["properties"]
    assert isinstance(found, dict)
    assert found.pop("message-expiry-interval") >= 590
    found.pop("subscription-identifiers")
    assert found == {
        "payload-format-indicator": 1,
        "content-type": "text/plain",
        "response-topic": "answers",
        "correlation-data": b"c1".hex(),
        "user-properties": [
            {"name": "room", "value": "kitchen"},
            {"name": "floor", "value": "-1"},
            {"name": "by", "value": "hand"},
        ],
    }


def test_an_option_goes_before_the_same_property(run):
    twice = ["-D", "publish", "content-type", "a", "--content-type", "b"]
    run("pub", "-t", "d/b", "-m", "x", "-r", *twice)
    found = shown(run, "d/b")["properties"]
    assert isinstance(found, dict)
    assert found["content-type"] == "b"


def test_properties_of_a_connection_and_a_will_are_taken(run):
    properties = [
        *("-D", "connect", "session-expiry-interval", "60"),
        *("-D", "connect", "receive-maximum", "10"),
        *("-D", "connect", "user-property", "site", "home"),
        *("-D", "will", "will-delay-interval", "5"),
        *("-D", "will", "user-property", "why", "gone"),
    ]
    will = ["--will-topic", "d/will", "--will-qos", "1"]
    assert run("ping", "-C1", "-V5", *will, *properties)[0] == 0


def test_properties_of_a_will_are_published_with_it(run, broker: BrokerProcess):
    will = ["--will-topic", "d/gone", "--will-payload", "x", "--will-retain"]
    why = ["-D", "will", "user-property", "why", "killed"]
    command = program("mqtt", "sub", f"-p{broker.port}", "-td/any", "-v", *will, *why)
    process = subprocess.Popen([*command, "-d"], stderr=subprocess.PIPE)
    assert process.stderr is not None
    while b"subscribed to" not in process.stderr.readline():
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert run("sub", "-t", "d/gone", "-C1", "-F", "%p %P")[1] == "x why:killed\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["publish", "color", "red"], "-D publish knows content-type, "),
        (["reconnect", "a", "b"], "-D is for connect, publish, will here"),
        (["publish", "message-expiry-interval", "soon"], "is a number, not 'soon'"),
        (["publish", "user-property", "name"], "takes NAME VALUE"),
        (["will", "content-type", "a"], "a will needs a topic: --will-topic TOPIC"),
    ],
)
def test_a_property_that_makes_no_sense_is_a_wrong_use(run, words, said: str):
    status, out, err = run("pub", "-t", "d/c", "-m", "x", "-D", *words)
    assert (status, out) == (2, "")
    assert said in err


def test_who_only_listens_has_no_properties_of_messages(run):
    status, _, err = run("sub", "-t", "a", "-D", "publish", "content-type", "x")
    assert status == 2
    assert "-D is for connect, will here, not 'publish'" in err


@pytest.mark.parametrize(
    "options", [["--content-type", "x"], ["-D", "publish", "content-type", "x"]]
)
def test_properties_do_not_get_lost_with_3_1_1(run, options: list[str]):
    status, _, err = run("pub", "-V311", "-t", "a", "-m", "x", *options)
    assert status == 2
    assert "properties of a message exist in MQTT 5.0 only" in err


# -- options that are missing each other


@pytest.mark.parametrize(
    "options",
    [["--will-payload", "x"], ["--will-qos", "0"], ["--will-retain"]],
)
def test_a_will_without_a_topic_is_a_wrong_use(run, options: list[str]):
    status, _, err = run("pub", "-t", "a", "-m", "x", *options)
    assert status == 2
    assert "a will needs a topic: --will-topic TOPIC" in err


def test_a_key_without_a_certificate_is_a_wrong_use(run):
    status, _, err = run("pub", "-t", "a", "-m", "x", "--key", "k.pem")
    assert status == 2
    assert "--key goes with a certificate: --cert FILE" in err


# -- other habits


def test_json_says_what_was_published(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\nthree\n")))
    status, out, _ = run("pub", "-t", "said/a", "-l", "-q1", "-r", "--json")
    told = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [one.pop("payloadlen") for one in told] == [3, 5]
    assert told == [{"topic": "said/a", "qos": 1, "retain": 1}] * 2


@pytest.mark.parametrize("qos", ["1", "2"])
def test_many_lines_go_in_their_order(run, monkeypatch, qos: str):
    # More than is read at once, and the last one has no end.
    lines = [f"{number} {'x' * 50}" for number in range(3000)]
    kept = ["-t", "many/lines", "-q", qos, "-i", "many", "-c"]
    assert run("sub", *kept, "-E")[0] == 0
    data = io.BytesIO("\n".join(lines).encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
    assert run("pub", "-t", "many/lines", "-l", "-q", qos, "--repeat", "2")[0] == 0
    status, out, _ = run("sub", *kept, "-C", "6000")
    assert status == 0
    assert out.splitlines() == [line for line in lines for _ in range(2)]
    run("sub", *kept, "-U", "many/lines", "-E")


def test_debug_names_every_message(run):
    _, _, err = run("pub", "-t", "said/b", "-m", "four", "-r", "--repeat", "2", "-d")
    assert err.count("published 4 bytes to said/b (QoS 0)") == 2
    _, out, err = run("sub", "-t", "said/b", "-q1", "-C1", "-d")
    assert out == "four\n"
    assert "subscribed to said/b (QoS 1)" in err
    assert "received 4 bytes from said/b (QoS 0)" in err


def test_json_may_be_pretty(run):
    run("pub", "-t", "pretty/a", "-m", '{"x": [1]}', "-r")
    for options in (["--json"], ["-F", "%j"], ["-F", "%J"]):
        _, plain, _ = run("sub", "-t", "pretty/a", "-C1", *options)
        _, pretty, _ = run("sub", "-t", "pretty/a", "-C1", "--pretty", *options)
        assert plain.count("\n") == 1
        assert pretty.count("\n") > 5
        assert json.loads(pretty).keys() == json.loads(plain).keys()


def test_what_is_nearly_json_is_printed_as_text(run):
    run("pub", "-t", "nearly/a", "-m", '{"x": NaN}', "-r")
    _, out, _ = run("sub", "-t", "nearly/a", "-C1", "-F", "%J")
    assert json.loads(out)["payload"] == '{"x": NaN}'


def test_a_share_of_the_messages_may_be_printed(run):
    for name in "abc":
        run("pub", "-t", f"share/{name}", "-m", name, "-r")
    nothing = run("sub", "-t", "share/#", "--random-filter", "0", "-W0.3")
    assert nothing[:2] == (TIMED_OUT, "")
    everything = run("sub", "-t", "share/#", "--random-filter", "100", "-C3")
    assert sorted(everything[1].split()) == ["a", "b", "c"]


def test_options_that_change_nothing_here_are_taken(run):
    assert run("pub", "-t", "a", "-m", "x", "-q1", "--nodelay", "-M", "5")[0] == 0


@pytest.mark.parametrize("url", ["socks5h://127.0.0.1:1", "http://127.0.0.1:1"])
def test_a_proxy_that_is_not_there_is_named(run, url: str):
    status, _, err = run("pub", "-t", "a", "-m", "x", "--proxy", url)
    assert status == 1
    assert err == "structiot: cannot connect to 127.0.0.1:1: connection refused\n"


def test_a_proxy_of_another_kind_is_a_wrong_use(run):
    status, _, err = run("pub", "-t", "a", "-m", "x", "--proxy", "ftp://a:1")
    assert status == 2
    assert "a proxy's address is http://host:port or socks5://host:port" in err


# -- request


def test_a_question_may_come_from_a_file(run, tmp_path):
    (tmp_path / "question").write_bytes(b"why?")
    run("pub", "-t", "answer/a", "-m", "because", "-r")
    where = ["-t", "question/a", "-e", "answer/a"]
    file = str(tmp_path / "question")
    assert run("request", *where, "-f", file, "-N")[:2] == (0, "because")
    status, _, err = run("request", *where, "-f", file, "-m", "x")
    assert status == 2
    assert "exactly one of -m -f -s -n" in err


def test_a_retained_message_is_no_answer_on_request(run):
    run("pub", "-t", "answer/b", "-m", "old", "-r")
    where = ["-t", "question/b", "-e", "answer/b", "-W0.3"]
    assert run("request", *where)[:2] == (0, "old\n")
    status, out, err = run("request", *where, "-R")
    assert (status, out) == (TIMED_OUT, "")
    assert err == "no answer to question/b in 0.3 s\n"
    assert run("request", *where, "-R", "--quiet")[2] == ""


@pytest.mark.parametrize("version", ["5", "311"])
def test_where_the_answer_is_expected_is_told_to_who_speaks_5_0(run, version: str):
    # The question waits in a kept session until it is looked at.
    kept = ["-t", "question/c", "-q1", "-i", "keeper", "-c"]
    assert run("sub", *kept, "-E")[0] == 0
    asked = ["-t", "question/c", "-m", "x", "-e", "answer/none", "-W0.3"]
    assert run("request", *asked, "-V", version)[0] == TIMED_OUT
    expected = "answer/none|x\n" if version == "5" else "|x\n"
    assert run("sub", *kept, "-C1", "-F", "%R|%p")[:2] == (0, expected)
    run("sub", *kept, "-U", "question/c", "-E")


def test_with_3_1_1_it_is_said_how_to_get_an_answer(run):
    status, _, err = run("request", "-V311", "-t", "q", "-m", "x")
    assert status == 2
    assert err == "structiot: with MQTT 3.1.1 say where the answer comes: -e TOPIC\n"


def test_bench_is_a_list_for_people(run):
    status, out, _ = run("bench", "-C10", "-i", "one-id", "--publishers", "2")
    lines = dict(line.split("  ", 1) for line in out.splitlines())
    assert status == 0
    assert lines["delivered"].strip() == "20"


# -- -h


def test_a_port_in_the_host_is_said_to_stand_apart(run):
    status, out, err = run("pub", "-h", "broker:1883", "-t", "t", "-m", "x")
    assert status == 2
    assert not out
    assert "-h broker -p 1883" in err


def test_an_address_as_a_host_is_said_to_be_for_another_option(run):
    status, _, err = run("pub", "-h", "mqtt://broker", "-t", "t", "-m", "x")
    assert status == 2
    assert "give a URL by -L" in err


# -- -L


def test_the_path_of_a_websocket_is_said_to_be_no_topic(capfd):
    assert run_program(["mqtt", "pub", "-L", "ws://127.0.0.1:9/t", "-m", "x"]) == 2
    said = capfd.readouterr().err
    assert "-t TOPIC; the path of a websocket's address is none" in said
