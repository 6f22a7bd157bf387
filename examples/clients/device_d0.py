"""A lamp that dials in to a manager, in the dialect that iot-manager documents (D0).

It runs on MicroPython and on CPython as it is: sockets, JSON, and nothing to install.

    import device_d0
    device_d0.run("192.168.1.10", 8595, "1862cfe1-5dab-4d8e-a946-50d6728f830f")

On a computer: python examples/clients/device_d0.py HOST PORT UUID
"""

import json
import random
import socket
import sys
import time

GETINFO = 0x01
HEARTBEAT = 0x02
GOODBYE = b"end\n"
# The server asks every 60 s whether we are there: after so long it is not.
SILENCE_S = 135
FIRST_WAIT_S = 1
LONGEST_WAIT_S = 60
AFTER_GOODBYE_S = 30

state = {"is_on": False}


def obey(text):
    """Do what the server says; give the answer, or None."""
    if text in (b"on", b"off"):
        state["is_on"] = text == b"on"
    elif text == b"toggle":
        state["is_on"] = not state["is_on"]
    elif text != b"state":
        return b'{"error": "on, off, toggle or state"}'
    return json.dumps(state).encode()


def info(uuid):
    """Say who we are: which device, what it is, and whatever else there is to say."""
    return (uuid + "##lamp##" + json.dumps(state)).encode()


def listen(sock, uuid):
    """Answer the server until the connection ends; give whether it has said goodbye.

    Nothing tells where a message ends. What the server sends us is text, so that a byte
    01 or 02 is a question wherever it stands, and all that came with it is a message.
    """
    text = b""
    while True:
        data = sock.recv(512)
        if not data:
            return False
        for byte in data:
            if byte == GETINFO:
                sock.sendall(info(uuid))
            elif byte == HEARTBEAT:
                sock.sendall(b"beat")
            else:
                text += bytes([byte])
        if text.endswith(GOODBYE):
            return True
        # The first half of a goodbye waits for the second.
        if text and not GOODBYE.startswith(text):
            sock.sendall(obey(text))
            text = b""


def connect(host, port):
    """Open a connection on which a server that says nothing is an error."""
    address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0][-1]
    sock = socket.socket()
    sock.settimeout(SILENCE_S)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def run(host, port, uuid):
    """Stay connected, for ever: wait longer each time, and never all at once."""
    wait_s = FIRST_WAIT_S
    while True:
        said_goodbye = False
        try:
            sock = connect(host, port)
            try:
                wait_s = FIRST_WAIT_S
                said_goodbye = listen(sock, uuid)
            finally:
                sock.close()
        except OSError as error:
            print("no connection:", error)
        if said_goodbye:
            # Another device may have our UUID: let it.
            print("the server has said goodbye")
            wait_s = max(wait_s, AFTER_GOODBYE_S)
        time.sleep(wait_s * (0.5 + random.random() / 2))
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        print("device_d0.py HOST PORT UUID")
    else:
        run(sys.argv[1], int(sys.argv[2]), sys.argv[3])
