"""A coverage-guided fuzzer on the MQTT decoder: `nox -s fuzz`.

The first byte of an input says who receives, in which version, and into how many
pieces the rest is cut; the rest is what the peer sends. The golden packets are the
seeds. Asserted for every input:

* nothing is raised; bad bytes set `violation`, with a reason code of the standard;
* the packets and the violation are the same for the whole and for the pieces;
* no more is held back than has arrived.

Options are those of libFuzzer, such as `-max_total_time=600` or `-runs=100000`; a
folder named on the command line keeps what was found. An input that fails is written
to `crash-...` and run again by naming that file.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["structiot.mqtt.wire"]):
    from structiot.mqtt import ReasonCode
    from structiot.mqtt.wire.codec import Decoder
    from structiot.mqtt.wire.codec.decoder import Role
    from structiot.mqtt.wire.messages import Packet

from tests.wire.mqtt.vectors import VECTORS

RECEIVERS: list[tuple[Role, int]] = [
    ("client", 4),
    ("client", 5),
    ("server", 4),
    ("server", 5),
]
MAX_PACKET_BYTES = 65_536
REPORT_EVERY = 50_000

counts: Counter[str] = Counter()


def decode(
    role: Role, version: int, pieces: Sequence[bytes]
) -> tuple[list[Packet], int | None]:
    """Feed the pieces; give the packets and the code of the violation."""
    decoder = Decoder(role=role, version=version, max_packet_bytes=MAX_PACKET_BYTES)
    packets: list[Packet] = []
    arrived = 0
    for piece in pieces:
        packets += decoder.feed(piece)
        arrived += len(piece)
        assert decoder.held_bytes <= arrived
    if decoder.violation is None:
        return packets, None
    assert decoder.violation.code is not None
    return packets, ReasonCode(decoder.violation.code)


def in_pieces(data: bytes, count: int) -> list[bytes]:
    """Cut data into about as many pieces."""
    size = max(1, len(data) // count)
    return [data[at : at + size] for at in range(0, len(data), size)]


def check(data: bytes) -> None:
    """Decode one input in both ways."""
    if not data:
        return
    role, version = RECEIVERS[data[0] & 3]
    stream = data[1:]
    packets, fault = decode(role, version, [stream])
    cut_packets, cut_fault = decode(
        role, version, in_pieces(stream, 1 + (data[0] >> 2))
    )
    assert (packets, fault) == (cut_packets, cut_fault)
    counts["inputs"] += 1
    counts["packets"] += len(packets)
    counts["violations" if fault else "without violation"] += 1
    if counts["inputs"] % REPORT_EVERY == 0:
        shown = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        print(f"so far: {shown}", file=sys.stderr, flush=True)


def seed(folder: Path) -> None:
    """Write the golden packets, one by one and all of a connection in a row."""
    for number, (role, version) in enumerate(RECEIVERS):
        raws = [
            vector.raw
            for vector in VECTORS
            if (vector.receiver, vector.version) == (role, version)
        ]
        for index, raw in enumerate([*raws, b"".join(raws)]):
            for pieces in (0, 3, 63):
                name = f"{role}-{version}-{index}-{pieces}"
                first = bytes([pieces << 2 | number])
                (folder / name).write_bytes(first + raw)


def main() -> None:
    """Fuzz until told otherwise by the options."""
    has_folder = any(not argument.startswith("-") for argument in sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        arguments = list(sys.argv)
        if not has_folder:
            seed(Path(folder))
            arguments.append(folder)
        atheris.Setup(arguments, check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
