"""Options that people repeat may stand in the environment, as their help says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import asyncclick as click
import pytest

from structiot.cli.main import main, run_program
from structiot.mqtt.broker import hash_password
from tests._support.broker_process import BrokerProcess
from tests.cli.test_main import COMMANDS, GROUPS

pytestmark = pytest.mark.e2e

URI, USER, PASSWORD = (
    f"STRUCTIOT_MQTT_{one}" for one in ("URI", "USERNAME", "PASSWORD")
)
# Which commands ask a broker, and by which options.
ASKS_A_BROKER = {
    **dict.fromkeys(("bench", "ping", "pub", "request", "sub"), "mqtt"),
    **dict.fromkeys(("clients", "send", "serve"), "manager"),
}


def options_of(words: str) -> dict[str, click.Option]:
    command: click.Command = main
    for word in words.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    options = [one for one in command.params if isinstance(one, click.Option)]
    return {name: one for one in options for name in one.opts}


@pytest.mark.parametrize("words", [one for one in COMMANDS if one not in GROUPS])
def test_every_variable_is_in_the_help(words: str, capsys):
    variables = {
        name
        for one in options_of(words).values()
        for name in ([one.envvar] if isinstance(one.envvar, str) else one.envvar or ())
    }
    assert all(name.startswith("STRUCTIOT_") for name in variables)
    assert run_program([*words.split(), "--help"]) == 0
    shown = "".join(capsys.readouterr().out.split())
    assert {name for name in variables if name not in shown} == set()


@pytest.mark.parametrize(("name", "group"), ASKS_A_BROKER.items())
def test_a_broker_is_named_alike_wherever_one_is_asked(name: str, group: str):
    options = options_of(f"{group} {name}")
    cafile = "--cafile" if group == "mqtt" else "--broker-cafile"
    wanted = {
        "--uri": URI,
        "-u": USER,
        "-P": PASSWORD,
        cafile: "STRUCTIOT_MQTT_CAFILE",
    }
    for option, variable in wanted.items():
        known = options[option].envvar
        assert known is not None
        assert variable in ([known] if isinstance(known, str) else known)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    file = tmp_path_factory.mktemp("broker") / "passwords"
    file.write_text(f"ann:{hash_password('word')}\n")
    process = BrokerProcess("--sys-interval=0", f"--password-file={file}")
    process.start()
    yield process
    process.stop()


@pytest.fixture
def at_home(broker: BrokerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URI, broker.uri)
    monkeypatch.setenv(USER, "ann")
    monkeypatch.setenv(PASSWORD, "word")


@pytest.mark.usefixtures("at_home")
def test_all_is_known_from_the_environment(capfd):
    assert run_program(["mqtt", "pub", "-ta", "-mx", "-r"]) == 0
    assert run_program(["mqtt", "sub", "-ta", "-C1"]) == 0
    assert run_program(["manager", "clients", "--json", "--wait", "0.1"]) == 0
    assert capfd.readouterr().out == "x\n[]\n"


@pytest.fixture
def config(broker: BrokerProcess, tmp_path: Path) -> str:
    file = tmp_path / "structiot.toml"
    login = "username = 'ann'\npassword_file = 'secret'\nbase_topic = 'my/house'"
    file.write_text(f"[mqtt]\nuri = '{broker.uri}'\n{login}\n")
    (tmp_path / "secret").write_text("word\n")
    (tmp_path / "secret").chmod(0o600)
    return str(file)


def test_the_configuration_of_a_gateway_says_it_all(config: str, monkeypatch, capfd):
    monkeypatch.setenv(USER, "bob")
    assert run_program(["mqtt", "pub", "-tb", "-mx", "-r", "--config", config]) == 0
    monkeypatch.setenv("STRUCTIOT_MQTT_CONFIG", config)
    assert run_program(["mqtt", "sub", "-tb", "-C1"]) == 0
    assert capfd.readouterr().out == "x\n"
    # As `top` needs it: where the gateway's topics are.
    state = ["-t", "my/house/gateway/availability", "-m", "offline", "-r"]
    assert run_program(["mqtt", "pub", *state]) == 0
    assert run_program(["top", "--once", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["gateway"] == "offline"


def test_a_configuration_names_the_broker_and_nothing_else_does(config: str, capfd):
    assert run_program(["mqtt", "ping", "-p1", "--config", config]) == 2
    assert "names the broker, as --config does" in capfd.readouterr().err
    assert run_program(["mqtt", "ping", "-C1", "-u", "bob", "--config", config]) == 1
    assert "user name or password" in capfd.readouterr().err
    assert run_program(["mqtt", "ping", "--config", f"{config}.none"]) == 2
    assert "no such file or directory" in capfd.readouterr().err


@pytest.mark.usefixtures("at_home")
def test_the_command_line_goes_before(broker: BrokerProcess, capfd):
    assert run_program(["mqtt", "pub", "-ta", "-mx", "-p1"]) == 1
    assert "localhost:1:" in capfd.readouterr().err
    assert run_program(["mqtt", "pub", "-ta", "-mx", "-u", "bob"]) == 1
    assert "user name or password" in capfd.readouterr().err


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("command", ["mqtt ping -C1 --json", "manager clients --json"])
def test_an_address_with_a_login_is_asked_with_that(
    broker: BrokerProcess, monkeypatch: pytest.MonkeyPatch, capfd, command: str
):
    monkeypatch.setenv(PASSWORD, "another")
    monkeypatch.setenv(USER, "bob")
    uri = f"mqtt://ann:word@127.0.0.1:{broker.port}"
    assert run_program([*command.split(), "--uri", uri]) == 0
    json.loads(capfd.readouterr().out)
