"""The Mosquitto fixtures give a broker that can go away and come back."""

from __future__ import annotations

import socket

import pytest

pytestmark = pytest.mark.e2e


def test_the_shared_broker_accepts_connections(mosquitto):
    assert mosquitto.uri == f"mqtt://127.0.0.1:{mosquitto.port}/"
    socket.create_connection((mosquitto.host, mosquitto.port)).close()


def test_an_own_broker_comes_back_on_the_same_port(start_mosquitto):
    broker = start_mosquitto()
    port = broker.port
    broker.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((broker.host, port))
    broker.restart()
    socket.create_connection((broker.host, port)).close()
    assert broker.port == port


def test_a_broker_that_cannot_start_fails_with_its_own_words(start_mosquitto):
    with pytest.raises(pytest.fail.Exception, match="nonsense"):
        start_mosquitto("nonsense true\n")
