"""Questions and orders, each with its content under the key of its namespace."""

from __future__ import annotations

from structiot.meross.features.feature import Poll, Request
from structiot.meross.features.fields import Pace
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.payloads import key_of

__all__ = ["order", "polled", "question"]


def question(
    namespace: str, content: object = None, *, method: Method = Method.GET
) -> Request:
    """Give a question; without content it is for everything."""
    payload = {} if content is None else {key_of(namespace): content}
    return Request(method=method, namespace=namespace, payload=payload)


def polled(
    namespace: str,
    content: object = None,
    *,
    pace: Pace = "live",
    method: Method = Method.GET,
) -> Poll:
    """Give a question that is to be asked again and again."""
    return Poll(request=question(namespace, content, method=method), pace=pace)


def order(namespace: str, content: object) -> Request:
    """Give an order."""
    payload = {key_of(namespace): content}
    return Request(method=Method.SET, namespace=namespace, payload=payload)
