"""The networks around this machine, and who is behind an address in them."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from ipaddress import IPv4Interface
from pathlib import Path

import anyio
import ifaddr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.net.host_network import (
    NO_HOST_NETWORK,
    SYSTEM_HOST_NETWORK,
    SystemHostNetwork,
    broadcast_addresses,
    host_network_of,
)
from structiot._kit.net.memory import MemoryNetwork
from structiot._kit.net.network import REAL_NETWORK
from structiot._kit.net.system_host import (
    interfaces_of,
    mac_in_output,
    mac_in_table,
)

HOME = "127.0.0.7"  # in the one network that every machine has
TABLE = f"""\
IP address       HW type     Flags       HW address            Mask     Device
{HOME}        0x1         0x2         02:00:00:00:00:AB     *        eth0
127.0.0.71       0x1         0x2         02:00:00:00:00:71     *        eth0
127.0.0.8        0x1         0x0         00:00:00:00:00:00     *        eth0
127.0.0.9        0x1         nonsense    02:00:00:00:00:09     *        eth0
127.0.0.10
"""
OUTPUTS = {
    "macOS": f"? ({HOME}) at 2:0:0:0:0:ab on en0 ifscope [ethernet]\n",
    "Linux arp": f"Address  HWtype  HWaddress\n{HOME}  ether  02:00:00:00:00:ab  C  eth0\n",
    "Linux ip": f"{HOME} dev eth0 lladdr 02:00:00:00:00:ab REACHABLE\n",
    "Windows": f"Interface: 127.0.0.5 --- 0x3\n  {HOME}   02-00-00-00-00-ab   dynamic\n",
    "many": f"1{HOME} 03:0:0:0:0:1\n{HOME}1 03:0:0:0:0:2\n{HOME} at 2:0:0:0:0:ab\n",
}


def printing(text: str) -> list[str]:
    """Give the command of a program that prints a text, whatever it is asked."""
    return [sys.executable, "-c", f"print({text!r})"]


# ---------------------------------------------------------------- what is written


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_every_system_writes_hardware_addresses_its_own_way(output: str):
    assert mac_in_output(output, HOME) == "02:00:00:00:00:ab"


@pytest.mark.parametrize(
    "output",
    [
        "",
        f"? ({HOME}) at (incomplete) on en0",
        f"{HOME} dev eth0 FAILED",
        f"{HOME} (127.0.0.7) -- no entry",
    ],
)
def test_an_address_without_an_answer_has_no_hardware_address(output: str):
    assert mac_in_output(output, HOME) is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (HOME, "02:00:00:00:00:ab"),
        ("127.0.0.8", None),
        ("127.0.0.9", None),
        ("127.0.0.10", None),
        ("127.0.0.11", None),
    ],
)
def test_only_complete_entries_of_the_kernels_table_count(address: str, expected: str):
    assert mac_in_table(TABLE, address) == expected


@given(
    text=st.text(alphabet=st.characters(codec="ascii")), address=st.ip_addresses(v=4)
)
def test_whatever_is_printed_is_an_address_or_nothing(text: str, address: object):
    for found in (
        mac_in_table(f"{address} 0x1 0x2 {text}", str(address)),
        mac_in_output(f"{address} {text}", str(address)),
    ):
        assert found is None or re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", found)


# ---------------------------------------------------------------- the system


def test_addresses_that_make_no_network_are_left_out():
    ips = [
        ifaddr.IP("192.168.1.5", 24, "home"),
        ifaddr.IP("169.254.7.7", 128, "no network"),
        ifaddr.IP(("fe80::1", 0, 2), 64, "IPv6"),
    ]
    adapters = [ifaddr.Adapter("home", "home", ips), ifaddr.Adapter("off", "off", [])]
    assert interfaces_of(adapters) == (IPv4Interface("192.168.1.5/24"),)


@pytest.mark.e2e
async def test_the_system_tells_its_networks():
    interfaces = await SYSTEM_HOST_NETWORK.interfaces()
    assert IPv4Interface("127.0.0.1/8") in interfaces


@pytest.mark.e2e
async def test_the_kernels_table_is_read_where_there_is_one(tmp_path: Path):
    table = tmp_path / "arp"
    table.write_text(TABLE, "ascii")
    around = SystemHostNetwork(table=str(table), commands=[printing("")])
    assert await around.mac_of(HOME) == "02:00:00:00:00:ab"


@pytest.mark.e2e
async def test_elsewhere_a_program_is_asked(tmp_path: Path):
    commands = [["no-such-program"], printing(OUTPUTS["macOS"])]
    around = SystemHostNetwork(table=str(tmp_path / "none"), commands=commands)
    assert await around.mac_of(HOME) == "02:00:00:00:00:ab"


@pytest.mark.e2e
async def test_without_table_and_program_nobody_is_known(tmp_path: Path):
    around = SystemHostNetwork(table=str(tmp_path / "none"), commands=[])
    assert await around.mac_of(HOME) is None


@pytest.mark.e2e
async def test_a_program_that_hangs_is_ended_and_blocks_nobody(tmp_path: Path):
    hanging = [sys.executable, "-c", "import time; time.sleep(60)"]
    around = SystemHostNetwork(
        table=str(tmp_path / "none"), commands=[hanging], lookup_s=1.0
    )
    started_at = anyio.current_time()
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await anyio.sleep(0.01)
            beats += 1

    async with anyio.create_task_group() as tg:
        tg.start_soon(beat)
        assert await around.mac_of(HOME) is None
        tg.cancel_scope.cancel()
    assert anyio.current_time() - started_at < 5
    assert beats > 10


@pytest.mark.e2e
@pytest.mark.parametrize("address", ["203.0.113.9", "desk.local", "::1", ""])
async def test_beyond_its_own_networks_nobody_is_looked_up(
    address: str, tmp_path: Path
):
    table = tmp_path / "arp"
    table.write_text(TABLE.replace(HOME, "203.0.113.9"), "ascii")
    around = SystemHostNetwork(table=str(table), commands=[])
    assert await around.mac_of(address) is None


# ---------------------------------------------------------------- where to ask


class Networks:
    def __init__(self, *interfaces: str) -> None:
        self._interfaces = [IPv4Interface(text) for text in interfaces]

    async def interfaces(self) -> Sequence[IPv4Interface]:
        return self._interfaces

    async def mac_of(self, address: str) -> str | None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("interfaces", "expected"),
    [
        ([], []),
        (["127.0.0.1/8"], []),
        (["192.168.1.5/24", "10.7.0.5/16"], ["192.168.1.255", "10.7.255.255"]),
        (["192.168.1.5/24", "192.168.1.6/24"], ["192.168.1.255"]),
        (["10.0.0.1/30"], ["10.0.0.3"]),
        (["10.0.0.1/31", "10.0.0.9/32"], []),
    ],
)
async def test_each_network_has_its_broadcast_address(interfaces, expected):
    found = await broadcast_addresses(Networks(*interfaces))
    assert list(found) == [*expected, "255.255.255.255"]


async def test_around_a_network_in_memory_there_is_nothing():
    around = host_network_of(MemoryNetwork())
    assert around is NO_HOST_NETWORK
    assert await broadcast_addresses(around) == ("255.255.255.255",)
    assert await around.mac_of("127.0.0.1") is None
    assert host_network_of(REAL_NETWORK) is SYSTEM_HOST_NETWORK
