"""What identifies a device, by whose word, and which of it is trusted most."""

from __future__ import annotations

import pytest

from structiot._kit.redact import Secret
from structiot.maxsmart import DeviceIdentifiers
from structiot.maxsmart.identification import identifiers_from
from structiot.maxsmart.wire.messages import DiscoveryReply, Identifiers

CPU_ID = "0123456789ABCDEF01234567"
SAID = DiscoveryReply(serial="SWP6000000000001", mac="020000000001")
BURNT_IN = Identifiers(
    cpu_id=CPU_ID,
    plc_mac="020000000010",
    plc_key=Secret("0011223344556677"),
    server="www.maxsmart.ch",
)


def texts(found: DeviceIdentifiers) -> list[str]:
    return [identifier.text for identifier in found.ranked]


def test_the_order_of_trust_is_cpu_id_mac_serial_address():
    found = identifiers_from(
        "192.168.1.9", discovery=SAID, hardware=BURNT_IN, arp_mac="02:00:00:00:00:02"
    )
    assert texts(found) == [
        f"cpu_{CPU_ID}",
        "mac_020000000001",
        "mac_020000000002",
        "sn_SWP6000000000001",
        "ip_192_168_1_9",
    ]
    assert [identifier.source for identifier in found.ranked] == [
        "hardware",
        "discovery",
        "arp",
        "discovery",
        "network",
    ]
    assert found.best is not found.ranked[1]
    assert found.best.value == CPU_ID


def test_only_an_address_is_not_reliable():
    found = identifiers_from("desk.local", discovery=SAID, hardware=BURNT_IN)
    reliable = [identifier.is_reliable for identifier in found.ranked]
    assert reliable == [True, True, True, False]


def test_an_address_is_all_there_is_of_a_silent_device():
    found = identifiers_from("fe80::1")
    assert texts(found) == ["ip_fe80__1"]
    assert not found.best.is_reliable


def test_the_neighbour_table_says_nothing_new_where_the_device_has_told_its_mac():
    found = identifiers_from("h", discovery=SAID, arp_mac="02-00-00-00-00-01")
    assert found.arp_mac == "020000000001"
    assert texts(found) == ["mac_020000000001", "sn_SWP6000000000001", "ip_h"]


@pytest.mark.parametrize(
    "arp_mac", ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "", "x"]
)
def test_what_is_no_hardware_address_does_not_count(arp_mac):
    assert identifiers_from("h", arp_mac=arp_mac).arp_mac is None


@pytest.mark.parametrize("cpu_id", ["01234567", "0" * 24, "F" * 24])
def test_what_is_no_cpu_id_does_not_count(cpu_id):
    found = identifiers_from("h", hardware=Identifiers(cpu_id=cpu_id))
    assert found.cpu_id is None


def test_the_key_of_the_powerline_modem_is_a_secret():
    found = identifiers_from("h", hardware=BURNT_IN)
    assert (found.plc_mac, found.server) == ("020000000010", "www.maxsmart.ch")
    assert found.plc_key is not None
    assert "0011223344556677" not in f"{found} {found!r} {found.plc_key}"
