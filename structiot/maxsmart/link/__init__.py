"""Sockets and deadlines: datagrams, requests to one strip, the call of the roll."""

from __future__ import annotations
