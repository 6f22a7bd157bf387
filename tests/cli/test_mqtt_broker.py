"""`structiot mqtt broker` and `structiot mqtt passwd`."""

from __future__ import annotations

import io
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from structiot.cli.main import run_program
from structiot.mqtt.broker import BrokerLimits, Passwords
from tests._support.broker_process import BrokerProcess, program

pytestmark = pytest.mark.e2e
StartBroker = Callable[..., BrokerProcess]


def types(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    data = io.BytesIO(text.encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))


@pytest.fixture
def start() -> Iterator[StartBroker]:
    started: list[BrokerProcess] = []

    def start_broker(*options: str, **more: str) -> BrokerProcess:
        broker = BrokerProcess(*options, **more)  # type: ignore[arg-type]
        started.append(broker)
        broker.start()
        return broker

    yield start_broker
    for broker in started:
        broker.stop()


@pytest.fixture
def password_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "passwords"
    for name in ("alice", "bob"):
        types(monkeypatch, f"{name}s word\n")
        assert run_program(["mqtt", "passwd", "--stdin", str(file), name]) == 0
    return file


def pub(broker: BrokerProcess, *arguments: str) -> int:
    return run_program(["mqtt", "pub", f"-p{broker.port}", *arguments])


@pytest.mark.parametrize("backend", ["asyncio", "trio", "uvloop"])
def test_a_broker_runs_until_it_is_told_to_end(start: StartBroker, backend: str):
    broker = start(backend=backend)
    assert pub(broker, "-ta", "-mx", "-q2") == 0
    assert "Traceback" not in broker.stop()


def test_every_limit_can_be_set(start: StartBroker):
    settings = {"queue_policy": "drop_oldest", "queues_qos_0": "true"}
    for field in fields(BrokerLimits):
        settings.setdefault(field.name, str(field.default))
    broker = start(*(f"--limit={name}={value}" for name, value in settings.items()))
    assert pub(broker, "-ta", "-mx", "-q1") == 0
    limited = start("--limit=topic_levels=2")
    assert pub(limited, "-ta/b", "-mx", "-q1") == 0
    assert pub(limited, "-ta/b/c", "-mx", "-q1") == 1


def test_rules_of_the_protocol_have_options(start: StartBroker, capfd):
    broker = start("--maximum-qos=1", "--no-retain", "--max-payload-bytes=10")
    assert pub(broker, "-ta", "-mx", "-q1") == 0
    for refused in (["-q2"], ["-r"], ["-q1", "-m", "eleven bytes"]):
        assert pub(broker, "-ta", *refused, *([] if "-m" in refused else ["-mx"])) == 1
        said = capfd.readouterr().err
        assert any(word in said for word in ("QoS 1", "retain", "quota")), said


def test_it_may_open_a_file_for_each_client(start: StartBroker):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        broker = start("--max-connections=3000")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    told = Path(f"/proc/{broker.pid}/limits").read_text()
    _, _, line = told.partition("Max open files")
    assert int(line.split()[0]) == min(3064, hard)


def test_it_says_where_it_listens(start: StartBroker):
    process = subprocess.Popen(
        program("mqtt", "broker", "-l", "ws://127.0.0.1:0", "-p0"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 0
    assert lines[0].startswith("listening at ws://127.0.0.1:")
    assert lines[1].startswith("listening at mqtt://127.0.0.1:")


def test_a_password_file_and_permissions_hold(
    start: StartBroker, password_file: Path, tmp_path: Path, capfd
):
    permissions = tmp_path / "permissions.toml"
    permissions.write_text(
        '[[permission]]\nuser = "alice"\npublish = ["a/#"]\nsubscribe = ["#"]\n'
    )
    broker = start(f"--password-file={password_file}", f"--permissions={permissions}")
    alice = ["-u", "alice", "-P", "alices word"]
    assert pub(broker, *alice, "-ta/x", "-mx", "-q1") == 0
    assert pub(broker, *alice, "-tb", "-mx", "-q1") == 1
    assert "not authorized" in capfd.readouterr().err
    assert pub(broker, "-u", "alice", "-P", "guess", "-ta/x", "-mx") == 1
    assert pub(broker, "-ta/x", "-mx") == 1
    sub = ["mqtt", "sub", f"-p{broker.port}", "-u", "bob", "-P", "bobs word", "-ta"]
    assert run_program(sub) == 1
    assert "refuses 'a'" in capfd.readouterr().err


def test_a_password_file_of_mosquitto_can_be_edited(tmp_path: Path, monkeypatch):
    file = tmp_path / "passwd"
    theirs = f"bob:$6$VHwDA8CH4xRd5Mal${'A' * 86}=="
    file.write_text(f"ann:$7$101$jHXXfvaiZu963DxB${'A' * 86}==\n{theirs}\n")
    types(monkeypatch, "her word\n")
    assert run_program(["mqtt", "passwd", "--stdin", str(file), "ann"]) == 0
    assert theirs in file.read_text()
    assert Passwords.read(file).check("ann", b"her word")


def test_a_store_keeps_retained_messages(start: StartBroker, tmp_path: Path, capfd):
    broker = start(f"--store={tmp_path / 'broker.sqlite'}")
    assert pub(broker, "-ta", "-mkept", "-r", "-q1") == 0
    broker.kill()
    broker.start()
    sub = ["mqtt", "sub", f"-p{broker.port}", "-ta", "-C1"]
    assert run_program(sub) == 0
    assert capfd.readouterr().out == "kept\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-l", "mqtt://0.0.0.0:1883"], "give --password-file"),
        (["-l", "mqtts://127.0.0.1:0"], "needs --certfile and --keyfile"),
        (["--password-file", "/nowhere"], "password file"),
        (["--permissions", "/nowhere"], "cannot read"),
        (["--certfile", "/nowhere"], "certificate"),
        (["--store", "/nowhere/x"], "store"),
        (["--listen", "nonsense"], "mqtt://"),
        (["--limit", "nonsense=1"], "there are connections, connect_s, "),
        (["--limit", "stall_s"], "'' is no value of the limit stall_s"),
        (["--limit", "queued=1.5"], "'1.5' is no value of the limit queued"),
        (["--limit", "queues_qos_0=yes"], "is no value of the limit queues_qos_0"),
        (["--limit", "queue_policy=forget"], "queue_policy is"),
    ],
)
def test_settings_that_cannot_work_are_named(capfd, options: list[str], said: str):
    assert run_program(["mqtt", "broker", *options]) == 2
    err = capfd.readouterr().err
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\udcff", "is not text"),
        ("[[permission]]\nnonsense\n", "line 2"),
        ("", "no table [[permission]]"),
        ("[[permission]]\n[other]\n", "called [[permission]], not 'other'"),
        ("[[permissions]]\n", "called [[permission]], not 'permissions'"),
        ("permission = 5\n", "no table [[permission]]"),
        ("permission = [5]\n", "a permission is a table"),
        ('[[permission]]\nread = "x"\n', "has no 'read'"),
        ('[[permission]]\npublish = "x"\n', "list"),
        ('[[permission]]\npublish = ["a#"]\n', "a#"),
    ],
)
def test_permissions_that_are_none_are_named(
    capfd, tmp_path: Path, text: str, said: str
):
    file = tmp_path / "permissions.toml"
    file.write_text(text, errors="surrogateescape")
    assert run_program(["mqtt", "broker", "-p0", f"--permissions={file}"]) == 2
    err = capfd.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_topic_with_a_control_character_is_not_sent(start: StartBroker, capfd):
    broker = start()
    for qos in ("-q0", "-q1"):
        assert pub(broker, qos, "-t", "\N{ESCAPE}[31m", "-mx") == 2
        said = capfd.readouterr().err
        assert "holds U+001B, a control character, at which brokers" in said


def test_it_says_who_comes_and_goes_and_what_is_refused(
    start: StartBroker, tmp_path: Path
):
    permissions = tmp_path / "permissions.toml"
    permissions.write_text('[[permission]]\npublish = ["a/#"]\n')
    broker = start("-v", f"--permissions={permissions}")
    assert pub(broker, "-i", "attic", "-ta/x", "-mx") == 0
    for topic in ("b/x", "b/y"):
        # Nobody tells a publisher of QoS 0.
        assert pub(broker, "-i", "attic", "-t", topic, "-mx") == 0
    run_program(["mqtt", "sub", f"-p{broker.port}", "-icellar", "-tb", "-E"])
    said = broker.stop()
    assert "client 'attic' at 127.0.0.1 is connected: no user, MQTT" in said
    assert "client 'attic' at 127.0.0.1 has left" in said
    assert said.count("client 'attic' of no user may not publish to 'b/") == 1
    assert "client 'cellar' of no user may not subscribe 'b': not authorized" in said
    assert "None" not in said


def test_a_password_file_is_edited_line_by_line(password_file: Path, monkeypatch):
    passwords = Passwords.read(password_file)
    assert passwords.check("alice", b"alices word")
    assert passwords.check("bob", b"bobs word")
    types(monkeypatch, "new word\n")
    run_program(["mqtt", "passwd", "--stdin", str(password_file), "alice"])
    assert run_program(["mqtt", "passwd", "-D", str(password_file), "bob"]) == 0
    passwords = Passwords.read(password_file)
    assert passwords.check("alice", b"new word")
    assert not passwords.check("alice", b"alices word")
    assert not passwords.check("bob", b"bobs word")
    assert password_file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in password_file.parent.iterdir()] == ["passwords"]


def test_a_password_file_on_a_full_disk_stays_as_it_was(
    password_file: Path, capsys, monkeypatch
):
    before = password_file.read_text()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    types(monkeypatch, "secret\n")
    capsys.readouterr()
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        status = run_program(["mqtt", "passwd", "--stdin", str(password_file), "eve"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == 1
    said = capsys.readouterr().err
    assert said.startswith(f"Error: cannot write {password_file}: ")
    assert said.endswith("; nothing has changed\n")
    assert password_file.read_text() == before
    assert [one.name for one in password_file.parent.iterdir()] == [password_file.name]


@pytest.mark.parametrize("arguments", [["-D", "{}", "carol"], ["--stdin", "{}", "a:b"]])
def test_a_user_that_cannot_be_is_named(
    password_file: Path, capfd, arguments: list[str]
):
    given = [argument.format(password_file) for argument in arguments]
    assert run_program(["mqtt", "passwd", *given]) == 2
    assert given[-1] in capfd.readouterr().err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("passwd users ann", "give it on stdin, with --stdin"),
        ("pub -t a -m x -u ann -P -", "put it into $STRUCTIOT_MQTT_PASSWORD"),
    ],
)
def test_where_there_is_no_terminal_nobody_is_asked_for_a_password(
    tmp_path: Path, command: str, said: str
):
    done = subprocess.run(
        program("mqtt", *command.split()),
        input="her word\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        start_new_session=True,
    )
    assert (done.stdout, done.returncode) == ("", 2)
    assert said in done.stderr
    assert "Warning" not in done.stderr
    assert "her word" not in done.stderr
    assert list(tmp_path.iterdir()) == []
