"""`[dashboard]`: what it takes, and what it refuses before anything is served."""

from __future__ import annotations

from pathlib import Path

from structiot.gateway import load_config
from tests.gateway.configs import problems_of, secret_file, written


def test_by_default_it_is_for_this_machine():
    section = load_config({}).dashboard
    assert section.enabled
    assert section.listen == ("http://127.0.0.1:8321",)
    assert not section.token


def test_all_of_it(tmp_path: Path):
    secret_file(tmp_path / "token", "open sesame\n")
    (tmp_path / "cert.pem").write_text("a certificate")
    file = written(
        tmp_path,
        "[dashboard]\n"
        "listen = ['https://0.0.0.0:8443', 'http://127.0.0.1:8321']\n"
        "cert_file = 'cert.pem'\n"
        "token_file = 'token'\n"
        "hosts = ['house.example']\n",
    )
    section = load_config(file).dashboard
    assert section.token is not None
    assert section.token.reveal() == "open sesame"
    assert "sesame" not in repr(section)
    assert section.cert_file == str(tmp_path / "cert.pem")


def test_what_is_wrong_is_said_by_its_key(tmp_path: Path):
    text = """\
[dashboard]
listen = ["http://0.0.0.0:81", "https://localhost:1", "ftp://x", "http://a:b@x:1", "http://x/y"]
key_file = "key.pem"
hosts = ["house example"]
"""
    problems = problems_of(tmp_path, text)
    assert [one.partition(": ")[0] for one in problems] == [
        "structiot.toml:2:11",
        "structiot.toml:2:32",
        "structiot.toml:2:55",
        "structiot.toml:2:66",
        "structiot.toml:2:84",
        "structiot.toml:3:1",
        "structiot.toml:3:12",
        "structiot.toml:4:10",
    ]
    said = "\n".join(problems)
    for words in (
        "others can reach http://0.0.0.0:81: give a token, or a token_file",
        "https needs a cert_file beside it",
        "the page is served at http://HOST:PORT or https://HOST:PORT",
        "host and port only",
        "key_file needs a cert_file beside it",
    ):
        assert words in said
    assert "a:b@" not in said


def test_what_is_switched_off_needs_no_token(tmp_path: Path):
    text = "[dashboard]\nenabled = false\nlisten = ['http://0.0.0.0:80']\n"
    assert not load_config(written(tmp_path, text)).dashboard.enabled


def test_other_words_lead_to_the_right_ones(tmp_path: Path):
    problems = problems_of(tmp_path, "[dashboard]\nport = 80\npassword = 'x'\n")
    assert "listen" in problems[0]
    assert "token" in problems[1]
