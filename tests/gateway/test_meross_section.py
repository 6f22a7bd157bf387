"""The section `[meross]`: what is refused, and what is read."""

from __future__ import annotations

import pytest

from structiot.gateway import InvalidConfig, load_config
from tests.gateway.configs import secret_file

KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"password": "x"}, "password is of no account: give email"),
        ({"policy": "lan"}, "policy"),
        ({"url": "iot.meross.com"}, "begins with https://"),
        ({"devices": [{"host": "a"}]}, "key is missing"),
        ({"devices": [{"key": "k"}]}, "host is missing"),
        (
            {"key": "k", "devices": [{"host": "a"}, {"host": "A"}]},
            "listed twice with the same port",
        ),
        ({"rate_limiter": {"device_burst_rate": 0}}, "device_burst_rate"),
        ({"lan_ports": {"a": 0}}, "a must be at least 1"),
        ({"poll_s": 0.5}, "poll_s"),
        ({"key": "k", "devices": [{"host": "a", "poll_s": 200}]}, "poll_s"),
    ],
)
def test_slips_in_the_section_are_said(section, said):
    with pytest.raises(InvalidConfig, match=said):
        load_config({"meross": section})


@pytest.mark.parametrize(
    ("section", "has_account"),
    [
        ({}, True),
        ({"email": "a@b"}, True),
        ({"key": "k", "devices": [{"host": "a"}]}, False),
        ({"key": "k", "store": "kept.json", "devices": [{"host": "a"}]}, True),
    ],
)
def test_an_account_is_opened_where_one_is_named_or_nothing_is_listed(
    section, has_account
):
    assert load_config({"meross": section}).meross.has_account is has_account


def test_secrets_are_read_from_files_and_are_not_shown(tmp_path):
    secret_file(tmp_path / "password", "hunter2\n")
    secret_file(tmp_path / "key", f"{KEY}\n")
    (tmp_path / "structiot.toml").write_text(
        """
[meross]
email = "a@b"
password_file = "password"
[[meross.devices]]
host = "plug"
key_file = "key"
"""
    )
    section = load_config(tmp_path / "structiot.toml").meross
    assert section.password.reveal() == "hunter2"
    assert section.devices[0].key.reveal() == KEY
    assert "hunter2" not in repr(section)
    assert KEY not in repr(section)
