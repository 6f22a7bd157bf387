"""Ports of loopback that stay free until somebody asks for them by number.

A port that the system chose is free again once its server stops, and the system may
give it to the next who asks for any: a simulator then stands where a broker is missed.
These lie below those that the system gives out, and each worker of xdist has its own.
"""

from __future__ import annotations

import itertools
import os
import socket

_FIRST = 10_000
_PER_WORKER = 1_000
_WORKERS = 20


def _offers() -> itertools.cycle[int]:
    name = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    first = _FIRST + int(name) % _WORKERS * _PER_WORKER
    # Two runs side by side do not walk in step.
    skipped = os.getpid() * 7 % _PER_WORKER
    ports = [
        *range(first + skipped, first + _PER_WORKER),
        *range(first, first + skipped),
    ]
    return itertools.cycle(ports)


_PORTS = _offers()


def free_port(host: str = "127.0.0.1") -> int:
    """Give a TCP port where nobody listens, nor will unless it is asked for by number."""
    for _ in range(_PER_WORKER):
        port = next(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        return port
    message = "no port is free"
    raise RuntimeError(message)
