"""The ceiling: the peer talking to itself, both ends precomputed and counted by slices.

No client can be faster than this, and where a client comes near it the peer is what
was measured.
"""

from __future__ import annotations

import argparse
import socket

from common import HOST, Job, parse_job
from raw_peer import Peer

CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05bench"


def run(job: Job) -> None:
    args = argparse.Namespace(
        qos=job.qos,
        count=job.count,
        window=job.window,
        topic=job.topics[0],
        topics=1,
        payload=len(job.payload),
    )
    sock = socket.create_connection((HOST, job.port), timeout=20)
    if tls := job.tls:
        sock = tls.wrap_socket(sock, server_hostname=HOST)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end = Peer(sock, args)
    sock.sendall(CONNECT)
    end.next_packet()
    if job.qos:
        end.encode_all()
    job.start()
    if job.mode == "receive":
        topic = job.topic.encode()
        body = b"\x00\x01" + len(topic).to_bytes(2, "big") + topic + bytes((job.qos,))
        sock.sendall(bytes((0x82, len(body))) + body)
        end.next_packet()
        end.swallow()
        job.tally.n = job.count
    elif job.qos:
        end.feed_within_window()
    else:
        end.feed_freely()
    job.finish_now()


if __name__ == "__main__":
    run(parse_job())
