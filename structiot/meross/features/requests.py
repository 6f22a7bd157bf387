"""Questions and orders, each with its content under the key of its namespace."""

from __future__ import annotations

from collections.abc import Mapping

from structiot._kit.arguments import check_argument
from structiot._kit.json_text import compact
from structiot.errors import UsageError
from structiot.meross.features.feature import Poll, Request
from structiot.meross.features.fields import Pace
from structiot.meross.wire.envelope import ANSWERS, Method
from structiot.meross.wire.payloads import key_of

__all__ = ["checked_request", "order", "polled", "question"]


def checked_request(namespace: str, method: str, payload: object) -> Request:
    """Give a request of somebody who may have written anything.

    Raises:
        UsageError: No such method, no namespace, or a payload that is no JSON.
    """
    check_argument("method", method, str)
    if method not in ANSWERS:
        raise UsageError(f"method is {', '.join(ANSWERS)}, not {method!r}")
    check_argument("namespace", namespace, str)
    if not isinstance(payload, Mapping):
        raise UsageError('the payload is a JSON object, such as {"togglex": {}}')
    try:
        compact(payload, is_ascii=True)
    except (TypeError, ValueError, RecursionError) as exc:
        raise UsageError(f"the payload is no JSON: {exc}") from None
    return Request(method=Method(method), namespace=namespace, payload=payload)


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
