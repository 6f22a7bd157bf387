"""What reads the wire is not upset by what it reads."""

from __future__ import annotations

import pytest

from structiot.errors import ProtocolViolation
from structiot.meross.wire.cloud import decode_request
from structiot.meross.wire.system import SystemAll, max_batch_of, payload_of, read_all

BATCHES = {"Appliance.Control.Multiple": {"maxCmdNum": 5}}


@pytest.mark.parametrize("name", ["params", "timestamp", "nonce"])
@pytest.mark.parametrize("text", ["\udc80", "\ud800ü"])
def test_half_a_character_in_a_request_of_the_cloud_is_a_violation(name, text):
    with pytest.raises(ProtocolViolation, match="no text"):
        decode_request({"params": "e30=", "sign": text, name: text})


@pytest.mark.parametrize(
    ("model", "firmware", "most"),
    [
        ("mrs100", "2.1.4", 1),
        ("mrs100", "2.0.11", 1),
        ("mrs100", None, 1),
        ("mrs100", "2.1.5", 5),
        ("mrs100", "6.0.0", 5),
        ("mss310", "2.1.4", 5),
    ],
)
def test_old_shutters_take_no_batches(model, firmware, most):
    system = SystemAll(model=model, firmware=firmware)
    assert max_batch_of(BATCHES, system) == most
    assert max_batch_of({}, system) == 1


def test_what_a_device_says_of_itself_is_written_as_it_is_read():
    system = SystemAll(
        uuid=32 * "a",
        model="mss310",
        sub_type="eu",
        hardware="6.0.0",
        firmware="6.3.22",
        mac="48:e1:e9:aa:bb:cc",
        lan_host="192.168.1.60",
        timezone="Europe/Zurich",
    )
    assert read_all(payload_of(system)) == system
    # Without a mac it is that of the uuid.
    nobody = SystemAll(uuid=None)
    assert read_all(payload_of(nobody)) == nobody
