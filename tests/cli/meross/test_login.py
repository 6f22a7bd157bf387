"""`structiot meross login` and `logout`."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests._support.interpreter import PYTHON
from tests._support.terminal import terminal
from tests.cli.meross.conftest import EMAIL, PASSWORD

pytestmark = pytest.mark.e2e


def test_a_login_keeps_the_token_for_its_owner_alone(house, sign_in, state):
    shown = sign_in()
    assert EMAIL in shown
    assert house.cloud.key not in shown
    (file,) = state.glob("meross-*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert house.cloud.key in file.read_text()
    assert str(file) in shown


def test_the_key_is_shown_when_it_is_asked_for(house, sign_in):
    assert house.cloud.key in sign_in("--show-key")
    told = json.loads(sign_in("--json"))
    assert "key" not in told
    assert told["email"] == EMAIL
    assert told["is_new"] is False
    assert json.loads(sign_in("--json", "--show-key"))["key"] == house.cloud.key


def test_a_token_that_is_good_is_not_made_anew(house, sign_in, call):
    sign_in()
    assert "as before" in call("login")
    assert house.cloud.sign_ins == 1


def test_a_token_that_has_expired_is_made_anew(house, sign_in, call):
    sign_in()
    house.portal.call(house.cloud.expire_token)
    said = call("devices", status=1)
    assert "`structiot meross login` gets a new one" in said
    assert json.loads(sign_in("--json"))["is_new"] is True
    assert house.cloud.sign_ins == 2
    assert json.loads(call("devices", "--json")) == []


def test_a_token_in_a_file_of_ones_own(house, sign_in, call, tmp_path, state):
    file = str(tmp_path / "my" / "token.json")
    sign_in("--store", file)
    assert not state.exists()
    assert json.loads(call("devices", "--store", file, "--json")) == []
    assert "nobody is signed in" in call("devices", status=2)


def test_a_wrong_password_is_said(house, sign_in, state):
    said = sign_in(password="Tr0ub4dor", status=1)
    assert "no account has this e-mail and password" in said
    assert "Tr0ub4dor" not in said
    assert not list(state.glob("*.json"))


def test_the_first_line_of_a_file_may_be_the_password(house, call, tmp_path):
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\nand nothing else\n")
    where = ["--email", EMAIL, "--url", house.cloud.url, "--password-file", str(file)]
    assert EMAIL in call("login", *where)
    file.write_text("\n")
    assert f"no password is in {file}" in call("devices", *where, status=2)
    file.write_bytes(b"secr\xffet\n")
    said = call("devices", *where, status=2)
    assert "no text" in said
    assert "secr" not in said
    file.unlink()
    assert "cannot read the password" in call("devices", *where, status=2)


def test_without_a_terminal_nobody_is_asked(house, backend):
    where = ["--url", house.cloud.url, "--backend", backend]

    def say(*options: str) -> str:
        done = subprocess.run(
            [*PYTHON, "-m", "structiot", "meross", "login", *where, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            # Without it there is a terminal: that of whoever runs the tests.
            start_new_session=True,
        )
        assert done.returncode == 2
        return done.stderr

    assert "--email" in say()
    said = say("--email", EMAIL)
    assert "there is no terminal to ask for the password" in said
    assert "give it by --password-file or $STRUCTIOT_MEROSS_PASSWORD" in said


def test_a_code_that_the_account_wants_is_asked_for(house, backend, monkeypatch):
    house.rules(mfa_code="123456")
    monkeypatch.setenv("STRUCTIOT_MEROSS_PASSWORD", PASSWORD)
    where = ["--email", EMAIL, "--url", house.cloud.url, "--backend", backend]
    with terminal("meross", "login", *where) as screen:
        screen.wait_for("One-time code: ")
        screen.type("123456")
        screen.wait_for("token new")
        assert screen.ended() == 0
    assert house.cloud.sign_ins == 1


def test_a_code_that_nobody_can_be_asked_for_is_missing(house, sign_in, monkeypatch):
    house.rules(mfa_code="123456")
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        said = sign_in(status=1)
    assert "one-time code" in said
    assert "`structiot meross login` asks for it at a terminal" in said


def test_too_many_tokens_are_said(house, sign_in, tmp_path):
    house.rules(max_tokens=1)
    sign_in()
    said = sign_in("--store", str(tmp_path / "other.json"), status=1)
    assert "1301" in said
    assert "`structiot meross logout` gives one back" in said


def test_a_logout_gives_the_token_back_and_forgets_it(house, sign_in, call, state):
    house.add()
    sign_in()
    assert list(state.glob("*.devices"))
    assert call("logout") == ""
    assert house.cloud.valid_tokens == 0
    assert not list(state.glob("*.json"))
    assert not list(state.glob("*.devices"))
    assert json.loads(call("logout", "--json")) == {"email": None}


@pytest.mark.parametrize(
    "command", [["devices"], ["info", "Lamp"], ["on", "Lamp"], ["watch"]]
)
def test_nothing_is_done_before_a_login(call, command):
    said = call(*command, status=2)
    assert said == (
        "structiot: nobody is signed in to Meross: `structiot meross login` does that\n"
    )


def test_a_token_of_somebody_else_is_not_used(house, sign_in, call, tmp_path):
    sign_in()
    said = call("devices", "--email", "other@example.com", status=2)
    assert "nobody is signed in" in said
    sign_in("--store", store := str(tmp_path / "token.json"))
    where = ("--store", store)
    said = call("devices", *where, "--email", "other@example.com", status=2)
    assert "is u***@example.com's, not o***@example.com's" in said


@pytest.fixture
def two_accounts(house, call, monkeypatch):
    """Sign in to an account of each of two clouds; both are the first of their e-mail."""
    clouds = []
    for email in ("a@example.com", "b@example.com"):
        house.another(email)
        house.add(name=f"Lamp of {email[0]}")
        with monkeypatch.context() as patched:
            patched.setenv("STRUCTIOT_MEROSS_PASSWORD", PASSWORD)
            call("login", "--email", email, "--url", house.cloud.url)
        clouds.append(house.cloud)
    return clouds


def test_the_e_mail_says_which_of_several_accounts(house, two_accounts, call, state):
    for email in ("a@example.com", "B@EXAMPLE.COM"):
        (row,) = json.loads(call("devices", "--email", email, "--json"))
        assert row["name"] == f"Lamp of {email[0].lower()}"
        assert row["name"] in call("budget", "--email", email)
        call("stats", "--email", email)
    call("logout", "--email", "a@example.com")
    valid = [house.portal.call(lambda c=c: c.valid_tokens) for c in two_accounts]
    assert valid == [0, 1]
    assert len(list(state.glob("meross-*.json"))) == 1
    assert "Lamp of b" in call("devices")


def test_who_has_several_accounts_is_told_by_which_option(two_accounts, call):
    for command in ("devices", "budget", "stats", "logout"):
        said = call(command, status=2)
        assert "tokens of 2 accounts: give --email" in said
