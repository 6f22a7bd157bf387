"""What goes wrong with TLS is told by the names of options, not those of the library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from structiot.cli.main import run_program
from tests._support.broker_process import BrokerProcess

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    return folder


@pytest.fixture(scope="module")
def port(files: Path) -> Iterator[int]:
    listen = ("-l", "mqtts://127.0.0.1:0", "--certfile", str(files / "server.pem"))
    process = BrokerProcess(*listen)
    process.start()
    yield int(process.uris[0].rpartition(":")[2])
    process.stop()


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("mqtt pub {where} --tls-use-os-certs", 1, "give it as --cafile"),
        ("mqtt pub {where} --cafile other.pem", 1, "none of those in --cafile"),
        ("manager clients --uri {uri}", 1, "give it as --broker-cafile"),
    ],
)
def test_what_is_missing_is_an_option(
    files: Path,
    port: int,
    *,
    command: str,
    status: int,
    said: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(files)
    where = f"-h 127.0.0.1 -p {port} -t a -m x"
    words = command.format(where=where, uri=f"mqtts://127.0.0.1:{port}").split()
    assert run_program(words) == status
    line = capfd.readouterr().err
    assert said in line
    assert not re.search(r"[a-z]+=", line)


@pytest.mark.parametrize("scheme", ["mqtt", "ws"])
@pytest.mark.parametrize(
    "option", ["--cafile other.pem", "--cert server.pem", "--tls-use-os-certs"]
)
def test_nothing_is_sent_in_plain_text_where_tls_is_asked_for(
    files: Path,
    *,
    scheme: str,
    option: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(files)
    words = f"mqtt pub -L {scheme}://127.0.0.1:9 -t a -m x {option}".split()
    assert run_program(words) == 2
    assert f"begin the address with {scheme}s://" in capfd.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        "mqtt pub -L mqtt://127.0.0.1:9 -t a -m x --retries 0",
        "manager clients --uri mqtt://127.0.0.1:9 --wait 0.1",
    ],
)
def test_authorities_of_the_environment_are_for_addresses_with_tls(
    command: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STRUCTIOT_MQTT_CAFILE", "other.pem")
    assert run_program(command.split()) == 1
    assert "connection refused" in capfd.readouterr().err


def test_so_it_is_refused_where_managers_meet(capfd: pytest.CaptureFixture[str]):
    words = [
        "manager",
        "clients",
        "--uri",
        "mqtt://127.0.0.1:9",
        "--broker-cafile",
        "a.pem",
    ]
    assert run_program(words) == 2
    assert "--broker-cafile is for TLS" in capfd.readouterr().err


def test_so_it_is_in_the_log(files: Path, port: int, capfd: pytest.CaptureFixture[str]):
    where = ["--uri", f"mqtts://127.0.0.1:{port}", "--name", "a", "--wait", "0.1"]
    other = ["--broker-cafile", str(files / "other.pem")]
    assert run_program(["manager", "clients", *where, *other, "-vv"]) == 1
    said = capfd.readouterr().err
    assert "--broker-cafile" in said
    assert not re.search(r"[a-z]+=", said)
