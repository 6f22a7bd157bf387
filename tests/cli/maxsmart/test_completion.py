"""What a shell offers for the commands of `structiot maxsmart`, their hosts and ports."""

from __future__ import annotations

import asyncclick as click
import pytest

from structiot.cli.maxsmart import maxsmart

pytestmark = pytest.mark.e2e


@pytest.fixture
def offered(complete, monkeypatch: pytest.MonkeyPatch):
    """Ask as a shell does behind `structiot maxsmart`."""
    monkeypatch.setenv("STRUCTIOT_MAXSMART_BROADCAST", "127.0.0.1")
    return lambda words: complete(f"maxsmart {words}")


def test_every_command_is_offered_with_its_line(offered):
    commands = maxsmart.list_commands(click.Context(maxsmart))
    assert [one.split()[0] for one in offered("")] == commands
    assert offered("di") == ["discover Find devices."]


def test_options_are_offered(offered):
    words = [one.split()[0] for one in offered("watch --")]
    assert {"--every", "--json", "--backend", "--http-port"} <= set(words)


def test_hosts_that_answer_are_offered(offered, strip):
    udp = " ".join(strip.udp)
    assert offered(f"on {udp} 127") == ["127.0.0.1 Desk"]
    assert offered(f"on {udp} 10.") == []


def test_ports_are_offered_with_their_names(offered, strip):
    udp = " ".join(strip.udp)
    assert offered(f"state {udp} 127.0.0.1 ")[:2] == ["0 all ports", "1 Port 1"]
    assert offered(f"state {udp} 127.0.0.1 1 6") == ["6 Port 6"]


def test_ports_without_names_are_offered_by_number(offered, simulate):
    plug = simulate("mh_plug_130")
    udp = " ".join(plug.udp)
    assert offered(f"off {udp} 127.0.0.1 ") == ["0 all ports", "1 port 1"]


def test_nobody_there_offers_nothing(offered):
    assert offered("on --udp-port 9 ") == []
    assert offered("on --udp-port 9 127.0.0.1 ") == []
