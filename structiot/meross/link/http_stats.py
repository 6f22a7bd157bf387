"""What was asked of the cloud lately, and what came of it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

import anyio

__all__ = ["HttpCounter", "HttpStats"]

_MAX_SAMPLES: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpStats:
    """Requests to the cloud within some time.

    Attributes:
        total_calls: How many there were.
        by_http_status: How many by status of HTTP; None counts those without a reply.
        by_api_status: How many by the cloud's own number; None counts those without one.
        by_url: The same of each URL by itself, without `by_url` in turn.
    """

    total_calls: int
    by_http_status: Mapping[int | None, int]
    by_api_status: Mapping[int | None, int]
    by_url: Mapping[str, HttpStats]


class _Sample(NamedTuple):
    at_s: float
    url: str
    http_status: int | None
    api_status: int | None


class HttpCounter:
    """Remembers the last thousand requests."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=_MAX_SAMPLES)

    def count(self, url: str, http_status: int | None, api_status: int | None) -> None:
        """Remember one request; None for what there was not."""
        at_s = anyio.current_time()
        self._samples.append(_Sample(at_s, url, http_status, api_status))

    def stats(self, time_window: timedelta) -> HttpStats:
        """Count the requests of the last time, as far as they are remembered."""
        since_s = anyio.current_time() - time_window.total_seconds()
        found = [sample for sample in self._samples if sample.at_s > since_s]
        by_url: dict[str, list[_Sample]] = {}
        for sample in found:
            by_url.setdefault(sample.url, []).append(sample)
        each = {url: _counted(samples, {}) for url, samples in by_url.items()}
        return _counted(found, each)


def _counted(samples: Sequence[_Sample], by_url: Mapping[str, HttpStats]) -> HttpStats:
    http = Counter(sample.http_status for sample in samples)
    api = Counter(sample.api_status for sample in samples)
    return HttpStats(
        total_calls=http.total(),
        by_http_status=dict(http),
        by_api_status=dict(api),
        by_url=by_url,
    )
